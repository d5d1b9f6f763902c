"""Further receivers of predictions, such as the prediction log. A sink never delays an answer.

    an answer is encoded -> Sinks.offer -> each sink keeps what it needs, or counts it as dropped -> its own task

Without a sink, the only cost per answer is the check of `Sinks.any`.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from runtime.tensors import Prediction, Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.background import Background
    from runtime.predictor import ReadyModel


class Outcome(NamedTuple):
    """One answered inference. `queries` and `predictions` are the objects of the answer, not copies."""

    protocol: str
    model: str
    version: str | None  # None: unknown, because the model was not loaded
    code: str  # "ok", or the code of the error in the answer
    started: float  # when the request arrived, on the clock of `perf_counter`
    seconds: float  # until its answer was encoded
    queries: Sequence[Query] = ()  # empty for an error
    predictions: Sequence[Prediction] = ()  # in the order of the queries
    ready: "ReadyModel | None" = None  # the model that answered; None for an error. A sink must not keep it in memory
    header: "Callable[[bytes], bytes | None] | None" = None  # reads a header of the request; None: it has none


class Sink(Protocol):
    """A receiver of outcomes."""

    name: str

    def offer(self, outcome: Outcome) -> None:
        """Keep an outcome for later, or drop it. Every answer calls this, so it takes a few microseconds at most."""

    async def run(self) -> None:
        """Process what was kept, until the task is cancelled."""

    async def drain(self, within: float) -> None:
        """Finish what was kept, within this many seconds. Called once, after the last answer."""


class Sinks:
    """All sinks of a process. Check `any` before creating an outcome."""

    __slots__ = ("_background", "_sinks", "any", "offer")

    def __init__(self, background: "Background") -> None:
        self.any = False  # whether there is a sink; an attribute, because every answer reads it
        self._background = background
        self._sinks: list[Sink] = []
        self.offer: Callable[[Outcome], None] = self._offer_to_all  # the only sink's own method, which saves a call

    def add(self, sink: Sink) -> None:
        """Add a sink, which gets all outcomes from now on."""
        self._sinks.append(sink)
        self.any = True
        self.offer = sink.offer if len(self._sinks) == 1 else self._offer_to_all
        self._background.start(f"sink {sink.name}", sink.run())

    def _offer_to_all(self, outcome: Outcome) -> None:
        for sink in self._sinks:
            sink.offer(outcome)

    async def drain(self, *, within: float) -> None:
        """Let all sinks finish, within this many seconds."""
        await asyncio.gather(*(sink.drain(within) for sink in self._sinks))
