"""Unpacking of an archive's model into the cache. The unpacked files are found again by the archive's digest.

    the model file, and each file of its external data  ->  a blob of the cache, with a ref for the archive's URI
    a model with external data                          ->  a folder of links, as for a model from S3

The digest of the archive is verified before, and the digest of each blob at every use.
"""

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from runtime.artifacts import archive as archives
from runtime.artifacts.archive import Manifest
from runtime.artifacts.archive_files import Archive, open_archive
from runtime.artifacts.cache import Cache, Ref, cache_key
from runtime.artifacts.external import model_locations
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.trust import FILE_MODE, OPEN_FLAGS
from runtime.errors import ArtifactMissing, ArtifactTooLarge, InvalidModel, StoreStalled

_SCOPE: Final = "archive"


class Unpacked(NamedTuple):
    """The unpacked model of an archive."""

    path: Path
    manifest: Manifest
    from_cache: bool  # whether no file was inflated
    verify_seconds: float


def unpack(path: Path, digest: str, *, uri: str, cache: Cache, policy: PullPolicy) -> Unpacked:
    """Unpack the model in the archive at `path` into the cache. `digest` is the SHA-256 of the archive.

    Raises `InvalidModel`, `ArtifactMissing` for external data that is not in the archive, `ArtifactTooLarge` beyond the
    policy's `max_bytes`, `DiskFull` and `StoreStalled`.
    """
    with open_archive(path, uri=uri) as archive:
        manifest = archives.read_manifest(archive, uri=uri)
        unpacking = _Unpacking(archive, digest, uri, cache, policy)
        try:
            return unpacking.run(manifest)
        except TimeoutError as error:
            raise StoreStalled(uri, f"another process has locked the cache for {policy.deadline:g} s") from error


class _Unpacking:
    def __init__(self, archive: Archive, digest: str, uri: str, cache: Cache, policy: PullPolicy) -> None:
        self._archive = archive
        self._digest = digest
        self._uri = uri
        self._cache = cache
        self._policy = policy
        self._bytes_left = policy.max_bytes
        self._from_cache = True
        self._verify_seconds = 0.0

    def run(self, manifest: Manifest) -> Unpacked:
        name = archives.model_entry([*self._archive.entries], manifest, uri=self._uri)
        model = self._blob(name, 0, suffix=PurePosixPath(name).suffix.lower())
        files = {PurePosixPath(name).name: model}
        for number, location in enumerate(sorted(model_locations(model, uri=self._uri)), 1):
            if location in files:
                reason = f"its external data is at {location!r}, which is the model itself; expected another file"
                raise InvalidModel(self._uri, reason)
            files[location] = self._blob(self._external_entry(name, location), number, suffix="")
        path = model
        if len(files) > 1:
            path = self._cache.link_tree(files, timeout=self._policy.deadline) / PurePosixPath(name).name
        return Unpacked(path, manifest, self._from_cache, self._verify_seconds)

    def _external_entry(self, model: str, location: str) -> str:
        name = str(PurePosixPath(model).parent / location)
        if name not in self._archive.entries:
            raise ArtifactMissing(self._uri, f"its external data {location!r} is not in the archive", location=location)
        return name

    def _blob(self, name: str, number: int, *, suffix: str) -> Path:
        """Return one file of the archive as a blob, from the cache if it is there."""
        self._bytes_left -= self._archive.entries[name].size
        if self._bytes_left < 0:
            size, limit = self._policy.max_bytes - self._bytes_left, self._policy.max_bytes
            raise ArtifactTooLarge(self._uri, size=size, limit=limit)
        key = cache_key(_SCOPE, f"{self._uri}!{number}")
        with self._cache.lock(key, timeout=self._policy.deadline):
            return self._cached(key, name, suffix) or self._inflate(key, name, suffix)

    def _cached(self, key: str, name: str, suffix: str) -> Path | None:
        ref = self._cache.read_ref(key)
        if ref is None or ref.etag != self._digest or ref.uri != self._entry_uri(name):
            return None
        began = time.perf_counter()
        path = self._cache.verified_blob(ref.sha256, suffix)
        self._verify_seconds += time.perf_counter() - began
        return path

    def _inflate(self, key: str, name: str, suffix: str) -> Path:
        self._from_cache = False
        size = self._archive.entries[name].size
        self._cache.check_free_space(size, self._uri)
        with self._cache.partial(key) as partial:
            digest = _write_hashed(
                partial, lambda write: archives.copy_entry(self._archive, name, write, uri=self._uri)
            )
            path = self._cache.add_blob(partial, digest, suffix)
        ref = Ref(uri=self._entry_uri(name), etag=self._digest, version_id=None, sha256=digest, size=size, metadata={})
        self._cache.write_ref(key, ref)
        self._cache.sweep(keep=key)
        return path

    def _entry_uri(self, name: str) -> str:
        return f"{self._uri}!{name}"


def _write_hashed(path: Path, copy_entry: Callable[[Callable[[bytes], object]], None]) -> str:
    """Write a new file and return its SHA-256."""
    digest = sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, FILE_MODE)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor

        def write(piece: bytes) -> None:
            digest.update(piece)
            file.write(piece)

        copy_entry(write)
    return digest.hexdigest()
