"""An archive's model as verified files of the cache: inflated once, known again by the archive's digest.

    the model file, and each file that it keeps weights in  ->  a blob of the cache, noted under the archive's URI
    a model with such files                                 ->  a folder of links, as of a model from S3

The archive's own digest is verified before, and each blob's at every use.
"""

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from runtime.artifacts import archive as archives
from runtime.artifacts.archive import Manifest
from runtime.artifacts.archive_files import Archive, opened
from runtime.artifacts.cache import Cache, Ref, place_name
from runtime.artifacts.external import model_locations
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.trust import FILE_MODE, OPEN_FLAGS
from runtime.errors import ArtifactMissing, ArtifactTooLarge, InvalidModel, StoreStalled

_SCOPE: Final = "archive"


class Unpacked(NamedTuple):
    """The model of an archive, ready to be opened."""

    path: Path
    manifest: Manifest
    from_cache: bool  # nothing was inflated now
    verify_seconds: float


def unpack(path: Path, digest: str, *, uri: str, cache: Cache, policy: PullPolicy) -> Unpacked:
    """Bring the model in the archive at `path`, whose SHA-256 is `digest`, into the cache.

    Raises `InvalidModel`, `ArtifactMissing` for external data that is not in the archive, `ArtifactTooLarge` beyond the
    policy's bytes, `DiskFull` and `StoreStalled`.
    """
    with opened(path, uri=uri) as archive:
        manifest = archives.read_manifest(archive, uri=uri)
        unpacking = _Unpacking(archive, digest, uri, cache, policy)
        try:
            return unpacking.run(manifest)
        except TimeoutError as error:
            raise StoreStalled(uri, f"another process has held the cache for {policy.deadline:g} s") from error


class _Unpacking:
    def __init__(self, archive: Archive, digest: str, uri: str, cache: Cache, policy: PullPolicy) -> None:
        self._archive = archive
        self._digest = digest
        self._uri = uri
        self._cache = cache
        self._policy = policy
        self._left = policy.max_bytes
        self._from_cache = True
        self._verify_seconds = 0.0

    def run(self, manifest: Manifest) -> Unpacked:
        name = archives.model_entry([*self._archive.entries], manifest, uri=self._uri)
        model = self._blob(name, 0, suffix=PurePosixPath(name).suffix.lower())
        files = {PurePosixPath(name).name: model}
        for number, location in enumerate(sorted(model_locations(model, uri=self._uri)), 1):
            if location in files:
                raise InvalidModel(self._uri, f"its external data is at {location!r}, which is the model itself")
            files[location] = self._blob(self._beside(name, location), number, suffix="")
        path = model
        if len(files) > 1:
            path = self._cache.plant(files, timeout=self._policy.deadline) / PurePosixPath(name).name
        return Unpacked(path, manifest, self._from_cache, self._verify_seconds)

    def _beside(self, model: str, location: str) -> str:
        name = str(PurePosixPath(model).parent / location)
        if name not in self._archive.entries:
            raise ArtifactMissing(self._uri, f"its external data {location!r} is not in the archive", location=location)
        return name

    def _blob(self, name: str, number: int, *, suffix: str) -> Path:
        """One file of the archive, of the cache where it is known there."""
        self._left -= self._archive.entries[name].size
        if self._left < 0:
            size, limit = self._policy.max_bytes - self._left, self._policy.max_bytes
            raise ArtifactTooLarge(self._uri, size=size, limit=limit)
        place = place_name(_SCOPE, f"{self._uri}!{number}")
        with self._cache.lock(place, timeout=self._policy.deadline):
            return self._known(place, name, suffix) or self._inflate(place, name, suffix)

    def _known(self, place: str, name: str, suffix: str) -> Path | None:
        ref = self._cache.recall(place)
        if ref is None or ref.etag != self._digest or ref.uri != self._name(name):
            return None
        began = time.perf_counter()
        path = self._cache.verified(ref.sha256, suffix)
        self._verify_seconds += time.perf_counter() - began
        return path

    def _inflate(self, place: str, name: str, suffix: str) -> Path:
        self._from_cache = False
        size = self._archive.entries[name].size
        self._cache.refuse_beyond(size, self._uri)
        with self._cache.partial(place) as partial:
            digest = _written(partial, lambda write: archives.copy(self._archive, name, write, uri=self._uri))
            path = self._cache.adopt(partial, digest, suffix)
        ref = Ref(uri=self._name(name), etag=self._digest, version_id=None, sha256=digest, size=size, metadata={})
        self._cache.remember(place, ref)
        self._cache.sweep(keep=place)
        return path

    def _name(self, name: str) -> str:
        return f"{self._uri}!{name}"


def _written(path: Path, copy: Callable[[Callable[[bytes], object]], None]) -> str:
    """Write a new file, and return its SHA-256."""
    digest = sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, FILE_MODE)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor

        def write(piece: bytes) -> None:
            digest.update(piece)
            file.write(piece)

        copy(write)
    return digest.hexdigest()
