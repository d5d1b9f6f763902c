"""The start of a proof, and its thread. A proof runs concurrently with the runs that answer callers.

two callers wait at the same time -> copies of their rows -> the callers are answered -> the proof -> its verdict
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from time import perf_counter
from typing import Final

from runtime.batching.independence import Independence, SharingStatus, Verdict
from runtime.batching.policy import Limits
from runtime.batching.run import Computation, Stoppable, Ticket
from runtime.batching.stacking import Tensors
from runtime.batching.waiting import RequestQueue
from runtime.errors import RunTimeout, ScalezeroError, ShuttingDown

_MAX_ROWS: Final = 8  # rows to keep for a proof, which uses the distinct ones


def _copied_rows(tickets: Sequence[Ticket]) -> list[Tensors]:
    """Copy single rows, alternating between the tickets; a caller may change its arrays after its answer."""
    rows: list[Tensors] = []
    longest = max(ticket.rows for ticket in tickets)
    for place in range(longest):
        for ticket in tickets:
            if place < ticket.rows:
                rows.append([tensor[place : place + 1].copy() for tensor in ticket.tensors])
                if len(rows) == _MAX_ROWS:
                    return rows
    return rows


class ProofRun:
    """One proof, on its own thread. The whole proof has the time limit of one run."""

    def __init__(
        self,
        computation: Computation,
        rows: Sequence[Tensors],
        *,
        batch_size: int,
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        """Start the proof; `on_verdict` is called with the verdict on the loop's thread."""
        self._computation = computation
        self._loop = asyncio.get_running_loop()
        self._on_verdict = on_verdict
        self._run: Stoppable | None = None
        self._stopped: ScalezeroError | None = None
        self._due: asyncio.TimerHandle | None = None
        Thread(target=self._prove, args=(rows, batch_size), name="proof", daemon=True).start()

    def limit(self, seconds: float, *, model: str) -> None:
        """Stop the proof after this many seconds (inf: never)."""
        if seconds < math.inf:
            self._due = self._loop.call_later(seconds, self.stop, RunTimeout(model, seconds))

    def stop(self, reason: ScalezeroError) -> None:
        """Stop the proof as soon as possible; its verdict is then that it could not run."""
        self._stopped = reason
        if self._run is not None:
            self._run.stop(reason)

    def _prove(self, rows: Sequence[Tensors], batch_size: int) -> None:
        from runtime.batching.proof import prove

        verdict = prove(self._attempt, rows, batch_size=batch_size, steps=self._computation.steps)
        with suppress(RuntimeError):  # the loop is closed, so nothing needs the verdict
            self._loop.call_soon_threadsafe(self._end, verdict)

    def _attempt(self, tensors: Tensors) -> Tensors:
        self._run = self._computation.stoppable()
        if self._stopped is not None:
            raise self._stopped
        return self._run(tensors)

    def _end(self, verdict: Verdict) -> None:
        if self._due is not None:
            self._due.cancel()
        self._on_verdict(verdict)


class Prover:
    """Starts the proofs of one model, with rows of its callers, and records their verdicts."""

    def __init__(
        self,
        independence: Independence,
        computation: Computation,
        limits: Limits,
        *,
        model: str,
        on_change: Callable[[SharingStatus], None],
    ) -> None:
        self._independence = independence
        self._computation = computation
        self._limits = limits
        self._model = model
        self._on_change = on_change
        self._rows: Sequence[Tensors] = ()
        self._proving: ProofRun | None = None
        self._closed = False
        self.last_ticket: Ticket | None = None  # the due proof starts after the answer of this ticket

    def keep_rows(self, first: Ticket, queue: RequestQueue, now: float) -> None:
        """Copy rows for a proof, if requests could have shared a run or one request could have run in parts."""
        if first.single or not self._independence.wants_rows(now):
            return
        tickets = [first, *queue.similar(first.shapes, _MAX_ROWS - 1)]
        if len(tickets) > 1 or first.rows > self._limits.batch_size:
            self._rows = _copied_rows(tickets)
            self.last_ticket = tickets[-1]
            self._independence.begin()

    def start_due_proof(self) -> None:
        """Start the due proof, if the callers whose rows it uses have their answers."""
        if self.last_ticket is None or self.last_ticket.done is not None or self._closed:
            return
        rows, self._rows, self.last_ticket = self._rows, (), None
        self._proving = ProofRun(self._computation, rows, batch_size=self._limits.batch_size, on_verdict=self._judge)
        self._proving.limit(self._limits.run_timeout, model=self._model)

    def refute(self, reason: str) -> None:
        """Record that a run showed dependent rows, so that no run is shared from now on."""
        self._independence.refute(reason)
        self._on_change(self._independence.status)

    def close(self) -> None:
        """Stop the current proof, and start no other."""
        self._closed = True
        if self._proving is not None:
            self._proving.stop(ShuttingDown())

    def _judge(self, verdict: Verdict) -> None:
        self._proving = None
        before = self._independence.status
        self._independence.judge(verdict, perf_counter())
        if self._independence.status != before:
            self._on_change(self._independence.status)
