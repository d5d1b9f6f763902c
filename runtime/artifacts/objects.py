"""Objects of a store as verified files of the cache. All callers share one pull of an object.

The store is opened for the first request. A warm cache with a known digest needs no request.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runtime.artifacts.cache import Cache, Ref, cache_key
from runtime.artifacts.download import RETRYABLE, Download, RetryBudget, download, with_retries
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.store import OpenedObject, Store
from runtime.artifacts.trust import FILE_MODE, OPEN_FLAGS
from runtime.errors import ArtifactChanged, ArtifactTooLarge, DigestMismatch, InvalidModel, StoreStalled

_log = logging.getLogger("scalezero.artifacts")


class ObjectRequest(NamedTuple):
    """An object to fetch."""

    uri: str
    suffix: str  # of the file name in the cache
    sha256: str | None  # the expected digest
    max_bytes: int  # the limit of its size


class Blob(NamedTuple):
    """A verified file of the cache, and the state of its object when it was pulled."""

    path: Path
    ref: Ref
    from_cache: bool
    verify_seconds: float


class CachedObjects(NamedTuple):
    """The objects of one store, read through the cache."""

    cache: Cache
    scope: str  # identifies the store: the same URI at two endpoints is two objects
    open_store: Callable[[], Store]
    policy: PullPolicy

    def get(self, request: ObjectRequest) -> Blob:
        """Return the object's file. Raises the errors of `fetch`."""
        key = cache_key(self.scope, request.uri)
        if (blob := self._cached_by_digest(key, request)) is not None:
            return blob
        try:
            with self.cache.lock(key, timeout=self.policy.deadline):
                # The previous owner of the lock may have pulled it.
                return self._cached_by_digest(key, request) or self._revalidate(key, request)
        except TimeoutError as error:
            reason = f"another pull of it has locked the cache for {self.policy.deadline:g} s"
            raise StoreStalled(request.uri, reason) from error

    def _cached_by_digest(self, key: str, request: ObjectRequest) -> Blob | None:
        """Return the cached file with the expected digest, without a request. None if there is no digest or no file."""
        if request.sha256 is None:
            return None
        ref = self.cache.read_ref(key)
        if ref is None or ref.sha256 != request.sha256:
            ref = Ref(uri=request.uri, etag=None, version_id=None, sha256=request.sha256, size=0, metadata={})
        return self._cached(ref, request)

    def _cached(self, ref: Ref, request: ObjectRequest) -> Blob | None:
        began = time.perf_counter()
        path = self.cache.verified_blob(ref.sha256, request.suffix)
        if path is None:
            return None
        return Blob(path=path, ref=ref, from_cache=True, verify_seconds=time.perf_counter() - began)

    def _revalidate(self, key: str, request: ObjectRequest) -> Blob:
        """Ask the store whether the cached file is current, and pull the object if not. The caller has the lock."""
        ref = self.cache.read_ref(key)
        if ref is None or request.sha256 not in {None, ref.sha256}:
            return self._pull_retrying_changes(key, request)
        blob = self._cached(ref, request)
        if blob is None:
            return self._pull_retrying_changes(key, request)
        try:
            # No retries, because the cached file can be served.
            opened = self.open_store().open(request.uri, first_bytes=self.policy.part_bytes, if_none_match=ref.etag)
        except RETRYABLE as error:
            facts = {"uri": request.uri, "code": error.code, "reason": error.details["reason"]}
            _log.warning("the store is unavailable; serving the cached object", extra=facts)
            return blob
        return blob if opened is None else self._pull_retrying_changes(key, request, opened)

    def _pull_retrying_changes(self, key: str, request: ObjectRequest, opened: OpenedObject | None = None) -> Blob:
        """Pull the object. If it is replaced during the pull, pull the new object once."""
        try:
            return self._pull(key, request, opened)
        except ArtifactChanged:
            _log.info("the object was replaced during the pull; pulling the new one", extra={"uri": request.uri})
            return self._pull(key, request, None)

    def _pull(self, key: str, request: ObjectRequest, opened: OpenedObject | None) -> Blob:
        budget, store = RetryBudget(self.policy), self.open_store()

        def begin() -> OpenedObject | None:
            return store.open(request.uri, first_bytes=self.policy.part_bytes)

        first = opened or with_retries(begin, budget)
        if first is None or first.info.size == 0:
            raise InvalidModel(request.uri, "the object is empty")
        self._check_size(first.info.size, request)
        with self.cache.partial(key) as path:
            done = _write_file(path, lambda file: download(store, first, file, budget))
            _check_digest(done, request)
            return self._add_to_cache(key, request, path, done)

    def _check_size(self, size: int, request: ObjectRequest) -> None:
        """Check the size before the first write: the file is sparse, so a full disk would be detected late."""
        if size > request.max_bytes:
            other_files = self.policy.max_bytes - request.max_bytes  # bytes of the model's other files
            raise ArtifactTooLarge(request.uri, size=other_files + size, limit=self.policy.max_bytes)
        self.cache.check_free_space(size, request.uri)

    def _add_to_cache(self, key: str, request: ObjectRequest, partial: Path, done: Download) -> Blob:
        path = self.cache.add_blob(partial, done.sha256, request.suffix)
        ref = Ref(
            uri=request.uri,
            etag=done.info.etag,
            version_id=done.info.version_id,
            sha256=done.sha256,
            size=done.info.size,
            metadata=done.info.metadata,
        )
        self.cache.write_ref(key, ref)
        self.cache.sweep(keep=key)
        return Blob(path=path, ref=ref, from_cache=False, verify_seconds=done.verify_seconds)


def _write_file(path: Path, write: Callable[[int], Download]) -> Download:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, FILE_MODE)
    try:
        return write(file)
    finally:
        os.close(file)


def _check_digest(done: Download, request: ObjectRequest) -> None:
    expected = request.sha256 or done.info.sha256
    if expected not in {None, done.sha256}:
        raise DigestMismatch(request.uri, expected=str(expected), got=done.sha256)
