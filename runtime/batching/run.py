"""A request in the queue (`Ticket`), and the run that it shares with other requests (`Run`)."""

import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from runtime.batching.isolation import Outcome, run_isolating
from runtime.batching.stacking import Tensors, check_rows
from runtime.errors import DeadlineExceeded, ScalezeroError
from runtime.tensors import Prediction

if TYPE_CHECKING:
    from runtime.batching.waiting import RequestQueue

_log = logging.getLogger("scalezero.model")
Done: TypeAlias = Callable[[Prediction | BaseException], None]


class Stoppable(Protocol):
    """One run of a session that another thread can stop."""

    def __call__(self, tensors: Tensors) -> Tensors:
        """Run; raises the `reason` of `stop` if `stop` was called before the run ended."""

    def stop(self, reason: ScalezeroError) -> None:
        """Make the run raise `reason` as soon as possible."""


class Unstoppable:
    """A run by a plain function, which cannot be stopped."""

    def __init__(self, run: Callable[[Tensors], Tensors]) -> None:
        self._run = run

    def __call__(self, tensors: Tensors) -> Tensors:
        """Run."""
        return self._run(tensors)

    def stop(self, reason: ScalezeroError) -> None:
        """Do nothing."""


class Computation(NamedTuple):
    """The functions and properties of a session that the batcher needs."""

    run: Callable[[Tensors], Tensors]  # one array per input -> one per output
    stoppable: Callable[[], Stoppable]  # makes a run that another thread can stop
    uniform: bool  # the rows of any two requests have the same shape
    by_shape: bool  # the duration of a run depends only on the shapes of its inputs
    steps: tuple[float | None, ...] = ()  # the quantization step of each output; None: it has none

    @classmethod
    def of(cls, run: Callable[[Tensors], Tensors], *, uniform: bool = True, by_shape: bool = True) -> "Computation":
        """Make a computation from a plain function, whose runs cannot be stopped."""
        return cls(run, lambda: Unstoppable(run), uniform, by_shape)


class Ticket:
    """One request in the queue.

    (This class and `Run` use plain slots: every request creates them, and creating a frozen dataclass takes four times
    as long.)
    """

    __slots__ = ("arrived", "deadline", "done", "queue", "rows", "shapes", "single", "tensors")

    def __init__(self, tensors: Tensors, rows: int, arrived: float, deadline: float, done: Done) -> None:
        self.tensors = tensors
        self.rows = rows
        self.arrived = arrived  # `arrived` and `deadline` are on the clock of `perf_counter`
        self.deadline = deadline
        self.done: Done | None = done  # None: answered or cancelled
        self.queue: RequestQueue | None = None  # None: not waiting
        self.shapes: tuple[tuple[int, ...], ...] | None = None  # must be equal for tickets to share a run
        self.single = False  # never shares a run, even if the model's rows are independent

    def cancel(self) -> None:
        """Cancel the request: remove it from the queue, and never call `done`."""
        if self.done is not None:
            self.done = None
            if self.queue is not None:
                self.queue.withdraw(self)

    def answer(self, answer: Prediction | BaseException) -> None:
        """Call `done`, once. Its exceptions are logged and not raised, so that they do not affect other requests."""
        done, self.done = self.done, None
        if done is None:
            return
        try:
            done(answer)
        except Exception:  # noqa: BLE001 - a callback may raise anything
            _log.exception("delivering an answer failed")

    def expire(self, now: float) -> None:
        """Answer with `DeadlineExceeded`, without a run of the model."""
        self.answer(
            DeadlineExceeded(waited=now - self.arrived, timeout=round(max(0.0, self.deadline - self.arrived), 3))
        )


class Run:
    """The requests that share a run of the session, with the counts and times of the run."""

    __slots__ = ("attempt", "attempt_began", "attempts", "batched", "ran", "rows", "shared", "started", "tickets")

    def __init__(self, tickets: list[Ticket], rows: int, started: float, *, shared: bool) -> None:
        self.tickets = tickets
        self.rows = rows
        self.started = started
        self.shared = shared  # the outputs must have one row for each row of input
        self.attempts = 0
        self.ran = 0.0  # seconds in the session
        self.batched = 0.0  # seconds of stacking and splitting
        self.attempt: Stoppable | None = None  # in progress on the worker
        self.attempt_began = 0.0  # the start of `attempt`

    def inline(self, run: Callable[[Tensors], Tensors]) -> Sequence[Outcome]:
        """Run on the loop's thread; return the outcome of each ticket. Raises `NotABatchAxis` and `RunTimeout`."""
        return self._run_single(run) if len(self.tickets) == 1 else self._run_shared(run)

    def on_worker(self, stoppable: Callable[[], Stoppable]) -> Sequence[Outcome]:
        """Run as `inline` does, but on another thread; each attempt can be stopped."""

        def attempt(tensors: Tensors) -> Tensors:
            run = stoppable()
            self.attempt_began = perf_counter()
            self.attempt = run
            try:
                return run(tensors)
            finally:
                self.attempt = None

        return self._run_single(attempt) if len(self.tickets) == 1 else self._run_shared(attempt)

    def answer(self, outcomes: Sequence[Outcome], *, model: str, version: str) -> None:
        """Answer each ticket with its prediction or its error."""
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
        """Answer all tickets with the error."""
        for ticket in self.tickets:
            ticket.answer(error)

    def _run_single(self, run: Callable[[Tensors], Tensors]) -> Sequence[Outcome]:
        """Run one ticket, without stacking and splitting."""
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

    def _run_shared(self, run: Callable[[Tensors], Tensors]) -> Sequence[Outcome]:
        def timed(tensors: Tensors) -> Tensors:
            began = perf_counter()
            try:
                return run(tensors)
            finally:
                self.ran += perf_counter() - began
                self.attempts += 1

        return run_isolating(timed, [each.tensors for each in self.tickets], [each.rows for each in self.tickets])
