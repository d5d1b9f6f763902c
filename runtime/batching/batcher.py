"""The thin effects around the policy: a queue on the event loop, one run at a time, answers as futures.

    submit -> queue -> turn: wait, or take a batch of what wants an answer yet -> run, inline or on the worker -> answer

All but the run itself happens on the event loop's thread, so nothing here needs a lock. A turn is scheduled with
`call_soon`, behind the requests that arrived in the same pass of the loop, so that these share a run.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from runtime.batching import policy
from runtime.batching.cost import CostModel
from runtime.batching.economy import Economy
from runtime.batching.isolation import Outcome
from runtime.batching.policy import Limits
from runtime.batching.run import Run, Ticket
from runtime.batching.stacking import NotABatchAxis, Tensors, shapes_of
from runtime.errors import QueueFull, ScalezeroError, ShuttingDown

_GAP_NEWS = 0.1  # weight of the newest gap in the expected one
_LONG_GAP = 3600.0  # before the second arrival nobody else is expected


class Batcher:
    """Shares the runs of one session among concurrent requests. Made and used on one event loop."""

    def __init__(
        self,
        run: Callable[[Tensors], Tensors],
        limits: Limits,
        *,
        batchable: bool,
        uniform: bool,
        prove: Callable[[], bool] = lambda: True,
        report: Callable[[Run], None] = lambda _: None,
    ) -> None:
        """`run` maps one array per input to one per output; `uniform` says that any two requests' rows fit together.

        `batchable` is what names and shapes suggest; `prove` is asked once, before the first run of several rows.
        """
        self.limits = limits
        self.cost = CostModel()
        self._economy = Economy()
        self.busy = False  # a run is on the worker
        self._run = run
        self._batchable = batchable  # a guess from names and shapes, until it is proven
        self._unproven = True
        self._prove = prove
        self._uniform = uniform
        self._report = report
        self._queue: deque[Ticket] = deque()
        self._loop = asyncio.get_running_loop()
        self._worker = ThreadPoolExecutor(1, "inference")
        self._turn_due: asyncio.Handle | None = None
        self._lingering = False  # the turn that is due is a wait for company
        self._expiry_due: asyncio.TimerHandle | None = None
        self._expiry_at = 0.0  # on the loop's clock; uvloop's handle cannot tell where it is due at once
        self._gap = _LONG_GAP
        self._last_arrival = -_LONG_GAP
        self._idle = asyncio.Event()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._queue)

    @property
    def slow(self) -> bool:
        """Whether what is submitted now waits long enough for its caller to leave meanwhile."""
        return self.busy or self.cost.typical > policy.INLINE_SECONDS

    @property
    def batchable(self) -> bool:
        """Whether rows may share a run and be parted, as far as the runs have shown."""
        return self._batchable

    def submit(self, tensors: Tensors, rows: int, *, timeout: float | None = None) -> "asyncio.Future[Ticket]":
        """Queue one request of at most `batch_size` rows; cancelling the future takes it out again.

        `timeout` (seconds) shortens the model's own. Raises `QueueFull` or `ShuttingDown` at once; the future raises
        `DeadlineExceeded` or what the model said of this input.
        """
        if self._closed:
            raise ShuttingDown
        if len(self._queue) >= self.limits.queue_size:
            raise self._full()
        now = perf_counter()
        self._gap += _GAP_NEWS * (now - self._last_arrival - self._gap)
        self._last_arrival = now
        lasts = self.limits.timeout if timeout is None else min(timeout, self.limits.timeout)
        ticket = Ticket(tensors, rows, now, now + lasts)
        ticket.future = future = self._loop.create_future()
        if not self._uniform:
            ticket.shapes = shapes_of(tensors)
        self._queue.append(ticket)
        if self.busy:
            self._watch(ticket)
        elif self._turn_due is None or self._lingering:
            self._schedule(0.0)
        return future

    async def close(self) -> None:
        """Take nothing more, finish what is queued and in flight, and end the worker."""
        self._closed = True
        while self._queue or self.busy:
            self._idle.clear()
            await self._idle.wait()
        self._worker.shutdown()

    def _full(self) -> QueueFull:
        after = policy.retry_after(
            waiting=len(self._queue),
            batch_size=self.limits.batch_size,
            seconds_per_run=self.cost.line().predict(self.limits.batch_size),
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
        if self.cost.typical >= policy.WORTH_A_THOUGHT and (delay := self._company_pays(now)):
            self._schedule(delay)
            return
        run = self._take(now)
        if run.tickets:
            self._start(run)
        else:
            self._next()

    def _company_pays(self, now: float) -> float:
        """Seconds to wait for more requests, where that is better than to run now."""
        if not self._batchable or not self._queue or self._closed:
            return 0.0
        waiting = len(self._queue)
        if self._economy.most(waiting + 1) <= waiting:
            return 0.0
        oldest, line = self._queue[0].arrived, self.cost.line()
        return policy.linger(self.limits, waiting=waiting, oldest=oldest, gap=self._gap, line=line, now=now)

    def _most_rows(self) -> int:
        """Rows that the next run may take."""
        if not self._batchable:
            return 1
        most = self.limits.batch_size
        if self.cost.typical < policy.WORTH_A_THOUGHT:
            return most
        return self._economy.most(min(most, sum(ticket.rows for ticket in self._queue)))

    def _take(self, now: float) -> Run:
        """The first request that still wants an answer and what may share its run, in order."""
        queue = self._queue
        tickets: list[Ticket] = []
        passed: list[Ticket] = []
        rows = 0
        most = self._most_rows()
        while queue and rows < most:
            ticket = queue.popleft()
            if ticket.deadline <= now or ticket.future.done():
                ticket.expire(now)
            elif tickets and (ticket.shapes != tickets[0].shapes or rows + ticket.rows > most):
                passed.append(ticket)
            else:
                tickets.append(ticket)
                rows += ticket.rows
        if passed:
            queue.extendleft(reversed(passed))
        return Run(tickets, rows, now, self._run)

    def _start(self, run: Run) -> None:
        if policy.runs_inline(self.cost, run.rows):
            try:
                outcomes = self._execute(run)
            except Exception as error:  # noqa: BLE001 - it travels to whoever waits
                self._break(run, error)
            else:
                self._finish(run, outcomes)
            return
        self.busy = True
        running = self._loop.run_in_executor(self._worker, self._execute, run)
        running.add_done_callback(lambda done: self._come_back(run, done))
        if self._queue:
            self._watch(min(self._queue, key=lambda waiting: waiting.deadline))

    def _execute(self, run: Run) -> list[Outcome]:
        if self._batchable and self._unproven and run.rows > 1:
            self._unproven = False
            self._batchable = self._prove()
        if self._batchable:
            try:
                return run.together()
            except NotABatchAxis:
                self._batchable = False
        return run.one_by_one()

    def _come_back(self, run: Run, done: "asyncio.Future[list[Outcome]]") -> None:
        self.busy = False
        if self._expiry_due is not None:
            self._expiry_due.cancel()
            self._expiry_due = None
        error = done.exception()
        if error is None:
            self._finish(run, done.result())
        else:
            self._break(run, error)

    def _break(self, run: Run, error: BaseException) -> None:
        """Tell a bug of ours, not of a request, to all who wait for the run: each caller's frontend logs it."""
        for ticket in run.tickets:
            if not ticket.future.done():
                ticket.future.set_exception(error)
        self._next()

    def _finish(self, run: Run, outcomes: list[Outcome]) -> None:
        run.batched = perf_counter() - run.started - run.ran
        if run.attempts == 1:
            self.cost.learn(run.rows, run.ran)
            if run.ran >= policy.WORTH_A_THOUGHT:
                self._economy.learn(run.rows, run.ran)
        for ticket, outcome in zip(run.tickets, outcomes, strict=True):
            future = ticket.future
            if future.done():
                continue
            if isinstance(outcome, ScalezeroError):
                future.set_exception(outcome)
            else:
                ticket.outputs = outcome
                ticket.run = run
                del ticket.future  # as `run.tickets` below: a cycle would live until the next garbage collection
                future.set_result(ticket)
        self._report(run)
        run.tickets = []
        self._next()

    def _next(self) -> None:
        if not self._queue:
            self._idle.set()
        elif self._turn_due is None:
            self._schedule(0.0)

    def _watch(self, ticket: Ticket) -> None:
        """While a run keeps the queue waiting, see to it that the ticket is answered at its deadline."""
        due = self._loop.time() + max(0.0, ticket.deadline - perf_counter())
        if self._expiry_due is None or due < self._expiry_at:
            if self._expiry_due is not None:
                self._expiry_due.cancel()
            self._expiry_at = due
            self._expiry_due = self._loop.call_at(due, self._sweep)

    def _sweep(self) -> None:
        """Answer everything whose deadline has passed, and look again at the next one."""
        self._expiry_due = None
        now = perf_counter()
        for ticket in self._queue:
            ticket.expire(now)
        self._queue = deque(ticket for ticket in self._queue if not ticket.future.done())
        if self._queue:
            self._watch(min(self._queue, key=lambda ticket: ticket.deadline))
