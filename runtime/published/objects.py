"""Single objects of a bucket or a folder: read, hashed while they stream, and listed.

A URI with a scheme is `s3://bucket/key` or `file:///path`; anything else is a path.
"""

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeVar

from runtime.artifacts.cache import hash_file
from runtime.artifacts.download import RetryBudget, with_retries
from runtime.artifacts.fetch import connect, current_access
from runtime.artifacts.folder import list_keys
from runtime.artifacts.policy import Part, PullPolicy, remaining_parts
from runtime.artifacts.store import ObjectInfo, Store
from runtime.artifacts.uris import S3Location, parse_uri
from runtime.errors import ArtifactMissing, BadSetting, InvalidModel

T = TypeVar("T")
_EMPTY = sha256().hexdigest()


class Hashed(NamedTuple):
    """What an object contains now."""

    sha256: str  # of its bytes, lower-case hex
    size: int  # bytes
    recorded: str | None = None  # the digest in its metadata, which a pull compares


class Head(NamedTuple):
    """An object, and its first bytes."""

    info: ObjectInfo
    first: bytes


def full_uri(uri: str) -> str:
    """Return the URI in the one form that manifests contain: `s3://bucket/key`, or `file:///` with an absolute path.

    The folder of a file is resolved, so that the URI does not depend on links and on `..`. A file that is a link is
    not resolved: a deletion deletes the link.
    """
    location = parse_uri(uri)
    return _resolved(location).as_uri() if isinstance(location, Path) else f"s3://{location.bucket}/{location.key}"


def _resolved(path: Path) -> Path:
    return path.resolve() if path.name in {"", ".."} else path.parent.resolve() / path.name


def read_local(uri: str, read: Callable[[Path], T]) -> T | None:
    """Return what `read` returns for the file of a URI; None: there is no such file, or it is a folder.

    Raises `InvalidModel` if this process cannot read it, and `BadSetting` for a URI of S3.
    """
    location = parse_uri(uri)
    if isinstance(location, S3Location):
        raise BadSetting("URI", value=uri, allowed="a file, as the registry is a folder")
    try:
        return read(location) if location.is_file() else None
    except (FileNotFoundError, NotADirectoryError):  # deleted meanwhile
        return None
    except OSError as error:
        raise unreadable(uri, error) from error


def unreadable(uri: str, error: OSError) -> InvalidModel:
    """Return the error for a file of a registry in a folder that exists and cannot be read."""
    return InvalidModel(uri, f"this process cannot read it: {error.strerror}")


def refuse_version(uri: str) -> None:
    """Raise `BadSetting` for the URI of one version of an object, because a manifest describes an object."""
    location = parse_uri(uri)
    if isinstance(location, S3Location) and location.version_id is not None:
        raise BadSetting("URI", value=uri, allowed="s3://bucket/key, without a version")


class Objects:
    """The objects of the bucket that a URI names, or the files of this machine. Threads may share it."""

    def __init__(self, uri: str, *, policy: PullPolicy = PullPolicy()) -> None:  # noqa: B008 (frozen)
        """Send no request yet. `uri` may be a prefix. Raises `BadSetting` for an invalid URI or environment."""
        self._policy = policy
        location = _prefix(uri)
        self._store: Store | None = None
        if isinstance(location, S3Location):
            self._store = connect(location, current_access(), policy)

    def read(self, uri: str, *, max_bytes: int) -> bytes | None:
        """Return the bytes of an object, or None. Raises `InvalidModel` if it is empty or larger than `max_bytes`."""
        if self._store is None:
            return read_local(uri, partial(_read_file, uri, max_bytes))
        try:
            info, body = self._begin(self._store, uri, max_bytes)
        except ArtifactMissing:
            return None
        _check_size(uri, info.size, max_bytes)
        return body

    def head(self, uri: str, *, first_bytes: int) -> Head | None:
        """Return what the store knows of an object, and its first bytes, at most `first_bytes`; None: there is none.

        It costs one request. The SHA-256 is that of the metadata, or of a file. Raises as `hash`.
        """
        if self._store is None:
            return read_local(uri, partial(_head_of, uri, first_bytes))
        try:
            return Head(*self._begin(self._store, uri, first_bytes))
        except ArtifactMissing:
            return None
        except InvalidModel:  # S3 refuses a range of an empty object
            return Head(ObjectInfo(uri, 0), b"")

    def hash(self, uri: str) -> Hashed | None:
        """Hash an object while it streams, with one part of it in memory. Return None if it does not exist.

        Raises the `ModelUnavailable` errors of the store, and `InvalidModel` for a file that cannot be read.
        """
        if self._store is None:
            return read_local(uri, lambda path: Hashed(hash_file(path), path.stat().st_size))
        digest, size, recorded = sha256(), 0, None
        try:
            for info, piece in self._pieces(self._store, uri):
                digest.update(piece)
                size, recorded = info.size, info.sha256
        except ArtifactMissing:
            return None
        except InvalidModel:
            if size:
                raise
            return Hashed(_EMPTY, 0)  # S3 refuses a range of an empty object
        return Hashed(digest.hexdigest(), size, recorded)

    def recorded_digest(self, uri: str) -> str | None:
        """Return the SHA-256 in the metadata of an object, or that of a file. None: unknown, or it does not exist.

        It costs one request. Raises the `ModelUnavailable` errors of the store.
        """
        if self._store is None:
            return read_local(uri, hash_file)
        try:
            return self._begin(self._store, uri, 1)[0].sha256
        except ArtifactMissing:
            return None

    def download(self, uri: str, target: Path) -> None:
        """Write an object to a new file. Raises the `ModelUnavailable` errors of the store, and OSError."""
        assert self._store is not None  # noqa: S101 - files are used in place
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for _, piece in self._pieces(self._store, uri):
                file.write(piece)

    def list(self, prefix: str, *, deep: bool = True) -> Iterator[str]:
        """Yield the URIs of all objects that begin with the prefix. A prefix that ends with a slash is a folder.

        Without `deep`, objects in subfolders are left out. Keys that no URI can name are always left out.
        Raises the `ModelUnavailable` errors of the store.
        """
        location = _prefix(prefix)
        if isinstance(location, Path):
            try:
                yield from _files(prefix, location, deep=deep)
            except OSError as error:
                raise unreadable(prefix, error) from error
            return
        for keys in list_keys(prefix, location, policy=self._policy, deep=deep):
            for key in keys:
                uri = f"s3://{location.bucket}/{key}"
                if _is_uri(uri):
                    yield uri

    def _pieces(self, store: Store, uri: str) -> Iterator[tuple[ObjectInfo, bytes]]:
        """Yield one version of the object in parts. A part that breaks is read again, so each is whole."""
        info, first = self._begin(store, uri, self._policy.part_bytes)
        yield info, first
        for part in remaining_parts(info.size, have=len(first), part_bytes=self._policy.part_bytes):
            yield info, with_retries(partial(_read, store, info, part), RetryBudget(self._policy))

    def _begin(self, store: Store, uri: str, first_bytes: int) -> tuple[ObjectInfo, bytes]:
        def begin() -> tuple[ObjectInfo, bytes]:
            opened = store.open(uri, first_bytes=first_bytes)
            assert opened is not None  # noqa: S101 - only a conditional request returns None
            return opened.info, b"".join(opened.pieces)

        return with_retries(begin, RetryBudget(self._policy))


def _read(store: Store, info: ObjectInfo, part: Part) -> bytes:
    return b"".join(store.read(info, part.start, part.end))


def _check_size(uri: str, size: int, limit: int) -> None:
    if not 0 < size <= limit:
        raise InvalidModel(uri, f"it has {size} bytes; expected 1 to {limit}")


def _prefix(uri: str) -> S3Location | Path:
    """Parse a URI whose key may be empty or end with a slash. Raises `BadSetting`."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() != "s3":
        return parse_uri(uri)
    bucket, _, prefix = rest.partition("/")
    try:
        location = parse_uri(f"s3://{bucket}/{prefix}x")
    except BadSetting as error:
        raise BadSetting("registry", value=uri, allowed="s3://bucket or s3://bucket/prefix") from error
    assert isinstance(location, S3Location)  # noqa: S101 - its scheme
    return location._replace(key=prefix)


def _read_file(uri: str, limit: int, path: Path) -> bytes:
    _check_size(uri, path.stat().st_size, limit)
    return path.read_bytes()


def _head_of(uri: str, first_bytes: int, path: Path) -> Head:
    with path.open("rb") as file:
        first = file.read(first_bytes)
    return Head(ObjectInfo(uri, path.stat().st_size, sha256=hash_file(path)), first)


def _files(prefix: str, start: Path, *, deep: bool) -> Iterator[str]:
    """Yield the files of a folder if the prefix ends with a slash, else those below each name that begins with it."""
    if prefix.endswith("/") or start.name in {"", ".."}:
        chosen = [start.resolve()] if start.is_dir() else []
    else:
        parent = start.parent.resolve()
        named = sorted(parent.iterdir()) if parent.is_dir() else []
        chosen = [each for each in named if each.name.startswith(start.name)]
        yield from (each.as_uri() for each in chosen if each.is_file())
        chosen = [each.resolve() for each in chosen if deep and each.is_dir()]
    for folder in chosen:
        yield from (path.as_uri() for path in sorted(folder.glob("**/*" if deep else "*")) if path.is_file())


def _is_uri(uri: str) -> bool:
    try:
        return full_uri(uri) == uri  # a key with ?versionId= would be read as a version of another object
    except BadSetting:
        return False
