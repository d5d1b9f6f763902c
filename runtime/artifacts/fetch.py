"""The fetch of a model, or of another file: from its URI to a verified local file. This package's one use case.

fetch -> local file: used in place; hashed only if a digest is expected
      -> S3: the digest is known and cached        no request
             the object was pulled before          one conditional request (304 if unchanged)
             otherwise                             under the object's lock: open, download, compare, add to the cache
      -> the external data files of an ONNX model are fetched in the same way
      -> a model archive, local or from S3, is unpacked into the cache
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
from runtime.artifacts.external import check_local, check_location, model_locations
from runtime.artifacts.objects import Blob, CachedObjects, ObjectRequest
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.store import Store
from runtime.artifacts.uris import S3Location, is_archive, is_unpacked, parse_uri, suffix_of
from runtime.errors import ArtifactMissing, BadSetting, DigestMismatch, DiskFull, InvalidModel, StoreStalled

if TYPE_CHECKING:
    from runtime.artifacts.archive import Manifest
    from runtime.artifacts.s3 import S3Source

_log = logging.getLogger("scalezero.artifacts")
PATH_SETTINGS = frozenset({"AWS_CA_BUNDLE", "SCALEZERO_CACHE_DIR"})  # settings whose value is a path
HEX = frozenset("0123456789abcdef")
HEX_DIGITS = 64  # in a SHA-256


class Artifact(NamedTuple):
    """A complete model file, verified if a digest was known."""

    uri: str
    path: Path
    sha256: str | None  # lower-case hex; None: a local file without an expected digest
    size: int  # bytes of the model file, without its external data
    metadata: Mapping[str, str] = MappingProxyType({})  # set by the publisher; keys in lower case
    etag: str | None = None
    version_id: str | None = None
    from_cache: bool = False  # whether this fetch pulled no bytes
    pull_seconds: float = 0.0  # duration of the fetch without `verify_seconds`
    verify_seconds: float = 0.0  # part of the fetch that this thread spent on hashing


def fetch(
    uri: str,
    *,
    cache_dir: Path,
    sha256: str | None = None,
    external: Mapping[str, str] = MappingProxyType({}),
    policy: PullPolicy = PullPolicy(),  # noqa: B008 (frozen)
) -> Artifact:
    """Return the model at the URI as a local file. An object in S3 is pulled into the cache, or read from the cache.

    `sha256` is the expected digest of the file. If it is None, the digest in the object's metadata (`sha256`) is used.
    `external` has the same for its external data, by location. A location that is not in it has no expected digest. One
    that the model's tensors do not name is fetched too: a compiled model names its file in another way.
    Threads and processes that fetch the same URI share one pull. An error leaves the cache unchanged.

    Raises `BadSetting` for an invalid URI, digest, folder or environment, and the `ModelUnavailable` errors:
    ArtifactMissing, AccessDenied, CredentialsMissing, StoreUnreachable, StoreStalled, ArtifactChanged, DigestMismatch,
    ArtifactTooLarge, DiskFull and InvalidModel.
    """
    began = time.perf_counter()
    location = parse_uri(uri)
    expected = parse_digest(sha256)
    if isinstance(location, Path) and not is_archive(location.name):
        artifact = _fetch_local_file(uri, location, expected, external)
    else:
        cache = Cache(cache_dir.absolute())
        with _hide_paths(), cache.translate_errors(uri):
            cache.prepare()
            if isinstance(location, Path):
                artifact = _fetch_local_archive(uri, location, expected, cache, policy)
            else:
                objects = _cached_objects(location, cache, policy)
                artifact = _fetch_from_s3(uri, location, expected, external, objects=objects)
    return artifact._replace(pull_seconds=time.perf_counter() - began - artifact.verify_seconds)


def fetch_file(
    uri: str,
    *,
    cache_dir: Path,
    sha256: str | None = None,
    policy: PullPolicy = PullPolicy(),  # noqa: B008 (frozen)
) -> Artifact:
    """Return the file at the URI as `fetch` does, if it is no model: it has no external data, and is never unpacked.

    Raises as `fetch`.
    """
    location = parse_uri(uri)
    expected = parse_digest(sha256)
    if isinstance(location, Path):
        path = location.absolute()
        if not path.is_file():
            raise ArtifactMissing(uri, "it is a folder; expected a file" if path.is_dir() else "there is no such file")
        if expected is not None:
            _check_digest(path, expected)
        return Artifact(uri=uri, path=path, sha256=expected, size=path.stat().st_size)
    cache = Cache(cache_dir.absolute())
    with _hide_paths(), cache.translate_errors(uri):
        cache.prepare()
        objects = _cached_objects(location, cache, policy)
        request = ObjectRequest(uri, suffix_of(location), expected, policy.max_bytes)
        return _artifact(uri, objects.get(request))


def check(uri: str, *, cache_dir: Path, sha256: str | None = None) -> None:
    """Raise `BadSetting` if the URI, the digest, the AWS environment or the cache folder makes every `fetch` fail.

    The check is cheap enough for every start: it sends no request, creates no client and makes a few calls to the file
    system. It ignores a full disk, because space may be free when the pull starts; `fetch` reports that error.
    """
    location = parse_uri(uri)
    parse_digest(sha256)
    if isinstance(location, Path) and not is_archive(location.name):
        return
    if isinstance(location, S3Location):
        certificates(current_access())
    cache = Cache(cache_dir.absolute())
    with contextlib.suppress(DiskFull), cache.translate_errors(uri):
        cache.prepare()


@contextlib.contextmanager
def _hide_paths() -> Iterator[None]:
    """Write local paths to the log and remove them from the error, because clients get the error."""
    try:
        yield
    except BadSetting as error:
        name, value, allowed = (error.details.get(key) for key in ("name", "value", "allowed"))
        if name not in PATH_SETTINGS:
            raise
        _log.error("invalid setting", extra={"setting": name, "value": value, "expected": allowed})
        raise BadSetting(str(name), value=value, allowed=str(allowed), hidden=True) from error


def parse_digest(sha256: str | None) -> str | None:
    """Return a SHA-256 in lower-case hex, without the prefix `sha256:`. Raises `BadSetting`."""
    if sha256 is None:
        return None
    digest = sha256.lower().removeprefix("sha256:")
    if len(digest) != HEX_DIGITS or not HEX.issuperset(digest):
        raise BadSetting("sha256", value=sha256, allowed="64 hexadecimal digits")
    return digest


def _fetch_local_file(uri: str, path: Path, expected: str | None, external: Mapping[str, str]) -> Artifact:
    """Return a local file in place, after the check of its digest and its external data."""
    path = path.absolute()
    if is_unpacked(path):
        from runtime.artifacts.archive import model_in_folder

        path, manifest = model_in_folder(path, uri=uri)
        return _fetch_local_file(uri, path, expected, external)._replace(metadata=_manifest_metadata(manifest))
    if not path.is_file():
        raise ArtifactMissing(uri, "it is a folder; expected a file" if path.is_dir() else "there is no such file")
    try:
        locations = _all_locations(path, external, uri=uri)
        check_local(path, locations, uri=uri)
        began = time.perf_counter()
        actual = hash_file(path) if expected is not None else None
        if actual != expected:
            raise DigestMismatch(uri, expected=str(expected), got=str(actual))
        for each in sorted(locations & external.keys()):
            _check_digest(path.parent / each, external[each])
        verify_seconds = time.perf_counter() - began
    except PermissionError as error:
        raise InvalidModel(uri, f"this process cannot read it: {error.strerror}") from error
    return Artifact(uri=uri, path=path, sha256=actual, size=path.stat().st_size, verify_seconds=verify_seconds)


def _all_locations(path: Path, external: Mapping[str, str], *, uri: str) -> frozenset[str]:
    """Return the locations that the model names and those with an expected digest. Raises `InvalidModel`."""
    for each in external:
        check_location(each, uri=uri)
    return model_locations(path, uri=uri) | external.keys()


def _check_digest(path: Path, expected: str) -> None:
    actual = hash_file(path)
    if actual != expected:
        raise DigestMismatch(str(path), expected=expected, got=actual)


def _fetch_local_archive(uri: str, path: Path, expected: str | None, cache: Cache, policy: PullPolicy) -> Artifact:
    """Unpack a local archive. It is always hashed, because the cache finds the unpacked files by this digest."""
    path = path.absolute()
    if not path.is_file():
        raise ArtifactMissing(uri, "it is a folder; expected a file" if path.is_dir() else "there is no such file")
    began = time.perf_counter()
    try:
        actual = hash_file(path)
    except PermissionError as error:
        raise InvalidModel(uri, f"this process cannot read it: {error.strerror}") from error
    verify_seconds = time.perf_counter() - began
    if expected not in {None, actual}:
        raise DigestMismatch(uri, expected=str(expected), got=actual)
    archive = Artifact(uri=uri, path=path, sha256=actual, size=0, from_cache=True, verify_seconds=verify_seconds)
    return _unpack(archive, cache, policy)


def _unpack(archive: Artifact, cache: Cache, policy: PullPolicy) -> Artifact:
    """Return the model in the archive. Its digest is still the archive's, because the archive was published."""
    from runtime.artifacts.unpacking import unpack

    unpacked = unpack(archive.path, str(archive.sha256), uri=archive.uri, cache=cache, policy=policy)
    return archive._replace(
        path=unpacked.path,
        size=unpacked.path.stat().st_size,
        metadata={**_manifest_metadata(unpacked.manifest), **archive.metadata},
        from_cache=archive.from_cache and unpacked.from_cache,
        verify_seconds=archive.verify_seconds + unpacked.verify_seconds,
    )


def _manifest_metadata(manifest: "Manifest") -> dict[str, str]:
    """Return the fields of a manifest that are set, in the form of an object's metadata."""
    return {key: text for key, text in (("model_name", manifest.name), ("version", manifest.version)) if text}


def current_access() -> S3Access:
    """Return how this process connects to S3, from its environment. Raises `BadSetting`."""
    return s3_access(os.environ, home=Path(os.environ.get("HOME", "/")))


def _cached_objects(location: S3Location, cache: Cache, policy: PullPolicy) -> CachedObjects:
    access = current_access()
    return CachedObjects(
        cache=cache,
        scope=access.endpoint or "aws",
        open_store=_lazy_store(location, access, policy),
        policy=policy,
    )


def _lazy_store(location: S3Location, access: S3Access, policy: PullPolicy) -> Callable[[], Store]:
    """Return a function that creates the client on its first call and returns the same client afterwards."""
    created: list[Store] = []

    def open_store() -> Store:
        if not created:
            created.append(connect(location, access, policy))
        return created[0]

    return open_store


def connect(location: S3Location, access: S3Access, policy: PullPolicy) -> "S3Source":
    """Create a client for the bucket, with credentials from boto3 if the environment needs it. Raises `BadSetting`."""
    from runtime.artifacts.s3 import open_source

    if access.credentials is not Credentials.BOTO3:
        return open_source(location, access=access, policy=policy)
    from runtime.artifacts.upload import credential_provider

    provider = credential_provider(f"s3://{location.bucket}", access)
    return open_source(location, access=access, policy=policy, provider=provider)


def _fetch_from_s3(
    uri: str, location: S3Location, expected: str | None, digests: Mapping[str, str], *, objects: CachedObjects
) -> Artifact:
    left = objects.policy.max_bytes
    model = objects.get(ObjectRequest(uri=uri, suffix=suffix_of(location), sha256=expected, max_bytes=left))
    if is_archive(location.key):
        return _unpack(_artifact(uri, model), objects.cache, objects.policy)
    external: dict[str, Blob] = {}
    left -= model.path.stat().st_size
    for name in sorted(_all_locations(model.path, digests, uri=uri)):
        external[name] = objects.get(_external_request(location, name, sha256=digests.get(name), max_bytes=left))
        left -= external[name].path.stat().st_size
    return _artifact(uri, model)._replace(
        path=_link_external_data(objects, location, model, external) if external else model.path,
        from_cache=all(blob.from_cache for blob in (model, *external.values())),
        verify_seconds=sum(blob.verify_seconds for blob in (model, *external.values())),
    )


def _artifact(uri: str, blob: Blob) -> Artifact:
    """Return the artifact of a single object."""
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


def _external_request(model: S3Location, name: str, *, sha256: str | None, max_bytes: int) -> ObjectRequest:
    key = PurePosixPath(model.key).parent / name
    return ObjectRequest(uri=f"s3://{model.bucket}/{key}", suffix="", sha256=sha256, max_bytes=max_bytes)


def _link_external_data(
    objects: CachedObjects, location: S3Location, model: Blob, external: Mapping[str, Blob]
) -> Path:
    """Link the model and its external data into one folder, under the names that the model uses."""
    name, uri, timeout = PurePosixPath(location.key).name, model.ref.uri, objects.policy.deadline
    if name in external:
        raise InvalidModel(uri, f"its external data is at {name!r}, which is the model itself; expected another file")
    files = {name: model.path, **{each: blob.path for each, blob in external.items()}}
    try:
        return objects.cache.link_tree(files, timeout=timeout) / name
    except TimeoutError as error:
        raise StoreStalled(uri, f"another pull of it has locked the cache for {timeout:g} s") from error
