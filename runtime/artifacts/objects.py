"""One object of a store as one verified file of the cache: at most one pull of it at a time, for all callers.

The store is only opened when the first request is due, which a warm cache with a known digest never needs.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runtime.artifacts.cache import Cache, Ref, place_name
from runtime.artifacts.download import OUTAGE, Download, Effort, download, persist
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.store import Opened, Store
from runtime.artifacts.trust import FILE_MODE, OPEN_FLAGS
from runtime.errors import ArtifactChanged, ArtifactTooLarge, DigestMismatch, InvalidModel, StoreStalled

_log = logging.getLogger("scalezero.artifacts")


class Wanted(NamedTuple):
    """An object to bring: where it is, what it must be, and the file name suffix that it keeps."""

    uri: str
    suffix: str
    sha256: str | None
    most: int  # bytes that it may have


class Blob(NamedTuple):
    """A verified file of the cache, and what it was when it was pulled."""

    path: Path
    ref: Ref
    from_cache: bool
    verify_seconds: float


class CachedObjects(NamedTuple):
    """The objects of one store, through the cache."""

    cache: Cache
    scope: str  # names the store: one URI at two endpoints is two objects
    open_store: Callable[[], Store]
    policy: PullPolicy

    def get(self, wanted: Wanted) -> Blob:
        """Return the object's file. Raises the errors of `fetch`."""
        place = place_name(self.scope, wanted.uri)
        if (blob := self._known(place, wanted)) is not None:
            return blob
        try:
            with self.cache.lock(place, timeout=self.policy.deadline):
                # Whoever held the lock may have brought it meanwhile.
                return self._known(place, wanted) or self._refresh(place, wanted)
        except TimeoutError as error:
            reason = f"another pull of it has held the cache for {self.policy.deadline:g} s"
            raise StoreStalled(wanted.uri, reason) from error

    def _known(self, place: str, wanted: Wanted) -> Blob | None:
        """Answer without the store: only possible where the digest is given."""
        if wanted.sha256 is None:
            return None
        ref = self.cache.recall(place)
        if ref is None or ref.sha256 != wanted.sha256:
            ref = Ref(uri=wanted.uri, etag=None, version_id=None, sha256=wanted.sha256, size=0, metadata={})
        return self._cached(ref, wanted)

    def _cached(self, ref: Ref, wanted: Wanted) -> Blob | None:
        began = time.perf_counter()
        path = self.cache.verified(ref.sha256, wanted.suffix)
        if path is None:
            return None
        return Blob(path=path, ref=ref, from_cache=True, verify_seconds=time.perf_counter() - began)

    def _refresh(self, place: str, wanted: Wanted) -> Blob:
        """Ask the store, with the place's lock held; pull what is new."""
        ref = self.cache.recall(place)
        if ref is None or wanted.sha256 not in {None, ref.sha256}:
            return self._pull_fresh(place, wanted)
        blob = self._cached(ref, wanted)
        if blob is None:
            return self._pull_fresh(place, wanted)
        try:
            # Asked once, without patience: an old answer is at hand.
            opened = self.open_store().open(wanted.uri, first=self.policy.part_bytes, unless=ref.etag)
        except OUTAGE as error:
            facts = {"uri": wanted.uri, "code": error.code, "reason": error.details["reason"]}
            _log.warning("serving from the cache without a check of the store", extra=facts)
            return blob
        return blob if opened is None else self._pull_fresh(place, wanted, opened)

    def _pull_fresh(self, place: str, wanted: Wanted, opened: Opened | None = None) -> Blob:
        """Pull; an object that is replaced meanwhile is pulled once more, as the new one."""
        try:
            return self._pull(place, wanted, opened)
        except ArtifactChanged:
            _log.info("the object was replaced during the pull; pulling the new one", extra={"uri": wanted.uri})
            return self._pull(place, wanted, None)

    def _pull(self, place: str, wanted: Wanted, opened: Opened | None) -> Blob:
        effort, store = Effort(self.policy), self.open_store()

        def begin() -> Opened | None:
            return store.open(wanted.uri, first=self.policy.part_bytes)

        first = opened or persist(begin, effort)
        if first is None or first.info.size == 0:
            raise InvalidModel(wanted.uri, "the object is empty")
        self._refuse_too_large(first.info.size, wanted)
        with self.cache.partial(place) as path:
            done = _into(path, lambda file: download(store, first, file, effort))
            _compare(done, wanted)
            return self._adopt(place, wanted, path, done)

    def _refuse_too_large(self, size: int, wanted: Wanted) -> None:
        """Refuse before anything is written: parts are written at their place, so the disk alone would not tell."""
        if size > wanted.most:
            so_far = self.policy.max_bytes - wanted.most  # of the model's other files
            raise ArtifactTooLarge(wanted.uri, size=so_far + size, limit=self.policy.max_bytes)
        self.cache.refuse_beyond(size, wanted.uri)

    def _adopt(self, place: str, wanted: Wanted, partial: Path, done: Download) -> Blob:
        path = self.cache.adopt(partial, done.sha256, wanted.suffix)
        ref = Ref(
            uri=wanted.uri,
            etag=done.info.etag,
            version_id=done.info.version_id,
            sha256=done.sha256,
            size=done.info.size,
            metadata=done.info.metadata,
        )
        self.cache.remember(place, ref)
        self.cache.sweep(keep=place)
        return Blob(path=path, ref=ref, from_cache=False, verify_seconds=done.verify_seconds)


def _into(path: Path, write: Callable[[int], Download]) -> Download:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, FILE_MODE)
    try:
        return write(file)
    finally:
        os.close(file)


def _compare(done: Download, wanted: Wanted) -> None:
    expected = wanted.sha256 or done.info.sha256
    if expected not in {None, done.sha256}:
        raise DigestMismatch(wanted.uri, expected=str(expected), got=done.sha256)
