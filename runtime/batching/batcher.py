"""The batcher: a queue on the event loop, one run at a time, and answers by callback. The decisions are in `policy.py`.

    submit -> queue -> turn: wait, or take a batch of open requests -> run, inline or on the worker -> done

Everything except a run on the worker happens on the event loop's thread, so no locks are needed. A turn is scheduled
with `call_soon`, after all requests that arrived in the same pass of the loop, so that these share a run. Concurrent
requests wait one pass more (see `policy.waits_a_pass`). Until the rows are proven independent, each request has its own
run; the first requests that wait at the same time provide the rows for the proof.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from runtime.batching import policy
from runtime.batching.cost import CostModel, Line
from runtime.batching.economy import Economy
from runtime.batching.independence import Independence, SharingStatus
from runtime.batching.inlining import Inlining
from runtime.batching.isolation import Outcome
from runtime.batching.policy import Limits
from runtime.batching.proving import Prover
from runtime.batching.run import Computation, Done, Run, Ticket
from runtime.batching.stacking import NotABatchAxis, shapes_of
from runtime.batching.waiting import RequestQueue
from runtime.batching.watchdog import Watchdog
from runtime.batching.worker import Worker
from runtime.errors import QueueFull, RunTimeout, ShuttingDown
from runtime.tensors import Query

_GAP_WEIGHT: Final = 0.1  # weight of the newest gap in the moving average
_INITIAL_GAP: Final = 3600.0  # seconds; before the second arrival, no other request is expected
_STOP_TIMEOUT: Final = 0.5  # seconds for a stopped run to return when the process ends


class Batcher:
    """A queue that shares the runs of one session among concurrent requests. Created and used on one event loop."""

    def __init__(
        self,
        computation: Computation,
        limits: Limits,
        status: SharingStatus,
        *,
        model: str = "",
        version: str = "",
        on_run: Callable[[Run], None] = lambda _: None,
        on_status_change: Callable[[SharingStatus], None] = lambda _: None,
    ) -> None:
        """Call `on_run` after each run that answers callers, and `on_status_change` with each new status."""
        self.limits = limits
        self.cost = CostModel()
        self.busy = False  # a run is on the worker
        self._computation = computation
        self._independence = Independence(status)
        self._prover = Prover(self._independence, computation, limits, model=model, on_change=on_status_change)
        self._on_run = on_run
        self._model, self._version = model, version
        self._economy = Economy()
        self._inlining = Inlining(allowed=computation.by_shape)
        self._loop = asyncio.get_running_loop()
        self._queue = RequestQueue(self._loop)
        self._worker = Worker(self._loop, "inference")
        self._watchdog = Watchdog(self._loop, model=model, limit=limits.run_timeout, abandon=Run.fail)
        self._on_worker: Run | None = None
        self._turn_due: asyncio.Handle | None = None
        self._lingering = False  # the scheduled turn is a wait for more requests
        self._passed = False  # the next run has waited one pass of the loop
        self._last_size = 1  # requests of the last run
        self._gap = _INITIAL_GAP
        self._last_arrival = -_INITIAL_GAP
        self._idle = asyncio.Event()
        self._closed = False

    @property
    def waiting(self) -> int:
        """The number of requests in the queue."""
        return len(self._queue)

    @property
    def shares(self) -> bool:
        """Whether rows of several callers may share a run, and a large request may run in parts."""
        return self._independence.shares

    @property
    def batching(self) -> SharingStatus:
        """Whether runs are shared, and why or why not."""
        return self._independence.status

    @property
    def stuck(self) -> str | None:
        """Why this process must be restarted (a run does not return); None: it is healthy."""
        return self._watchdog.stuck

    def expect(self, line: Line) -> None:
        """Begin with durations that were measured before this process, so that the first runs batch as later ones do.

        The choice of batch sizes (`economy.py`) needs no such start: it uses all sizes until they are measured.
        """
        self.cost.expect(line, self.limits.batch_size)

    def record_warm_up(self, seconds: float) -> None:
        """Record the duration of a run of one row in the warm-up, before the first request."""
        self.cost.learn(1, seconds)
        if self._computation.uniform:
            self._inlining.learn(1, None, seconds)

    def submit(self, query: Query, rows: int, done: Done, *, continued: bool = False) -> Ticket:
        """Queue one request; `done` is called once, later and on this thread, unless the ticket is cancelled.

        `done` gets the prediction, `DeadlineExceeded`, `RunTimeout` or the model's error for this input. Raises
        `QueueFull` or `ShuttingDown`, except if `continued`: the request continues one that was accepted before.
        """
        if not continued:
            if self._closed:
                raise ShuttingDown
            if len(self._queue) >= self.limits.queue_size:
                raise self._queue_full()
        now = perf_counter()
        self._gap += _GAP_WEIGHT * (now - self._last_arrival - self._gap)
        self._last_arrival = now
        ticket = Ticket(query.tensors, rows, now, min(now + self.limits.timeout, query.deadline), done)
        if not self._computation.uniform or not rows:  # 0: the request must run alone
            ticket.shapes, ticket.single = shapes_of(query.tensors, rows)
        self._queue.append(ticket)
        if self.busy:
            self._queue.watch_deadline(ticket.deadline)
        elif self._turn_due is None or self._lingering:
            self._schedule(0.0)
        return ticket

    async def close(self, *, within: float | None = None) -> None:
        """Accept no more requests, finish the queued and running ones, and stop the worker.

        After `within` seconds (None: no limit), all waiting requests get `ShuttingDown`, and a run in progress is
        stopped; a run that does not return is abandoned.
        """
        self._closed = True
        self._prover.close()
        try:
            await asyncio.wait_for(self._drained(), within)
        except TimeoutError:
            await self._abandon()
        self._worker.stop()

    async def _drained(self) -> None:
        while self._queue or self.busy:
            self._idle.clear()
            await self._idle.wait()

    async def _abandon(self) -> None:
        for ticket in self._queue.drain():
            ticket.answer(ShuttingDown())
        if self._on_worker is None:
            return
        attempt = self._on_worker.attempt
        if attempt is not None:
            attempt.stop(ShuttingDown())
            _, running = await asyncio.wait([asyncio.ensure_future(self._drained())], timeout=_STOP_TIMEOUT)
            for each in running:
                each.cancel()
        if self._on_worker is not None:
            self._on_worker.fail(ShuttingDown())

    def _queue_full(self) -> QueueFull:
        after = policy.retry_after(
            waiting=len(self._queue),
            batch_size=self.limits.batch_size if self.shares else 1,
            seconds_per_run=self.cost.line().predict(self.limits.batch_size if self.shares else 1),
        )
        return QueueFull(limit=self.limits.queue_size, retry_after=after)

    def _schedule(self, delay: float) -> None:
        if self._turn_due is not None:
            self._turn_due.cancel()
        self._lingering = delay > 0
        self._turn_due = self._loop.call_later(delay, self._turn) if delay else self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Start the next run, or wait for more requests."""
        self._turn_due = None
        now = perf_counter()
        max_rows = 0  # each request alone
        if self._independence.shares:
            if not self._passed and policy.waits_a_pass(self.limits, waiting=len(self._queue), last=self._last_size):
                self._passed = True
                self._schedule(0.0)
                return
            max_rows = self.limits.batch_size
            if self.cost.typical >= policy.MIN_RUN_TO_WAIT and self._queue:
                if delay := self._linger_time(now):
                    self._schedule(delay)
                    return
                max_rows = self._economy.max_rows(self._queue.rows(max_rows))
        self._passed = False
        tickets, rows = self._queue.take(max_rows, now)
        if tickets:
            self._last_size = len(tickets)
            if not max_rows and (self._queue or rows > self.limits.batch_size):
                self._prover.keep_rows(tickets[0], self._queue, now)
            self._start(Run(tickets, rows, now, shared=max_rows > 0 and not tickets[0].single))
        else:
            self._schedule_next()

    def _linger_time(self, now: float) -> float:
        """Return how many seconds to wait for more requests; 0 if running now is better."""
        waiting = self._queue.rows(self.limits.batch_size)
        if self._closed or self._economy.max_rows(waiting + 1) <= waiting:
            return 0.0
        return policy.linger(
            self.limits,
            waiting=waiting,
            oldest_arrival=self._queue.oldest_arrival,
            earliest_deadline=self._queue.earliest_deadline,
            gap=self._gap,
            line=self.cost.line(),
            now=now,
        )

    def _start(self, run: Run) -> None:
        computation = self._computation
        if self._inlining.fits(run.rows, run.tickets[0].shapes):
            try:
                outcomes: Sequence[Outcome] | BaseException = run.inline(computation.run)
            except Exception as error:  # noqa: BLE001 - passed to the callers
                outcomes = error
            self._finish(run, outcomes)
            return
        self.busy = True
        self._on_worker = run
        self._worker.submit(
            lambda: run.on_worker(computation.stoppable), lambda outcomes: self._worker_done(run, outcomes)
        )
        self._watchdog.watch(run)
        if self._queue:
            self._queue.watch_deadline(self._queue.earliest_deadline)

    def _worker_done(self, run: Run, outcomes: Sequence[Outcome] | BaseException) -> None:
        self.busy = False
        self._on_worker = None
        self._watchdog.run_returned()
        self._queue.stop_watching()
        self._finish(run, outcomes)

    def _finish(self, run: Run, outcomes: Sequence[Outcome] | BaseException) -> None:
        if isinstance(outcomes, BaseException):
            self._run_failed(run, outcomes)
            return
        if run.attempts == 1:
            self._learn(run)
        run.batched = perf_counter() - run.started - run.ran
        self._on_run(run)
        run.answer(outcomes, model=self._model, version=self._version)
        self._schedule_next()

    def _run_failed(self, run: Run, error: BaseException) -> None:
        """Queue the requests of a failed run again, each for a separate run, or fail them if the error is a bug."""
        if isinstance(error, NotABatchAxis):
            self._prover.refute(str(error))
        if isinstance(error, (NotABatchAxis, RunTimeout)):
            self._queue.put_back(run.tickets)
        else:  # a bug in scalezero, not an error of a request; the frontend of each caller logs it
            run.fail(error)
        self._schedule_next()

    def _learn(self, run: Run) -> None:
        rows = max(run.rows, 1)
        self.cost.learn(rows, run.ran)
        self._inlining.learn(run.rows, run.tickets[0].shapes, run.ran)
        if run.ran >= policy.MIN_RUN_TO_WAIT:
            self._economy.learn(rows, run.ran)

    def _schedule_next(self) -> None:
        if self._prover.last_ticket is not None:
            self._prover.start_due_proof()
        if not self._queue:
            self._idle.set()
        elif self._turn_due is None and not self.busy:
            self._schedule(0.0)
