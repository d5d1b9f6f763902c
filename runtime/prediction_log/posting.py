"""Posts the events to a sink, over a few connections that stay open.

A sink that is down makes no answer wait: the queue becomes full, further predictions are dropped and counted, and the
log tries again after a growing pause. A message without a response, or with a status that Knative would retry, is sent
again with the same id, so a sink may get an event twice.

    wake (an answer), a response, the end of a pause ──► _send: while there is something to send, an idle connection,
                                                        and time for the log
"""

import asyncio
import logging
from collections import deque
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Final

from runtime.prediction_log.connection import Connection, Message, SinkAddress, connect, reason_of
from runtime.prediction_log.delivery import MAX_ATTEMPTS, DeliveryResult, pause, result_of
from runtime.prediction_log.pace import SLICE, Pace, ThreadClocks

if TYPE_CHECKING:
    from runtime.prediction_log.encoding import Encoder
    from runtime.prediction_log.log import Queue
    from runtime.prediction_log.responses import Response
    from runtime.telemetry.measurements import LogCounts

_log = logging.getLogger("scalezero.prediction_log")
TICK: Final = 0.002  # seconds from a prediction to the start of its event: answers of that time go first
RESPONSE_TIMEOUT: Final = 60.0  # seconds; a Broker may answer only after it has delivered the event
_WATCH: Final = 0.25  # seconds between two checks for responses that do not arrive
_PER_CONNECTION: Final = 16  # waiting predictions for which another connection is opened
_PATIENCE: Final = 5.0  # seconds of a shutdown in which nothing is delivered, until the rest is dropped
_POLL: Final = 0.01  # seconds between two checks in a shutdown
_REPORT: Final = 60.0  # seconds between two log lines about rejected events
_OUTAGE: Final = 3  # failures in sequence; fewer are a restart of the sink, and need no warning


class Poster:
    """The output that posts to a sink. Used on one event loop."""

    def __init__(self, sink: SinkAddress, queue: "Queue", encoder: "Encoder", *, batch: int, connections: int) -> None:
        """`batch`: events in one request; `connections`: at most this many."""
        self._sink = sink
        self._queue = queue
        self._encoder = encoder
        self._batch = batch
        self._most = connections
        self._pace = Pace()
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._again: deque[Message] = deque()  # messages to send again
        self._known: dict[bytes, Response] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None  # the next call of `_send`
        self._watch: asyncio.TimerHandle | None = None  # runs while a request is in flight
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failures = 0  # pauses in sequence
        self._paused_until = 0.0
        self._reported = -_REPORT
        self._draining = False

    async def run(self) -> None:
        """Send from now on. The timers do the work; this task only ends them."""
        self._loop = asyncio.get_running_loop()
        self._clocks = ThreadClocks()
        self.wake()
        try:
            await asyncio.Event().wait()
        finally:
            self._stop()
            self._clocks.close()

    def wake(self) -> None:
        """Start the timer, so that the work begins after the current answers are written."""
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(TICK, self._tick)

    async def drain(self, within: float) -> None:
        """Send the rest. Give up if nothing is delivered for some seconds."""
        loop = asyncio.get_running_loop()
        counts = self._queue.counts
        until = loop.time() + within
        self._draining = True
        self._failures = 0
        self._paused_until = 0.0
        if self._timer is not None:  # it may wait for the end of a pause
            self._timer.cancel()
            self._timer = None
        done, progress = _progress(counts), loop.time()
        while self._pending and loop.time() < min(until, progress + _PATIENCE):
            self.wake()
            await asyncio.sleep(_POLL)
            if _progress(counts) != done:
                done, progress = _progress(counts), loop.time()
        unanswered = [each.message for each in self._open if each.message is not None]
        counts.dropped += sum(each.events for each in (*self._again, *unanswered))
        self._again.clear()
        self._queue.drop_all()
        self._stop()
        if counts.dropped or counts.failed:
            facts = {"sink": self._sink.url, **counts.facts}
            _log.warning("the prediction log is incomplete", extra=facts)

    @property
    def _pending(self) -> bool:
        return bool(self._queue or self._again or len(self._idle) < len(self._open))

    def _stop(self) -> None:
        for each in (self._timer, self._watch, self._connecting):
            if each is not None:
                each.cancel()
        self._loop = self._timer = self._watch = self._connecting = None
        opened, self._open = self._open, set()
        self._idle.clear()
        for connection in opened:
            connection.close()

    def _tick(self) -> None:
        self._timer = None
        now = perf_counter()
        if self._pace.is_due(now):
            self._pace.observe(self._clocks.read())
        self._send(now)

    def _send(self, now: float) -> None:
        """Send what may be sent now, and set the timer for the next attempt if no response will cause it."""
        loop = self._loop
        if loop is None:
            return
        wait = self._send_for(SLICE, now)
        if wait is not None and self._timer is None:
            self._timer = loop.call_later(wait, self._tick)
        if self._watch is None and len(self._idle) < len(self._open):
            self._watch = loop.call_later(_WATCH, self._look)

    def _send_for(self, seconds: float, now: float) -> float | None:
        """Send for some time. Return the seconds until the next attempt; None: an answer or a response causes it."""
        until, spent = now + seconds, thread_time()
        while self._queue or self._again:
            if (paused := self._paused_until - now) > 0:
                return paused
            if not self._draining and (wait := self._pace.wait(now)) > 0:
                return max(wait, TICK)
            if not self._idle:
                self._grow()
                return None
            if now > until:
                return TICK
            message = self._again.popleft() if self._again else self._next()
            self._idle.pop().post(message, now)
            before, spent = spent, thread_time()
            self._pace.spend(spent - before)
            now = perf_counter()
        return None

    def _look(self) -> None:
        """Break the connections whose response is late."""
        self._watch = None
        now = perf_counter()
        for each in [each for each in self._open if each.message is not None and now - each.since > RESPONSE_TIMEOUT]:
            self.broken(each, f"no response within {RESPONSE_TIMEOUT:.0f} s")
        self._send(now)

    def _next(self) -> Message:
        """Encode the oldest predictions."""
        queue = self._queue
        if self._batch == 1:
            return Message(self._encoder.post(queue.take()), 1)
        entries = [queue.take() for _ in range(min(self._batch, len(queue)))]
        return Message(self._encoder.batch(entries), len(entries))

    def _grow(self) -> None:
        """Open another connection if there is none, or if the open ones do not keep up."""
        busy = len(self._open)
        if self._connecting is not None or busy >= self._most or self._loop is None:
            return
        if busy and len(self._queue) + len(self._again) < _PER_CONNECTION * busy:
            return
        self._connecting = self._loop.create_task(self._connect(), name="prediction log connection")

    async def _connect(self) -> None:
        try:
            connection = await connect(self._sink, self, self._known)
        except (OSError, TimeoutError) as error:
            self._fail(reason_of(error))
        else:
            if connection.is_lost:
                self._fail("the sink closed the connection")
            else:
                self._open.add(connection)
                self._idle.append(connection)
        finally:
            self._connecting = None
        self._send(perf_counter())

    def answered(self, connection: Connection, message: Message, response: "Response") -> None:
        """Count a message by its response, and use the connection for the next one."""
        began = thread_time()
        if response.keeps_alive and connection in self._open:
            self._idle.append(connection)
        else:
            self._open.discard(connection)
            connection.close()
        result = result_of(response.status)
        if result is DeliveryResult.DELIVERED:
            self._queue.counts.emitted += message.events
            if self._failures:
                self._recover()
        elif result is DeliveryResult.RETRY:
            self._retry(message, f"HTTP {response.status}", response.retry_after)
        else:
            self._reject(message, response)
        self._pace.spend(thread_time() - began)
        self._send(perf_counter())

    def broken(self, connection: Connection, reason: str) -> None:
        """Remove a connection, and send its message again."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        message = connection.message
        connection.close()
        if message is None:
            self._idle.remove(connection)
        else:
            self._retry(message, reason)
        self._send(perf_counter())

    def _retry(self, message: Message, reason: str, retry_after: str | None = None) -> None:
        if message.attempts >= MAX_ATTEMPTS:
            self._queue.counts.failed += message.events
            self._report("the sink did not accept an event", reason=reason, attempts=message.attempts)
        else:
            self._again.append(message)
        self._fail(reason, retry_after)

    def _fail(self, reason: str, retry_after: str | None = None) -> None:
        """Pause. Failures during a pause belong to the same outage."""
        now = perf_counter()
        if now < self._paused_until:
            return
        self._failures += 1
        # A shutdown ends before the time that a sink may ask for, so it follows its own, short pauses.
        self._paused_until = now + pause(self._failures, None if self._draining else retry_after)
        if self._failures == 1:
            _log.info("the sink failed; trying again", extra={"sink": self._sink.url, "reason": reason})
        elif self._failures == _OUTAGE:
            _log.warning("the sink does not accept predictions", extra={"sink": self._sink.url, "reason": reason})

    def _recover(self) -> None:
        if self._failures >= _OUTAGE:
            _log.info("the sink accepts predictions again", extra={"sink": self._sink.url, **self._queue.counts.facts})
        self._failures = 0

    def _reject(self, message: Message, response: "Response") -> None:
        self._queue.counts.failed += message.events
        text = response.text.decode("utf-8", "replace")
        advice = "; the sink may not accept batches: set SCALEZERO_PREDICTION_LOG_BATCH=1" if self._batch > 1 else ""
        self._report(f"the sink rejected an event{advice}", status=response.status, answer=text)

    def _report(self, text: str, **facts: object) -> None:
        now = perf_counter()
        if now - self._reported >= _REPORT:
            self._reported = now
            _log.warning(text, extra={"sink": self._sink.url, **facts})


def _progress(counts: "LogCounts") -> int:
    return counts.emitted + counts.failed
