"""The second arrow of the pipeline: a trained model goes to the registry, an S3 bucket or a folder, and stays as it is.

A published version is immutable: publishing the same bytes again does nothing, publishing others under the same URI is
refused unless that is asked for. The digest is the object's metadata `sha256`, which the pod's pull compares.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident
from typing import cast
from urllib.parse import quote

from runtime.artifacts.access import Credentials, s3_access
from runtime.artifacts.cache import hash_file
from runtime.artifacts.external import check_local, model_locations
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.upload import Outgoing, credential_provider, open_bucket, s3_words
from runtime.artifacts.uris import S3Place, is_archive, parse_uri
from runtime.errors import ArtifactMissing, BadSetting, ScalezeroError


class AlreadyPublished(ScalezeroError):
    """The URI already holds another model."""

    code = "already_published"

    def __init__(self, uri: str, *, there: str | None, offered: str) -> None:
        digest = f"SHA-256 {there}" if there else "its SHA-256 is not recorded"
        super().__init__(
            f"{uri}: already holds another file ({digest}) than the one to publish (SHA-256 {offered}); a published "
            "version is immutable: publish under a new version",
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
    size: int | None = field(default=None, compare=False)  # bytes, of the file alone; None: nobody looked
    version_id: str | None = field(default=None, compare=False)  # of the S3 object; None: the bucket keeps no versions


def publish(path: Path, uri: str, *, metadata: Mapping[str, str], overwrite: bool = False) -> Published:
    """Put the model file, and the files with its external data, under the URI: `s3://bucket/key`, `file://` or a path.

    `metadata` are words about the model, such as its name, version and metrics, in ASCII; a folder keeps none.
    Without `overwrite`, of several who publish different models at once one wins and the others are told, as far as the
    place can see to it: a folder that knows hard links, an S3 that knows If-None-Match.
    Raises `AlreadyPublished`, `BadSetting` for a URI or metadata that cannot be, and `ModelUnavailable` errors.
    """
    _check_destination(uri, metadata)
    parts = _parts(path, uri, metadata)
    there = {part.uri: find(part.uri) for part in parts}
    new = [part for part in parts if (held := there[part.uri]) is None or held.sha256 != part.sha256]
    if new and overwrite:
        _put(parts, uri, overwrite=True)
    elif new:
        for part in new:
            _refuse_other(there[part.uri], part)
        _put(new, uri, overwrite=False)
    return Published(uri=uri, sha256=parts[-1].sha256, uploaded=bool(new))


def check_model(path: Path, *, name: str) -> None:
    """Open the model or the archive once: a published file cannot be replaced. Raises `InvalidModel` and the like."""
    from runtime.artifacts.fetch import fetch
    from runtime.model.session import Session

    with TemporaryDirectory(prefix="scalezero-") as unpacked:  # of an archive
        model = fetch(str(path), cache_dir=Path(unpacked)).path
        Session(model, uri=str(path), name=name, threads=1)


def find(uri: str) -> Published | None:
    """Look up what is published under the URI; None where nothing is.

    Raises `BadSetting` for a URI that cannot be, and `ModelUnavailable` errors other than `ArtifactMissing`.
    """
    place = parse_uri(uri)
    if isinstance(place, Path):
        return Published(uri=uri, sha256=hash_file(place), size=place.stat().st_size) if place.is_file() else None
    try:
        return _recorded(place, uri)
    except ArtifactMissing:
        return None


def _check_destination(uri: str, metadata: Mapping[str, str]) -> None:
    """Refuse what no upload could do, before anything is read, asked or sent."""
    place = parse_uri(uri)
    if isinstance(place, S3Place):
        s3_words(metadata)
        if place.version_id is not None:
            raise BadSetting("destination", value=uri, allowed="s3://bucket/key, without a version")


def _parts(path: Path, uri: str, metadata: Mapping[str, str]) -> list[Outgoing]:
    """List what the model consists of, the external data first and the model last."""
    if not path.is_file():
        raise ArtifactMissing(uri, f"nothing to publish: there is no file {path}")
    locations = frozenset() if is_archive(path.name) else model_locations(path, uri=str(path))
    check_local(path, locations, uri=str(path))
    files = {_beside(uri, location): path.parent / location for location in sorted(locations)}
    beside = [Outgoing(path=file, uri=place, sha256=hash_file(file)) for place, file in files.items()]
    return [*beside, Outgoing(path=path, uri=uri, sha256=hash_file(path), metadata=metadata)]


def _beside(uri: str, location: str) -> str:
    base, slash, _ = uri.rpartition("/")
    return base + slash + (quote(location) if uri.lower().startswith("file:") else location)


def _refuse_other(held: Published | None, part: Outgoing) -> None:
    if held and held.sha256 != part.sha256:
        raise AlreadyPublished(part.uri, there=held.sha256, offered=part.sha256)


def _recorded(place: S3Place, uri: str) -> Published:
    """Ask S3 through the fast client: to find a model already there needs no boto3."""
    from runtime.artifacts.s3 import open_source

    access = s3_access(os.environ, home=Path(os.environ.get("HOME", "/")))
    provider = None
    if access.credentials is Credentials.BOTO3:
        provider = credential_provider(uri)
    opened = open_source(place, access=access, policy=PullPolicy(), provider=provider).open(uri, first=1)
    if opened is None:
        return Published(uri=uri, sha256=None)
    return Published(uri=uri, sha256=opened.info.sha256, size=opened.info.size, version_id=opened.info.version_id)


def _put(parts: Sequence[Outgoing], uri: str, *, overwrite: bool) -> None:
    place = parse_uri(uri)
    send: Callable[[Outgoing], bool] = partial(_copy, overwrite=overwrite)
    if isinstance(place, S3Place):
        send = open_bucket(place.bucket, overwrite=overwrite).upload
    for part in parts:
        if not send(part):
            # Somebody was quicker, or it was us: an upload whose answer was lost is tried again. The bytes tell.
            _refuse_other(find(part.uri), part)


def _copy(part: Outgoing, *, overwrite: bool) -> bool:
    """Copy whole or not at all: a reader never sees a half. False where a file is there that must stay."""
    destination = cast("Path", parse_uri(part.uri))  # as the model's is, which it lies beside
    unfinished = destination.with_name(f"{destination.name}.partial-{os.getpid()}-{get_ident()}")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(part.path, unfinished)
        return _settle(unfinished, destination, overwrite=overwrite)
    except OSError as error:
        allowed = f"a place that this process may write ({error.strerror})"
        raise BadSetting("destination", value=part.uri, allowed=allowed) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _settle(unfinished: Path, destination: Path, *, overwrite: bool) -> bool:
    if not overwrite:
        try:
            destination.hardlink_to(unfinished)  # unlike a rename, it never replaces
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if destination.exists():
                return False
        else:
            return True
    unfinished.replace(destination)
    return True
