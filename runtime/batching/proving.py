"""When a proof begins, and the thread that it runs on, beside the runs that answer callers.

two callers wait at once -> copies of their rows -> they are answered -> the proof -> its verdict
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from time import perf_counter
from typing import Final

from runtime.batching.independence import Independence, Standing, Verdict
from runtime.batching.policy import Limits
from runtime.batching.run import Computation, Stoppable, Ticket
from runtime.batching.stacking import Tensors
from runtime.batching.waiting import Waiting
from runtime.errors import RunTimeout, ScalezeroError, ShuttingDown

MOST_ROWS: Final = 8  # that are kept for a proof: it chooses the distinct ones among them


def rows_of(tickets: Sequence[Ticket]) -> list[Tensors]:
    """Copies of single rows, taken in turn from the tickets: a caller may change its arrays once it is answered."""
    rows: list[Tensors] = []
    longest = max(ticket.rows for ticket in tickets)
    for place in range(longest):
        for ticket in tickets:
            if place < ticket.rows:
                rows.append([tensor[place : place + 1].copy() for tensor in ticket.tensors])
                if len(rows) == MOST_ROWS:
                    return rows
    return rows


class Proving:
    """One proof. All of it takes at most the time that one run may take."""

    def __init__(
        self,
        computation: Computation,
        rows: Sequence[Tensors],
        *,
        batch_size: int,
        told: Callable[[Verdict], None],
    ) -> None:
        """Start; `told` gets the verdict on the loop's thread."""
        self._computation = computation
        self._loop = asyncio.get_running_loop()
        self._told = told
        self._run: Stoppable | None = None
        self._stopped: ScalezeroError | None = None
        self._due: asyncio.TimerHandle | None = None
        Thread(target=self._prove, args=(rows, batch_size), name="proof", daemon=True).start()

    def limit(self, seconds: float, *, model: str) -> None:
        """Stop it after so many seconds."""
        if seconds < math.inf:
            self._due = self._loop.call_later(seconds, self.stop, RunTimeout(model, seconds))

    def stop(self, reason: ScalezeroError) -> None:
        """Make it end as soon as it can, without a proof."""
        self._stopped = reason
        if self._run is not None:
            self._run.stop(reason)

    def _prove(self, rows: Sequence[Tensors], batch_size: int) -> None:
        from runtime.batching.proof import prove

        verdict = prove(self._attempt, rows, batch_size=batch_size, steps=self._computation.steps)
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            self._loop.call_soon_threadsafe(self._end, verdict)

    def _attempt(self, tensors: Tensors) -> Tensors:
        self._run = self._computation.stoppable()
        if self._stopped is not None:
            raise self._stopped
        return self._run(tensors)

    def _end(self, verdict: Verdict) -> None:
        if self._due is not None:
            self._due.cancel()
        self._told(verdict)


class Prover:
    """Brings a model's standing forward, from the rows of its callers."""

    def __init__(
        self,
        independence: Independence,
        computation: Computation,
        limits: Limits,
        *,
        model: str,
        changed: Callable[[Standing], None],
    ) -> None:
        self._independence = independence
        self._computation = computation
        self._limits = limits
        self._model = model
        self._changed = changed
        self._rows: Sequence[Tensors] = ()
        self._proving: Proving | None = None
        self._closed = False
        self.last: Ticket | None = None  # whose answer comes before the proof that is due

    def keep_rows(self, first: Ticket, waiting: Waiting, now: float) -> None:
        """Keep rows for a proof, where the requests could have shared a run or one could have been cut."""
        if first.single or not self._independence.wants_rows(now):
            return
        tickets = [first, *waiting.alike(first.shapes, MOST_ROWS - 1)]
        if len(tickets) > 1 or first.rows > self._limits.batch_size:
            self._rows = rows_of(tickets)
            self.last = tickets[-1]
            self._independence.begin()

    def go_on(self) -> None:
        """Begin the proof that is due, once those whose rows it takes have their answers."""
        if self.last is None or self.last.done is not None or self._closed:
            return
        rows, self._rows, self.last = self._rows, (), None
        self._proving = Proving(self._computation, rows, batch_size=self._limits.batch_size, told=self._judge)
        self._proving.limit(self._limits.run_timeout, model=self._model)

    def refute(self, reason: str) -> None:
        """A run has shown that rows must not be shared."""
        self._independence.refute(reason)
        self._changed(self._independence.standing)

    def close(self) -> None:
        """Stop a proof under way, and begin none."""
        self._closed = True
        if self._proving is not None:
            self._proving.stop(ShuttingDown())

    def _judge(self, verdict: Verdict) -> None:
        self._proving = None
        before = self._independence.standing
        self._independence.judge(verdict, perf_counter())
        if self._independence.standing != before:
            self._changed(self._independence.standing)
