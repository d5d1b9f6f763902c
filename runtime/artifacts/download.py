"""One pull: parallel ranged reads of one pinned version into a file, hashed in order, resumed after an error.

Each piece of a part is written to its offset in the file when it arrives, so memory use is small. The parts are hashed
in order, from the file, while later parts still arrive. The digest therefore covers the bytes in the file, and the page
cache serves the reads.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runtime.artifacts.policy import MIB, Part, PullPolicy, remaining_parts
from runtime.artifacts.store import ObjectInfo, OpenedObject, Store
from runtime.errors import StoreStalled, StoreUnreachable

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tenacity import RetryCallState

T = TypeVar("T")
RETRYABLE = (StoreUnreachable, StoreStalled)
FIRST_BACKOFF = 0.1  # maximum seconds before the first retry; doubled for each further retry
MAX_BACKOFF = 2.0  # maximum seconds before any retry


class PullCancelledError(Exception):
    """Another part failed permanently, so this part stops."""


class RetryBudget:
    """The time limits and the cancellation of one pull, shared by the threads of its parts."""

    def __init__(self, policy: PullPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self.policy = policy
        self.clock = clock
        self.started_at = self.progress_at = clock()  # start of the pull; arrival of the latest bytes
        self.failure: BaseException | None = None
        self._cancelled = threading.Event()

    def record_progress(self, uri: str) -> None:
        """Record that bytes arrived. Raises `StoreStalled` after the deadline, `PullCancelledError` after a failure."""
        if self._cancelled.is_set():
            raise PullCancelledError
        self.progress_at = self.clock()
        if self.progress_at - self.started_at > self.policy.deadline:
            raise StoreStalled(uri, f"the pull did not finish within its deadline of {self.policy.deadline:g} s")

    def exhausted(self, after: float = 0.0) -> bool:
        """Whether no retry is allowed `after` seconds from now."""
        now = self.clock() + after
        return (
            self._cancelled.is_set()
            or now - self.started_at >= self.policy.deadline
            or now - self.progress_at >= self.policy.progress_timeout
        )

    def cancel(self, error: BaseException) -> None:
        """Stop all parts of the pull. The first error becomes its `failure`."""
        if self.failure is None and not isinstance(error, PullCancelledError):
            self.failure = error
        self._cancelled.set()

    def sleep(self, seconds: float) -> None:
        """Sleep until the pull is cancelled, at most for `seconds`."""
        self._cancelled.wait(seconds)


def with_retries(attempt: Callable[[], T], budget: RetryBudget) -> T:
    """Call `attempt` until it succeeds or the budget is exhausted. Only an outage of the store is retried."""
    try:
        return attempt()
    except RETRYABLE:
        if budget.exhausted():
            raise
    # Imported here, so that a cold start without errors does not pay for it.
    import random

    import tenacity

    def stop(state: "RetryCallState") -> bool:
        return budget.exhausted(after=state.upcoming_sleep)

    budget.sleep(random.uniform(0, FIRST_BACKOFF))  # noqa: S311 (jitter, not a secret)
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(RETRYABLE),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_BACKOFF, max=MAX_BACKOFF),
        stop=stop,
        sleep=budget.sleep,
        reraise=True,
    )(attempt)


class Download(NamedTuple):
    """A finished pull of `info` into a file."""

    info: ObjectInfo
    sha256: str  # of the bytes in the file, lower-case hex
    verify_seconds: float  # time that this thread spent on hashing


def download(store: Store, opened: OpenedObject, file: int, budget: RetryBudget) -> Download:
    """Write the opened object to the file descriptor and hash it.

    Raises the store's `ModelUnavailable` errors, and OSError if the file cannot be written.
    """
    pull = _Pull(store=store, info=opened.info, file=file, budget=budget)
    parts = remaining_parts(opened.info.size, have=opened.end, part_bytes=budget.policy.part_bytes)
    if not parts:
        pull.copy(Part(0, opened.end), opened.pieces)
        return pull.finish([Part(0, opened.end)])

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(budget.policy.concurrency, thread_name_prefix="pull") as pool:
        first = pool.submit(pull.copy, Part(0, opened.end), opened.pieces)
        rest = [pool.submit(pull.copy, part) for part in parts]
        try:
            return pull.finish([Part(0, opened.end), *parts], [first, *rest])
        except BaseException as error:
            budget.cancel(error)
            pool.shutdown(cancel_futures=True)
            if budget.failure is not None and budget.failure is not error:
                raise budget.failure from error
            raise


class _Pull(NamedTuple):
    store: Store
    info: ObjectInfo
    file: int
    budget: RetryBudget

    def copy(self, part: Part, pieces: Iterator[bytes] | None = None) -> None:
        """Write one part to the file. `pieces` is its response, if the request was already sent."""
        offset = part.start
        response = pieces

        def attempt() -> None:
            nonlocal offset, response
            first_offset, source = offset, response or self.store.read(self.info, offset, part.end)
            response = None
            try:
                for piece in source:
                    self.budget.record_progress(self.info.uri)
                    _write(self.file, piece, offset)
                    offset += len(piece)
                if offset != part.end:
                    raise StoreUnreachable(self.info.uri, f"the response ended at byte {offset} of {part.end}")
            except RETRYABLE:
                # A connection that delivered bytes was no outage: resume without a backoff.
                if offset == first_offset or self.budget.exhausted():
                    raise

        try:
            while offset != part.end:
                with_retries(attempt, self.budget)
        except BaseException as error:
            self.budget.cancel(error)
            raise

    def finish(self, parts: list[Part], done: "list[Future[None]] | None" = None) -> Download:
        """Hash the parts in order, each as soon as it is complete."""
        digest, verify_seconds = sha256(), 0.0
        for index, part in enumerate(parts):
            if done is not None:
                done[index].result()
            began = time.perf_counter()
            for piece in read_part(self.file, part):
                digest.update(piece)
            verify_seconds += time.perf_counter() - began
        return Download(info=self.info, sha256=digest.hexdigest(), verify_seconds=verify_seconds)


def read_part(file: int, part: Part) -> Iterator[bytes]:
    """Yield the bytes of a part from the file, at most 1 MiB at a time."""
    for offset in range(part.start, part.end, MIB):
        yield os.pread(file, min(MIB, part.end - offset), offset)


def _write(file: int, piece: bytes, offset: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
