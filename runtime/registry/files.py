"""The files of a model in the registry: its artifact and its external data.

A published version is immutable: publishing the same bytes again does nothing, and publishing different bytes under the
same URI is an error without `overwrite`. The digest is the object's metadata `sha256`; the pull in a pod compares it.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import NamedTuple, cast
from urllib.parse import quote

from runtime.artifacts.cache import hash_file
from runtime.artifacts.external import check_local, model_locations
from runtime.artifacts.fetch import connect, current_access
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.upload import FileUpload, Progress, open_bucket, s3_metadata
from runtime.artifacts.uris import USER_INFO, S3Location, is_archive, parse_uri
from runtime.errors import ArtifactChanged, ArtifactMissing, BadSetting, ScalezeroError
from runtime.published.objects import read_local, unreadable
from runtime.variants.values import Assessment


class AlreadyPublished(ScalezeroError):
    """The URI has a different model already."""

    code = "already_published"

    def __init__(
        self, uri: str, *, existing: str | None, offered: str, step: str = "publish under a new version"
    ) -> None:
        digest = f"SHA-256 {existing}" if existing else "no recorded SHA-256"
        super().__init__(
            f"{uri}: a different file is already published here ({digest}); the file to publish has SHA-256 {offered}. "
            f"A published version is immutable: {step}",
            uri=uri,
            existing=existing,
            offered=offered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A file in the registry."""

    uri: str
    sha256: str | None  # lower-case hex; None: the file was uploaded without a digest
    uploaded: bool = False  # by this call; False: it was published before
    size: int | None = field(default=None, compare=False)  # bytes, without external data; None: unknown
    version_id: str | None = field(default=None, compare=False)  # of the S3 object; None: the bucket has no versions
    version: str | None = field(default=None, compare=False)  # of the model, as its publisher stated it; None: unknown
    assessment: Assessment | None = field(default=None, compare=False)  # of this publication; None: not measured


class PlannedFile(NamedTuple):
    """A file to publish, and what its URI has now."""

    upload: FileUpload
    size: int  # bytes
    existing: Published | None

    @property
    def is_new(self) -> bool:
        """Whether the URI does not have these bytes."""
        return self.existing is None or self.existing.sha256 != self.upload.sha256

    def check(self) -> None:
        """Raise `AlreadyPublished` if the URI has other bytes."""
        _check_digest(self.existing, self.upload)


# Shows the progress of uploads, for as long as the context is open.
Watch = Callable[[Sequence[PlannedFile]], AbstractContextManager[Progress | None]]


def publish(path: Path, uri: str, *, metadata: Mapping[str, str], overwrite: bool = False) -> Published:
    """Publish a file and the external data that it names, without a manifest.

    `metadata` are ASCII texts about the model, such as its name, version and metrics; a folder stores none.
    Without `overwrite`, if several processes publish different models at the same time, one succeeds and the others
    raise `AlreadyPublished`. This needs hard links in a folder, and If-None-Match in S3.
    Raises `AlreadyPublished`, `BadSetting` for an invalid URI or invalid metadata, and `ModelUnavailable` errors.
    """
    planned = plan_files(path, uri, metadata=metadata)
    uploaded = send(planned, overwrite=overwrite)
    return Published(uri=uri, sha256=planned[-1].upload.sha256, uploaded=uploaded)


def plan_files(path: Path, uri: str, *, metadata: Mapping[str, str]) -> tuple[PlannedFile, ...]:
    """List the model's files, the model last, with what is published under the URI of each. Raises as `publish`."""
    check_destination(uri, metadata)
    parts = _parts(path, uri, metadata)
    return tuple(PlannedFile(part, part.path.stat().st_size, find(part.uri)) for part in parts)


def send(planned: Sequence[PlannedFile], *, overwrite: bool = False, watch: Watch | None = None) -> bool:
    """Publish the new files, and return whether there are any. Raises as `publish`.

    `overwrite` sends the other files too: what they had when they were planned may be gone.
    """
    new = [each for each in planned if each.is_new]
    if not new:
        return False
    if overwrite:
        new = list(planned)
    for each in () if overwrite else new:
        each.check()
    remote = isinstance(parse_uri(new[-1].upload.uri), S3Location)
    with watch(new) if watch and remote else nullcontext() as progress:
        _put([each.upload for each in new], overwrite=overwrite, progress=progress)
    return True


def find(uri: str) -> Published | None:
    """Return the file that is published under the URI, or None.

    Raises `BadSetting` for an invalid URI, and `ModelUnavailable` errors other than `ArtifactMissing`: `InvalidModel`
    for a file that this process cannot read.
    """
    place = parse_uri(uri)
    if isinstance(place, Path):
        hashed = read_local(uri, lambda path: (hash_file(path), path.stat().st_size))
        return None if hashed is None else Published(uri=uri, sha256=hashed[0], size=hashed[1])
    try:
        return _recorded(place, uri)
    except ArtifactMissing:
        return None


def is_folder(uri: str, path: Path) -> bool:
    """Whether the path is a folder. Raises `InvalidModel` if this process cannot look."""
    try:
        return path.is_dir()
    except OSError as error:
        raise unreadable(uri, error) from error


def check_destination(uri: str, metadata: Mapping[str, str]) -> None:
    """Raise `BadSetting` for an impossible destination, before anything is read or sent."""
    if uri.endswith("/") or (isinstance(place := parse_uri(uri), Path) and is_folder(uri, place)):
        raise BadSetting(
            "destination", value=USER_INFO.sub("//...@", uri), allowed="the path of a file, not of a folder"
        )
    if isinstance(place, S3Location):
        s3_metadata(metadata)
        if place.version_id is not None:
            raise BadSetting("destination", value=uri, allowed="s3://bucket/key, without a version")


def _parts(path: Path, uri: str, metadata: Mapping[str, str]) -> list[FileUpload]:
    """Return the files of the model, the external data first and the model last."""
    if not path.is_file():
        raise ArtifactMissing(uri, f"nothing to publish: no such file: {path}")
    locations = frozenset() if is_archive(path.name) else model_locations(path, uri=str(path))
    check_local(path, locations, uri=str(path))
    files = {sibling_uri(uri, location): path.parent / location for location in sorted(locations)}
    external = [FileUpload(path=file, uri=place, sha256=hash_file(file)) for place, file in files.items()]
    return [*external, FileUpload(path=path, uri=uri, sha256=hash_file(path), metadata=metadata)]


def sibling_uri(uri: str, location: str) -> str:
    """Return the URI of the external data at a location of the model at a URI."""
    base, slash, _ = uri.rpartition("/")
    return base + slash + (quote(location) if uri.lower().startswith("file:") else location)


def _check_digest(existing: Published | None, part: FileUpload) -> None:
    if existing and existing.sha256 != part.sha256:
        raise AlreadyPublished(part.uri, existing=existing.sha256, offered=part.sha256)


def _recorded(place: S3Location, uri: str) -> Published:
    """Read the object's metadata with the fast client, so that finding a published model does not need boto3."""
    opened = connect(place, current_access(), PullPolicy()).open(uri, first_bytes=1)
    if opened is None:
        return Published(uri=uri, sha256=None)
    info = opened.info
    return Published(
        uri=uri,
        sha256=info.sha256,
        size=info.size,
        version_id=info.version_id,
        version=info.metadata.get("version"),
    )


def _put(parts: Sequence[FileUpload], *, overwrite: bool, progress: Progress | None) -> None:
    place = parse_uri(parts[-1].uri)
    put: Callable[[FileUpload], bool] = partial(_copy, overwrite=overwrite)
    if isinstance(place, S3Location):
        put = partial(open_bucket(place.bucket, overwrite=overwrite).upload, progress=progress)
    for part in parts:
        if not put(part):
            # The object exists: from another process, or from our own upload whose response was lost and that was
            # retried. The digest decides.
            existing = find(part.uri)
            if existing is None:
                raise deleted_meanwhile(part.uri)
            _check_digest(existing, part)


def deleted_meanwhile(uri: str) -> ArtifactChanged:
    """Return the error for an object that was there for the upload, and is not there after it."""
    return ArtifactChanged(uri, "it was deleted while it was published; publish again")


def _copy(part: FileUpload, *, overwrite: bool) -> bool:
    """Copy the file atomically; return False if a file exists that must not be replaced."""
    return write_file(part.uri, lambda target: shutil.copyfile(part.path, target), overwrite=overwrite)


def write_file(uri: str, write: Callable[[Path], object], *, overwrite: bool) -> bool:
    """Write a file of a folder atomically; return False if a file exists that must not be replaced.

    Raises `BadSetting` if this process cannot write there.
    """
    destination = cast("Path", parse_uri(uri))  # a path, because the model's URI is one
    partial_file = destination.with_name(f"{destination.name}.partial-{os.getpid()}-{get_ident()}")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        write(partial_file)
        return _move_into_place(partial_file, destination, overwrite=overwrite)
    except OSError as error:
        allowed = f"a path that this process can write to ({error.strerror})"
        raise BadSetting("destination", value=uri, allowed=allowed) from error
    finally:
        with suppress(OSError):
            partial_file.unlink(missing_ok=True)


def _move_into_place(partial_file: Path, destination: Path, *, overwrite: bool) -> bool:
    if not overwrite:
        try:
            destination.hardlink_to(partial_file)  # unlike a rename, this never replaces a file
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if destination.exists():
                return False
        else:
            return True
    partial_file.replace(destination)
    return True


def put_once(uri: str, body: bytes) -> bool:
    """Write a new JSON object; return False if one exists. Raises `BadSetting` and `ModelUnavailable` errors."""
    location = parse_uri(uri)
    if isinstance(location, Path):
        return write_file(uri, lambda target: target.write_bytes(body), overwrite=False)
    return open_bucket(location.bucket, overwrite=False).put(uri, body, content_type="application/json")


def delete(uri: str) -> None:
    """Delete an object; it need not exist. Raises `BadSetting` and `ModelUnavailable` errors."""
    location = parse_uri(uri)
    if isinstance(location, S3Location):
        open_bucket(location.bucket, overwrite=True).delete(uri)
        return
    try:
        location.unlink(missing_ok=True)
    except OSError as error:
        allowed = f"a file that this process can delete ({error.strerror})"
        raise BadSetting("URI", value=uri, allowed=allowed) from error
