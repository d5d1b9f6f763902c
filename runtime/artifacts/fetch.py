"""From a model's URI to a verified file: the one use case of this package.

fetch -> a file of this machine: served where it lies, hashed where a digest is expected
      -> S3: the digest is known and cached        no request at all
             seen before                           one request: unchanged? (304)
             else                                  under the place's lock: open, download, compare, adopt
      -> the files that an ONNX model keeps its weights in are brought beside it the same way
      -> a model archive, from either place, is unpacked into the cache
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from runtime.artifacts.access import Credentials, S3Access, certificates, s3_access
from runtime.artifacts.cache import Cache, hash_file
from runtime.artifacts.external import check_local, model_locations
from runtime.artifacts.objects import Blob, CachedObjects, Wanted
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.store import Store
from runtime.artifacts.uris import S3Place, is_archive, is_unpacked, parse_uri, suffix_of
from runtime.errors import ArtifactMissing, BadSetting, DigestMismatch, DiskFull, InvalidModel, StoreStalled

if TYPE_CHECKING:
    from runtime.artifacts.archive import Manifest
    from runtime.artifacts.s3 import S3Source

_log = logging.getLogger("scalezero.artifacts")
PLACES = frozenset({"AWS_CA_BUNDLE", "SCALEZERO_CACHE_DIR"})  # settings that hold a path
HEX = frozenset("0123456789abcdef")
HEX_DIGITS = 64  # of a SHA-256


class Artifact(NamedTuple):
    """A model file that may be opened: whole, and verified where a digest was known."""

    uri: str
    path: Path
    sha256: str | None  # lower-case hex; None: a local file of which no digest was expected
    size: int  # bytes of the model file; its external data not counted
    metadata: Mapping[str, str] = MappingProxyType({})  # the publisher's words, keys in lower case
    etag: str | None = None
    version_id: str | None = None
    from_cache: bool = False  # no byte of it was pulled now
    pull_seconds: float = 0.0  # all of the fetch but the hashing
    verify_seconds: float = 0.0  # hashing that nothing else hid


def fetch(
    uri: str,
    *,
    cache_dir: Path,
    sha256: str | None = None,
    policy: PullPolicy = PullPolicy(),  # noqa: B008 (frozen)
) -> Artifact:
    """Return the model at the URI as a local file; the S3 one from the cache, or pulled into it.

    `sha256` is the digest that the file must have; without it, the one in the object's metadata (`sha256`) counts.
    Threads and processes that ask for the same URI share one pull. After any error the cache is as it was.

    Raises `BadSetting` for a URI, digest, folder or environment that cannot work, and the `ModelUnavailable` errors:
    ArtifactMissing, AccessDenied, CredentialsMissing, StoreUnreachable, StoreStalled, ArtifactChanged, DigestMismatch,
    ArtifactTooLarge, DiskFull and InvalidModel.
    """
    began = time.perf_counter()
    place = parse_uri(uri)
    expected = _digest(sha256)
    if isinstance(place, Path) and not is_archive(place.name):
        artifact = _local(uri, place, expected)
    else:
        cache = Cache(cache_dir.absolute())
        with _places_hidden(), cache.faults(uri):
            cache.prepare()
            if isinstance(place, Path):
                artifact = _local_archive(uri, place, expected, cache, policy)
            else:
                artifact = _from_s3(uri, place, expected, objects=_objects(place, cache, policy))
    return artifact._replace(pull_seconds=time.perf_counter() - began - artifact.verify_seconds)


def check(uri: str, *, cache_dir: Path, sha256: str | None = None) -> None:
    """Raise `BadSetting` where no `fetch` could ever work: URI, digest, AWS environment or cache folder cannot be.

    Cheap enough for every start: no request, no client, a few calls to the file system. A disk that is full now may
    have room when the pull is due, so that is left to `fetch` to tell.
    """
    place = parse_uri(uri)
    _digest(sha256)
    if isinstance(place, Path) and not is_archive(place.name):
        return
    if isinstance(place, S3Place):
        certificates(current_access())
    cache = Cache(cache_dir.absolute())
    with contextlib.suppress(DiskFull), cache.faults(uri):
        cache.prepare()


@contextlib.contextmanager
def _places_hidden() -> Iterator[None]:
    """Keep the paths of this machine out of an error that callers get; the log has them."""
    try:
        yield
    except BadSetting as error:
        name, value, allowed = (error.details.get(key) for key in ("name", "value", "allowed"))
        if name not in PLACES:
            raise
        _log.error("invalid setting", extra={"setting": name, "value": value, "expected": allowed})
        raise BadSetting(str(name), value=value, allowed=str(allowed), hidden=True) from error


def _digest(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    digest = sha256.lower().removeprefix("sha256:")
    if len(digest) != HEX_DIGITS or not HEX.issuperset(digest):
        raise BadSetting("sha256", value=sha256, allowed="64 hexadecimal digits")
    return digest


def _local(uri: str, path: Path, expected: str | None) -> Artifact:
    """Serve a file of this machine where it lies."""
    path = path.absolute()
    if is_unpacked(path):
        from runtime.artifacts.archive import model_in_folder

        path, manifest = model_in_folder(path, uri=uri)
        return _local(uri, path, expected)._replace(metadata=_said(manifest))
    if not path.is_file():
        raise ArtifactMissing(uri, "it is a folder; expected a file" if path.is_dir() else "there is no such file")
    try:
        check_local(path, model_locations(path, uri=uri), uri=uri)
        began = time.perf_counter()
        got = hash_file(path) if expected is not None else None
        spent = time.perf_counter() - began
    except PermissionError as error:
        raise InvalidModel(uri, f"this process may not read it: {error.strerror}") from error
    if got != expected:
        raise DigestMismatch(uri, expected=str(expected), got=str(got))
    return Artifact(uri=uri, path=path, sha256=got, size=path.stat().st_size, verify_seconds=spent)


def _local_archive(uri: str, path: Path, expected: str | None, cache: Cache, policy: PullPolicy) -> Artifact:
    """Unpack an archive of this machine. It is hashed in any case: the cache knows what it held by its digest."""
    path = path.absolute()
    if not path.is_file():
        raise ArtifactMissing(uri, "it is a folder; expected a file" if path.is_dir() else "there is no such file")
    began = time.perf_counter()
    try:
        got = hash_file(path)
    except PermissionError as error:
        raise InvalidModel(uri, f"this process may not read it: {error.strerror}") from error
    spent = time.perf_counter() - began
    if expected not in {None, got}:
        raise DigestMismatch(uri, expected=str(expected), got=got)
    whole = Artifact(uri=uri, path=path, sha256=got, size=0, from_cache=True, verify_seconds=spent)
    return _unpacked(whole, cache, policy)


def _unpacked(artifact: Artifact, cache: Cache, policy: PullPolicy) -> Artifact:
    """The model in an archive in the place of the archive, whose digest stays: it is what was published."""
    from runtime.artifacts.unpacking import unpack

    found = unpack(artifact.path, str(artifact.sha256), uri=artifact.uri, cache=cache, policy=policy)
    return artifact._replace(
        path=found.path,
        size=found.path.stat().st_size,
        metadata={**_said(found.manifest), **artifact.metadata},
        from_cache=artifact.from_cache and found.from_cache,
        verify_seconds=artifact.verify_seconds + found.verify_seconds,
    )


def _said(manifest: "Manifest") -> dict[str, str]:
    """What a manifest says, as the publisher's words."""
    return {key: word for key, word in (("model_name", manifest.name), ("version", manifest.version)) if word}


def current_access() -> S3Access:
    """How this process reaches S3, by its environment. Raises `BadSetting`."""
    return s3_access(os.environ, home=Path(os.environ.get("HOME", "/")))


def _objects(place: S3Place, cache: Cache, policy: PullPolicy) -> CachedObjects:
    access = current_access()
    return CachedObjects(
        cache=cache,
        scope=access.endpoint or "aws",
        open_store=_opener(place, access, policy),
        policy=policy,
    )


def _opener(place: S3Place, access: S3Access, policy: PullPolicy) -> Callable[[], Store]:
    """Return what makes the client when it is first needed, and the same one from then on."""
    made: list[Store] = []

    def open_store() -> Store:
        if not made:
            made.append(connect(place, access, policy))
        return made[0]

    return open_store


def connect(place: S3Place, access: S3Access, policy: PullPolicy) -> "S3Source":
    """Make a client of the bucket, which may ask boto3 for credentials. Raises `BadSetting`."""
    from runtime.artifacts.s3 import open_source

    if access.credentials is not Credentials.BOTO3:
        return open_source(place, access=access, policy=policy)
    from runtime.artifacts.upload import credential_provider

    provider = credential_provider(f"s3://{place.bucket}")
    return open_source(place, access=access, policy=policy, provider=provider)


def _from_s3(uri: str, place: S3Place, expected: str | None, *, objects: CachedObjects) -> Artifact:
    left = objects.policy.max_bytes
    blob = objects.get(Wanted(uri=uri, suffix=suffix_of(place), sha256=expected, most=left))
    if is_archive(place.key):
        return _unpacked(_whole(uri, blob), objects.cache, objects.policy)
    beside: dict[str, Blob] = {}
    left -= blob.path.stat().st_size
    for location in sorted(model_locations(blob.path, uri=uri)):
        beside[location] = objects.get(_sibling(place, location, most=left))
        left -= beside[location].path.stat().st_size
    return _whole(uri, blob)._replace(
        path=_together(objects, place, blob, beside) if beside else blob.path,
        from_cache=all(part.from_cache for part in (blob, *beside.values())),
        verify_seconds=sum(part.verify_seconds for part in (blob, *beside.values())),
    )


def _whole(uri: str, blob: Blob) -> Artifact:
    """The artifact that one object is by itself."""
    return Artifact(
        uri=uri,
        path=blob.path,
        sha256=blob.ref.sha256,
        size=blob.path.stat().st_size,
        metadata=blob.ref.metadata,
        etag=blob.ref.etag,
        version_id=blob.ref.version_id,
        from_cache=blob.from_cache,
        verify_seconds=blob.verify_seconds,
    )


def _sibling(place: S3Place, location: str, *, most: int) -> Wanted:
    key = PurePosixPath(place.key).parent / location
    return Wanted(uri=f"s3://{place.bucket}/{key}", suffix="", sha256=None, most=most)


def _together(objects: CachedObjects, place: S3Place, model: Blob, beside: Mapping[str, Blob]) -> Path:
    """Put the model and its external data into one folder, under the names that the model knows."""
    name, uri, patience = PurePosixPath(place.key).name, model.ref.uri, objects.policy.deadline
    if name in beside:
        raise InvalidModel(uri, f"its external data is at {name!r}, which is the model itself")
    files = {name: model.path, **{location: blob.path for location, blob in beside.items()}}
    try:
        return objects.cache.plant(files, timeout=patience) / name
    except TimeoutError as error:
        raise StoreStalled(uri, f"another pull of it has held the cache for {patience:g} s") from error
