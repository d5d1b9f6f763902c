"""The thin effects around the policy: a queue on the event loop, one run at a time, answers by callback.

    submit -> queue -> turn: wait, or take a batch of what still wants an answer -> run, inline or on the worker -> done

All but the run itself happens on the event loop's thread, so nothing here needs a lock. A turn is scheduled with
`call_soon`, behind the requests that arrived in the same pass of the loop, so that these share a run. Until the rows
are proven independent each request has a run of its own; the first that wait at the same time give the proof its rows.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from runtime.batching import policy
from runtime.batching.cost import CostModel
from runtime.batching.economy import Economy
from runtime.batching.independence import Independence, Standing
from runtime.batching.inlining import Inlining
from runtime.batching.isolation import Outcome
from runtime.batching.policy import Limits
from runtime.batching.proving import Prover
from runtime.batching.run import Computation, Done, Run, Ticket
from runtime.batching.stacking import NotABatchAxis, shapes_of
from runtime.batching.waiting import Waiting
from runtime.batching.watchdog import Watchdog
from runtime.batching.worker import Worker
from runtime.errors import QueueFull, RunTimeout, ShuttingDown
from runtime.tensors import Query

_GAP_NEWS: Final = 0.1  # weight of the newest gap in the expected one
_LONG_GAP: Final = 3600.0  # before the second arrival nobody else is expected
_LAST_WORDS: Final = 0.5  # seconds that a stopped run has for its answer when the process ends


class Batcher:
    """Shares the runs of one session among concurrent requests. Made and used on one event loop."""

    def __init__(
        self,
        computation: Computation,
        limits: Limits,
        standing: Standing,
        *,
        model: str = "",
        version: str = "",
        report: Callable[[Run], None] = lambda _: None,
        changed: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        """`report` is called after each run that answered callers, `changed` for each new standing."""
        self.limits = limits
        self.cost = CostModel()
        self.busy = False  # a run is on the worker
        self._computation = computation
        self._independence = Independence(standing)
        self._prover = Prover(self._independence, computation, limits, model=model, changed=changed)
        self._report = report
        self._model, self._version = model, version
        self._economy = Economy()
        self._inlining = Inlining(allowed=computation.by_shape)
        self._loop = asyncio.get_running_loop()
        self._waiting = Waiting(self._loop)
        self._worker = Worker(self._loop, "inference")
        self._watchdog = Watchdog(self._loop, model=model, limit=limits.run_timeout, given_up=Run.fail)
        self._on_worker: Run | None = None
        self._turn_due: asyncio.Handle | None = None
        self._lingering = False  # the turn that is due is a wait for more requests
        self._gap = _LONG_GAP
        self._last_arrival = -_LONG_GAP
        self._idle = asyncio.Event()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._waiting)

    @property
    def shares(self) -> bool:
        """Whether rows of several callers may share a run, and a long request may be run in parts."""
        return self._independence.shares

    @property
    def batching(self) -> Standing:
        """Whether runs are shared, and why or why not."""
        return self._independence.standing

    @property
    def stuck(self) -> str | None:
        """Why this process should be ended: a run does not return. None while all is well."""
        return self._watchdog.stuck

    def warmed_up(self, seconds: float) -> None:
        """Take in what a run of one row took, before the first request."""
        self.cost.learn(1, seconds)
        if self._computation.uniform:
            self._inlining.learn(1, None, seconds)

    def submit(self, query: Query, rows: int, done: Done, *, continued: bool = False) -> Ticket:
        """Queue one request; `done` is called once, later and on this thread, unless the ticket is cancelled.

        It gets the prediction, or `DeadlineExceeded`, `RunTimeout` or what the model said of this input. Raises
        `QueueFull` or `ShuttingDown` at once, but not for a request `continued` in another part.
        """
        if not continued:
            if self._closed:
                raise ShuttingDown
            if len(self._waiting) >= self.limits.queue_size:
                raise self._full()
        now = perf_counter()
        self._gap += _GAP_NEWS * (now - self._last_arrival - self._gap)
        self._last_arrival = now
        ticket = Ticket(query.tensors, rows, now, min(now + self.limits.timeout, query.deadline), done)
        if not self._computation.uniform or not rows:  # 0: the request is to run alone
            ticket.shapes, ticket.single = shapes_of(query.tensors, rows)
        self._waiting.append(ticket)
        if self.busy:
            self._waiting.watch(ticket.deadline)
        elif self._turn_due is None or self._lingering:
            self._schedule(0.0)
        return ticket

    async def close(self, *, within: float | None = None) -> None:
        """Accept no more requests, finish queued and running ones, and stop the worker; None: without a time limit.

        After `within` seconds all who still wait get `ShuttingDown`, and a run under way is stopped or left behind.
        """
        self._closed = True
        self._prover.close()
        try:
            await asyncio.wait_for(self._drained(), within)
        except TimeoutError:
            await self._abandon()
        self._worker.end()

    async def _drained(self) -> None:
        while self._waiting or self.busy:
            self._idle.clear()
            await self._idle.wait()

    async def _abandon(self) -> None:
        for ticket in self._waiting.drain():
            ticket.answer(ShuttingDown())
        if self._on_worker is None:
            return
        attempt = self._on_worker.attempt
        if attempt is not None:
            attempt.stop(ShuttingDown())
            _, running = await asyncio.wait([asyncio.ensure_future(self._drained())], timeout=_LAST_WORDS)
            for each in running:
                each.cancel()
        if self._on_worker is not None:
            self._on_worker.fail(ShuttingDown())

    def _full(self) -> QueueFull:
        after = policy.retry_after(
            waiting=len(self._waiting),
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
        """Decide what happens to the queue now, and do it."""
        self._turn_due = None
        now = perf_counter()
        most = 0  # each request alone
        if self._independence.shares:
            most = self.limits.batch_size
            if self.cost.typical >= policy.WORTH_A_THOUGHT and self._waiting:
                if delay := self._wait_for_more(now):
                    self._schedule(delay)
                    return
                most = self._economy.most(self._waiting.rows(most))
        tickets, rows = self._waiting.take(most, now)
        if tickets:
            if not most and (self._waiting or rows > self.limits.batch_size):
                self._prover.keep_rows(tickets[0], self._waiting, now)
            self._start(Run(tickets, rows, now, shared=most > 0 and not tickets[0].single))
        else:
            self._next()

    def _wait_for_more(self, now: float) -> float:
        """Seconds to wait for more requests, where that is better than to run now."""
        waiting = self._waiting.rows(self.limits.batch_size)
        if self._closed or self._economy.most(waiting + 1) <= waiting:
            return 0.0
        return policy.linger(
            self.limits,
            waiting=waiting,
            oldest=self._waiting.oldest,
            soonest=self._waiting.soonest,
            gap=self._gap,
            line=self.cost.line(),
            now=now,
        )

    def _start(self, run: Run) -> None:
        computation = self._computation
        if self._inlining.fits(run.rows, run.tickets[0].shapes):
            try:
                outcomes: Sequence[Outcome] | BaseException = run.inline(computation.run)
            except Exception as error:  # noqa: BLE001 - it travels to whoever waits
                outcomes = error
            self._finish(run, outcomes)
            return
        self.busy = True
        self._on_worker = run
        self._worker.do(lambda: run.on_worker(computation.stoppable), lambda outcomes: self._come_back(run, outcomes))
        self._watchdog.watch(run)
        if self._waiting:
            self._waiting.watch(self._waiting.soonest)

    def _come_back(self, run: Run, outcomes: Sequence[Outcome] | BaseException) -> None:
        self.busy = False
        self._on_worker = None
        self._watchdog.over()
        self._waiting.unwatch()
        self._finish(run, outcomes)

    def _finish(self, run: Run, outcomes: Sequence[Outcome] | BaseException) -> None:
        if isinstance(outcomes, BaseException):
            self._unfinished(run, outcomes)
            return
        if run.attempts == 1:
            self._learn(run)
        run.batched = perf_counter() - run.started - run.ran
        self._report(run)
        run.answer(outcomes, model=self._model, version=self._version)
        self._next()

    def _unfinished(self, run: Run, error: BaseException) -> None:
        """A shared run that shows nothing of its requests is made up for by runs of their own."""
        if isinstance(error, NotABatchAxis):
            self._prover.refute(str(error))
        if isinstance(error, (NotABatchAxis, RunTimeout)):
            self._waiting.put_back(run.tickets)
        else:  # a bug of ours, not of a request: each caller's frontend logs it
            run.fail(error)
        self._next()

    def _learn(self, run: Run) -> None:
        rows = max(run.rows, 1)
        self.cost.learn(rows, run.ran)
        self._inlining.learn(run.rows, run.tickets[0].shapes, run.ran)
        if run.ran >= policy.WORTH_A_THOUGHT:
            self._economy.learn(rows, run.ran)

    def _next(self) -> None:
        if self._prover.last is not None:
            self._prover.go_on()
        if not self._waiting:
            self._idle.set()
        elif self._turn_due is None and not self.busy:
            self._schedule(0.0)
