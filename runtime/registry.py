"""The second arrow of the pipeline: a trained model goes to the registry, an S3 bucket or a folder, and stays as it is.

A published version is immutable: publishing the same bytes again does nothing, publishing others under the same URI is
refused unless that is asked for. The digest is the object's metadata `sha256`, which the pod's pull compares.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.artifacts.access import Credentials, s3_access
from runtime.artifacts.cache import hash_file
from runtime.artifacts.external import check_local, model_locations
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import S3Place, parse_uri
from runtime.errors import ArtifactMissing, ScalezeroError


class AlreadyPublished(ScalezeroError):
    """Another model is there under the same URI."""

    code = "already_published"

    def __init__(self, uri: str, *, there: str | None, offered: str) -> None:
        digest = f"SHA-256 {there}" if there else "of a SHA-256 that nobody recorded"
        super().__init__(
            f"{uri}: holds another file ({digest}) than the one offered ({offered}); a published version is immutable:"
            " publish under a new version, or ask to overwrite",
            uri=uri,
            there=there,
            offered=offered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A file in the registry."""

    uri: str
    sha256: str | None  # lower-case hex; None: somebody put it there and recorded no digest
    uploaded: bool = False  # now, and not before


def publish(path: Path, uri: str, *, metadata: Mapping[str, str], overwrite: bool = False) -> Published:
    """Put the model file, and the files with its external data, under the URI: `s3://bucket/key`, `file://` or a path.

    `metadata` are words about the model, such as its name, version and metrics, in ASCII; a folder keeps none.
    Raises `AlreadyPublished`, `BadSetting` for a URI or metadata that cannot be, and `ModelUnavailable` errors.
    """
    parts = _parts(path, uri)
    offered = {part_uri: hash_file(part) for part_uri, part in parts.items()}
    there = {part_uri: find(part_uri) for part_uri in parts}
    same = all(held and held.sha256 == offered[part_uri] for part_uri, held in there.items())
    if not same:
        if not overwrite:
            _refuse_others(there, offered)
        _put(parts, uri, metadata)
    return Published(uri=uri, sha256=offered[uri], uploaded=not same)


def find(uri: str) -> Published | None:
    """Look up what is published under the URI; None where nothing is.

    Raises `BadSetting` for a URI that cannot be, and `ModelUnavailable` errors other than `ArtifactMissing`.
    """
    place = parse_uri(uri)
    if isinstance(place, Path):
        return Published(uri=uri, sha256=hash_file(place)) if place.is_file() else None
    try:
        return Published(uri=uri, sha256=_recorded(place, uri))
    except ArtifactMissing:
        return None


def _parts(path: Path, uri: str) -> dict[str, Path]:
    """List what the model consists of: each file and its URI, the external data first and the model last."""
    if not path.is_file():
        raise ArtifactMissing(uri, f"nothing to publish: there is no file {path}")
    locations = model_locations(path, uri=str(path))
    check_local(path, locations, uri=str(path))
    base = uri.rpartition("/")[0]
    beside = {f"{base}/{location}" if base else location: path.parent / location for location in sorted(locations)}
    return {**beside, uri: path}


def _refuse_others(there: Mapping[str, Published | None], offered: Mapping[str, str]) -> None:
    for uri, held in there.items():
        if held and held.sha256 != offered[uri]:
            raise AlreadyPublished(uri, there=held.sha256, offered=offered[uri])


def _recorded(place: S3Place, uri: str) -> str | None:
    """Ask S3 through the fast client: to find a model already there needs no boto3."""
    from runtime.artifacts.s3 import open_source

    access = s3_access(os.environ, home=Path(os.environ.get("HOME", "/")))
    provider = None
    if access.credentials is Credentials.BOTO3:
        from runtime.artifacts.registry import credential_provider

        provider = credential_provider(uri)
    opened = open_source(place, access=access, policy=PullPolicy(), provider=provider).open(uri, first=1)
    return opened.info.sha256 if opened else None


def _put(parts: Mapping[str, Path], uri: str, metadata: Mapping[str, str]) -> None:
    place, model = parse_uri(uri), parts[uri]
    if isinstance(place, S3Place):
        from runtime.artifacts import registry

        registry.publish(model, uri, metadata=metadata)
        return
    for part in parts.values():
        _copy(part, place if part == model else place.parent / part.relative_to(model.parent))


def _copy(source: Path, destination: Path) -> None:
    """Copy whole or not at all: a reader never sees a half."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f"{destination.name}.partial-{os.getpid()}")
    try:
        shutil.copyfile(source, partial)
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)
