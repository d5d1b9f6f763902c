"""One pull: parallel ranged reads of one pinned version into a file, hashed in order, resumed where they broke.

The pieces of a part go to disk at their own place as they come, so nothing is held in memory. The part whose turn it is
gets hashed from the file while later parts still arrive: the digest then vouches for what was written, and the read
is served by the page cache.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runtime.artifacts.policy import MIB, Part, PullPolicy, remaining_parts
from runtime.artifacts.store import ObjectInfo, Opened, Store
from runtime.errors import StoreStalled, StoreUnreachable

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tenacity import RetryCallState

T = TypeVar("T")
OUTAGE = (StoreUnreachable, StoreStalled)
FIRST_WAIT = 0.1  # seconds at most before the first retry, twice that before the next, ...
LONGEST_WAIT = 2.0  # seconds at most between two tries


class GivenUpError(Exception):
    """Another part failed permanently, so this part stops."""


class Effort:
    """How long one pull has tried, shared by the threads of its parts."""

    def __init__(self, policy: PullPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self.policy = policy
        self.clock = clock
        self.began = self.progressed = clock()  # when the pull began, and when the last new byte came
        self.failure: BaseException | None = None
        self._over = threading.Event()

    def progress(self, uri: str) -> None:
        """Note new bytes. Raises `StoreStalled` past the deadline and `GivenUpError` where the pull has failed."""
        if self._over.is_set():
            raise GivenUpError
        self.progressed = self.clock()
        if self.progressed - self.began > self.policy.deadline:
            raise StoreStalled(uri, f"the pull was not done within its deadline of {self.policy.deadline:g} s")

    def exhausted(self, after: float = 0.0) -> bool:
        """Whether there is no sense in another try `after` seconds from now."""
        now = self.clock() + after
        return (
            self._over.is_set()
            or now - self.began >= self.policy.deadline
            or now - self.progressed >= self.policy.patience
        )

    def fail(self, error: BaseException) -> None:
        """Stop every part; the first failure is reported."""
        if self.failure is None and not isinstance(error, GivenUpError):
            self.failure = error
        self._over.set()

    def sleep(self, seconds: float) -> None:
        """Wait, but not past the end of the pull."""
        self._over.wait(seconds)


def persist(attempt: Callable[[], T], effort: Effort) -> T:
    """Try until it works or the effort is exhausted; only an outage is worth another try."""
    try:
        return attempt()
    except OUTAGE:
        if effort.exhausted():
            raise
    # Only now: a healthy cold start does not pay for the import.
    import random

    import tenacity

    def stop(state: "RetryCallState") -> bool:
        return effort.exhausted(after=state.upcoming_sleep)

    effort.sleep(random.uniform(0, FIRST_WAIT))  # noqa: S311 (jitter, not a secret)
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(OUTAGE),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        stop=stop,
        sleep=effort.sleep,
        reraise=True,
    )(attempt)


class Download(NamedTuple):
    """A finished pull of `info` into a file."""

    info: ObjectInfo
    sha256: str  # of the bytes in the file, lower-case hex
    verify_seconds: float  # spent on hashing while nothing else could go on in this thread


def download(store: Store, opened: Opened, file: int, effort: Effort) -> Download:
    """Write the opened object into the file descriptor and hash it.

    Raises the store's `ModelUnavailable` errors, and OSError where the file cannot be written.
    """
    pull = _Pull(store=store, info=opened.info, file=file, effort=effort)
    parts = remaining_parts(opened.info.size, have=opened.end, part_bytes=effort.policy.part_bytes)
    if not parts:
        pull.copy(Part(0, opened.end), opened.pieces)
        return pull.finish([Part(0, opened.end)])

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(effort.policy.concurrency, thread_name_prefix="pull") as pool:
        first = pool.submit(pull.copy, Part(0, opened.end), opened.pieces)
        rest = [pool.submit(pull.copy, part) for part in parts]
        try:
            return pull.finish([Part(0, opened.end), *parts], [first, *rest])
        except BaseException as error:
            effort.fail(error)
            pool.shutdown(cancel_futures=True)
            if effort.failure is not None and effort.failure is not error:
                raise effort.failure from error
            raise


class _Pull(NamedTuple):
    store: Store
    info: ObjectInfo
    file: int
    effort: Effort

    def copy(self, part: Part, pieces: Iterator[bytes] | None = None) -> None:
        """Bring one part into the file; `pieces` are what is already on the way."""
        offset = part.start
        arriving = pieces

        def attempt() -> None:
            nonlocal offset, arriving
            began, source = offset, arriving or self.store.read(self.info, offset, part.end)
            arriving = None
            try:
                for piece in source:
                    self.effort.progress(self.info.uri)
                    _write(self.file, piece, offset)
                    offset += len(piece)
                if offset != part.end:
                    raise StoreUnreachable(self.info.uri, f"the answer ended at byte {offset} of {part.end}")
            except OUTAGE:
                # A connection that brought something is no outage yet: go on at once, with all the patience.
                if offset == began or self.effort.exhausted():
                    raise

        try:
            while offset != part.end:
                persist(attempt, self.effort)
        except BaseException as error:
            self.effort.fail(error)
            raise

    def finish(self, parts: list[Part], done: "list[Future[None]] | None" = None) -> Download:
        """Hash the parts in order, each as soon as it is there."""
        digest, spent = sha256(), 0.0
        for index, part in enumerate(parts):
            if done is not None:
                done[index].result()
            began = time.perf_counter()
            for piece in read_back(self.file, part):
                digest.update(piece)
            spent += time.perf_counter() - began
        return Download(info=self.info, sha256=digest.hexdigest(), verify_seconds=spent)


def read_back(file: int, part: Part) -> Iterator[bytes]:
    """Yield the part's bytes from the file, at most 1 MiB at a time."""
    for offset in range(part.start, part.end, MIB):
        yield os.pread(file, min(MIB, part.end - offset), offset)


def _write(file: int, piece: bytes, offset: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
