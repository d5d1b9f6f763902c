"""A request's way through the queue, and the run that it shares with others."""

import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from runtime.batching.isolation import Outcome, run_isolating
from runtime.batching.stacking import Tensors, check_rows
from runtime.errors import DeadlineExceeded, ScalezeroError
from runtime.tensors import Prediction

if TYPE_CHECKING:
    from runtime.batching.waiting import Waiting

_log = logging.getLogger("scalezero.model")
Done: TypeAlias = Callable[[Prediction | BaseException], None]


class Stoppable(Protocol):
    """One run of a session that another thread can stop."""

    def __call__(self, tensors: Tensors) -> Tensors:
        """Run; raises the reason of `stop` where that came first."""

    def stop(self, reason: ScalezeroError) -> None:
        """Make the run raise `reason` as soon as it can."""


class Unstoppable:
    """A run that nothing stops: a stand-in where the function knows no better."""

    def __init__(self, run: Callable[[Tensors], Tensors]) -> None:
        self._run = run

    def __call__(self, tensors: Tensors) -> Tensors:
        """Run."""
        return self._run(tensors)

    def stop(self, reason: ScalezeroError) -> None:
        """Nothing happens."""


class Computation(NamedTuple):
    """What the batcher must know of a session."""

    run: Callable[[Tensors], Tensors]  # one array per input -> one per output
    stoppable: Callable[[], Stoppable]  # a run for another thread
    uniform: bool  # any two requests' rows fit together
    by_shape: bool  # the shapes of the inputs tell what a run costs
    steps: tuple[float | None, ...] = ()  # quantization step of each output that has one

    @classmethod
    def of(cls, run: Callable[[Tensors], Tensors], *, uniform: bool = True, by_shape: bool = True) -> "Computation":
        """A computation by a plain function, which nothing can stop."""
        return cls(run, lambda: Unstoppable(run), uniform, by_shape)


class Ticket:
    """One request's way through the queue.

    (Plain slots, here and below: these are made for every request, and a frozen dataclass takes four times as long.)
    """

    __slots__ = ("arrived", "deadline", "done", "line", "rows", "shapes", "single", "tensors")

    def __init__(self, tensors: Tensors, rows: int, arrived: float, deadline: float, done: Done) -> None:
        self.tensors = tensors
        self.rows = rows
        self.arrived = arrived  # this and `deadline` are on `perf_counter`'s clock
        self.deadline = deadline
        self.done: Done | None = done  # None once it is answered or cancelled
        self.line: Waiting | None = None  # where it waits
        self.shapes: tuple[tuple[int, ...], ...] | None = None  # what must be equal to share a run
        self.single = False  # it shares no run, whatever the model

    def cancel(self) -> None:
        """Give up the request: it leaves the queue at once, and `done` is never called."""
        if self.done is not None:
            self.done = None
            if self.line is not None:
                self.line.withdraw(self)

    def answer(self, answer: Prediction | BaseException) -> None:
        """Call `done`, once. Its exceptions are only logged, so that they do not affect the other requests."""
        done, self.done = self.done, None
        if done is None:
            return
        try:
            done(answer)
        except Exception:  # noqa: BLE001 - whatever the callback does
            _log.exception("delivering an answer failed")

    def expire(self, now: float) -> None:
        """Answer with `DeadlineExceeded`; the model never sees the request."""
        self.answer(
            DeadlineExceeded(waited=now - self.arrived, timeout=round(max(0.0, self.deadline - self.arrived), 3))
        )


class Run:
    """Requests that share a run of the session, counted and timed from the decision to the answers."""

    __slots__ = ("attempt", "attempt_began", "attempts", "batched", "ran", "rows", "shared", "started", "tickets")

    def __init__(self, tickets: list[Ticket], rows: int, started: float, *, shared: bool) -> None:
        self.tickets = tickets
        self.rows = rows
        self.started = started
        self.shared = shared  # its rows may be parted
        self.attempts = 0
        self.ran = 0.0  # seconds in the session
        self.batched = 0.0  # seconds of stacking and splitting
        self.attempt: Stoppable | None = None  # under way on the worker, since:
        self.attempt_began = 0.0

    def inline(self, run: Callable[[Tensors], Tensors]) -> Sequence[Outcome]:
        """Run on the loop's thread; every ticket gets its outcome. Raises `NotABatchAxis` and `RunTimeout`."""
        return self._alone(run) if len(self.tickets) == 1 else self._together(run)

    def on_worker(self, stoppable: Callable[[], Stoppable]) -> Sequence[Outcome]:
        """The same on another thread, each attempt so that it can be stopped."""

        def attempt(tensors: Tensors) -> Tensors:
            run = stoppable()
            self.attempt_began = perf_counter()
            self.attempt = run
            try:
                return run(tensors)
            finally:
                self.attempt = None

        return self._alone(attempt) if len(self.tickets) == 1 else self._together(attempt)

    def answer(self, outcomes: Sequence[Outcome], *, model: str, version: str) -> None:
        """Give each ticket its prediction or its error."""
        for ticket, outcome in zip(self.tickets, outcomes, strict=True):
            if isinstance(outcome, ScalezeroError):
                ticket.answer(outcome)
            elif ticket.done is not None:
                prediction = Prediction(
                    outcome,
                    model=model,
                    version=version,
                    arrived=ticket.arrived,
                    queued=self.started - ticket.arrived,
                    batched=self.batched,
                    ran=self.ran,
                )
                ticket.answer(prediction)

    def fail(self, error: BaseException) -> None:
        """Give all tickets the error."""
        for ticket in self.tickets:
            ticket.answer(error)

    def _alone(self, run: Callable[[Tensors], Tensors]) -> Sequence[Outcome]:
        """One ticket's run, without what only several need."""
        ticket = self.tickets[0]
        began = perf_counter()
        try:
            outputs = run(ticket.tensors)
        except ScalezeroError as error:
            return (error,)
        finally:
            self.ran += perf_counter() - began
            self.attempts += 1
        if self.shared:
            check_rows(outputs, ticket.rows)
        return (outputs,)

    def _together(self, run: Callable[[Tensors], Tensors]) -> Sequence[Outcome]:
        def timed(tensors: Tensors) -> Tensors:
            began = perf_counter()
            try:
                return run(tensors)
            finally:
                self.ran += perf_counter() - began
                self.attempts += 1

        return run_isolating(timed, [each.tensors for each in self.tickets], [each.rows for each in self.tickets])
