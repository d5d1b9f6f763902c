"""A request's way through the queue, and the run that it shares with others."""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from runtime.batching.isolation import Outcome, run_isolating
from runtime.batching.stacking import Tensors
from runtime.errors import DeadlineExceeded, ScalezeroError


class Ticket:
    """One request's way through the queue, and its answer once `future` is done.

    (Plain slots, here and below: these are made for every request, and a frozen dataclass takes four times as long.)
    """

    __slots__ = ("arrived", "deadline", "future", "outputs", "rows", "run", "shapes", "tensors")

    tensors: Tensors
    rows: int
    arrived: float  # this and `deadline` are on `perf_counter`'s clock
    deadline: float
    shapes: object  # what must be equal to share a run
    future: "asyncio.Future[Ticket]"  # gone once it is answered
    outputs: Sequence[np.ndarray]  # one array per output, in the signature's order
    run: "Run"

    def __init__(self, tensors: Tensors, rows: int, arrived: float, deadline: float) -> None:
        self.tensors = tensors
        self.rows = rows
        self.arrived = arrived
        self.deadline = deadline
        self.shapes = None

    def expire(self, now: float) -> None:
        """Answer with `DeadlineExceeded` where it has waited for too long; the model never sees it."""
        if self.deadline <= now and not self.future.done():
            timeout = round(self.deadline - self.arrived, 6)
            self.future.set_exception(DeadlineExceeded(waited=now - self.arrived, timeout=timeout))

    @property
    def queued(self) -> float:
        """Seconds from its arrival until its run began."""
        return self.run.started - self.arrived


class Run:
    """Requests that share a run of the session, counted and timed from the decision to the answers."""

    __slots__ = ("_session_run", "attempts", "batched", "ran", "rows", "started", "tickets")

    def __init__(
        self, tickets: list[Ticket], rows: int, started: float, session_run: Callable[[Tensors], Tensors]
    ) -> None:
        self.tickets = tickets
        self.rows = rows
        self.started = started
        self.attempts = 0
        self.ran = 0.0  # seconds in the session
        self.batched = 0.0  # seconds of stacking and splitting
        self._session_run = session_run

    def together(self) -> list[Outcome]:
        """Run all in one; every ticket gets its outcome. Raises `NotABatchAxis`."""
        return run_isolating(self._timed, [each.tensors for each in self.tickets], [each.rows for each in self.tickets])

    def one_by_one(self) -> list[Outcome]:
        """Run each ticket alone, for a model whose first axis is no batch axis."""
        return [self._alone(each.tensors) for each in self.tickets]

    def _alone(self, tensors: Tensors) -> Outcome:
        try:
            return list(self._timed(tensors))
        except ScalezeroError as error:
            return error

    def _timed(self, tensors: Tensors) -> Tensors:
        begun = perf_counter()
        try:
            return self._session_run(tensors)
        finally:
            self.ran += perf_counter() - begun
            self.attempts += 1
