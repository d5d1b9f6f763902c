"""Where predictions go besides their callers: a prediction log, traces. A sink never delays an answer.

    an answer is encoded -> Sinks.offer -> the queue of each sink, or one more drop -> its task -> `take`

Without a sink an answer costs the test whether there is one.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.tensors import Prediction, Query

if TYPE_CHECKING:
    from runtime.background import Background

_log = logging.getLogger("scalezero.sinks")
_AT_ONCE: Final = 256  # outcomes that are taken together


class Outcome(NamedTuple):
    """One inference that has its answer. `queries` and `predictions` are those of the answer, not copies."""

    protocol: str
    model: str
    version: str | None  # None: not known, as the model was not loaded
    code: str  # "ok", or the code of the error that was answered
    started: float  # when the request came, on `perf_counter`'s clock
    seconds: float  # until its answer was encoded
    queries: Sequence[Query] = ()  # empty for an error
    predictions: Sequence[Prediction] = ()  # in the order of the queries


class Sink:
    """A bounded queue, and the task that empties it."""

    def __init__(
        self,
        name: str,
        take: Callable[[Sequence[Outcome]], Awaitable[None]],
        *,
        limit: int = 1024,
        limit_bytes: int = 64 * 2**20,
    ) -> None:
        """`take` gets what has come, in order; what it raises is logged.

        At most `limit` outcomes wait, and their tensors have at most `limit_bytes`; text in them is not counted.
        """
        self.name = name
        self.dropped = 0  # outcomes that found the queue full
        self.failed = 0  # outcomes that `take` raised for
        self._take = take
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._waiting: deque[tuple[Outcome, int]] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._idle = asyncio.Event()  # nothing waits, and nothing is being taken
        self._idle.set()

    def offer(self, outcome: Outcome, size: int) -> None:
        """Queue an outcome whose tensors have so many bytes, or count it as dropped."""
        if len(self._waiting) >= self._limit or self._bytes + size > self._limit_bytes:
            self.dropped += 1
            return
        self._waiting.append((outcome, size))
        self._bytes += size
        self._idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Empty the queue, again and again."""
        while True:
            await self._news.wait()
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            try:
                await self._take([outcome for outcome, _ in taken])
            except Exception:  # noqa: BLE001 - a sink must not end the queue
                self.failed += len(taken)
                _log.exception("a sink failed", extra={"sink": self.name, "outcomes": len(taken)})
            self._bytes -= sum(size for _, size in taken)
            if not self._waiting:
                self._news.clear()
                self._idle.set()

    async def drain(self, within: float) -> None:
        """Wait until all is taken, for so many seconds at most; what still waits then counts as dropped."""
        try:
            await asyncio.wait_for(self._idle.wait(), within)
        except TimeoutError:
            self.dropped += len(self._waiting)
            self._waiting.clear()
        if self.dropped or self.failed:
            facts = {"sink": self.name, "dropped": self.dropped, "failed": self.failed}
            _log.warning("a sink dropped outcomes", extra=facts)


class Sinks:
    """All sinks of a process. Who has an outcome looks at `any` first."""

    __slots__ = ("_background", "_sinks", "any")

    def __init__(self, background: "Background") -> None:
        self.any = False  # a plain attribute, as every answer looks at it
        self._background = background
        self._sinks: list[Sink] = []

    def add(self, sink: Sink) -> None:
        """Let a sink have all outcomes from now on."""
        self._sinks.append(sink)
        self.any = True
        self._background.start(f"sink {sink.name}", sink.run())

    def offer(self, outcome: Outcome) -> None:
        """Offer an outcome to each sink."""
        size = sum(array.nbytes for query in outcome.queries for array in query.tensors)
        size += sum(array.nbytes for prediction in outcome.predictions for array in prediction.outputs)
        for sink in self._sinks:
            sink.offer(outcome, size)

    async def drain(self, *, within: float) -> None:
        """Wait until every queue is empty, for so many seconds at most."""
        await asyncio.gather(*(sink.drain(within) for sink in self._sinks))
