"""The prediction log as a sink of outcomes: selects, keeps and counts. An output empties its queue."""

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from runtime.prediction_log.entries import LogEntry, keep
from runtime.prediction_log.sampling import is_chosen, key_of
from runtime.sinks import Outcome
from runtime.status import OK
from runtime.telemetry.measurements import LogCounts

if TYPE_CHECKING:
    from runtime.prediction_log.encoding import Encoder

_LIMIT_BYTES: Final = 64 * 2**20  # of the tensors in the queue


class Queue:
    """The predictions that wait, and the counts of all predictions of the log."""

    def __init__(self, limit: int, *, limit_bytes: int = _LIMIT_BYTES) -> None:
        """The queue has at most `limit` predictions, whose tensors have at most `limit_bytes`."""
        self.counts = LogCounts()
        self.is_full = False  # whether no prediction fits; an attribute, because every answer reads it
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._waiting: deque[LogEntry] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, entry: LogEntry) -> None:
        """Add a prediction."""
        self._waiting.append(entry)
        self._bytes += entry.size
        self.is_full = len(self._waiting) >= self._limit or self._bytes >= self._limit_bytes

    def take(self) -> LogEntry:
        """Remove and return the oldest prediction; the queue must not be empty."""
        entry = self._waiting.popleft()
        self._bytes -= entry.size
        self.is_full = self._bytes >= self._limit_bytes
        return entry

    def drop_all(self) -> None:
        """Remove all predictions, and count them as dropped."""
        self.counts.dropped += len(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        self.is_full = False


class Output(Protocol):
    """Sends or writes the predictions in the queue."""

    def wake(self) -> None:
        """Note that the queue is not empty. Every answer calls this, so it does no work itself."""

    async def run(self) -> None:
        """Work until the task is cancelled."""

    async def drain(self, within: float) -> None:
        """Empty the queue within this many seconds, and drop and count the rest."""


class PredictionLog:
    """The sink that `runtime.sinks` knows."""

    name = "prediction log"

    def __init__(self, queue: Queue, encoder: "Encoder", output: Output, *, share: float, most: int) -> None:
        """`share` of the requests are logged, from 0 to 1; `most`: bytes of the data of one event."""
        self._queue = queue
        self._encoder = encoder
        self._output = output
        self._share = share
        self._most = most

    @property
    def counts(self) -> LogCounts:
        """The numbers of predictions since the start."""
        return self._queue.counts

    def offer(self, outcome: Outcome) -> None:
        """Keep the predictions of an answer, or count them as dropped. Errors are not logged: they have metrics."""
        ready = outcome.ready
        if outcome.code != OK or ready is None:
            return
        queries, queue = outcome.queries, self._queue
        if self._share < 1.0 and not self._is_chosen(outcome):
            return
        if queue.is_full:
            queue.counts.dropped += len(queries)
            return
        heads = self._encoder.heads_of(ready)
        request_id, trace = _header(outcome, b"x-request-id"), _header(outcome, b"traceparent")
        answered = outcome.started + outcome.seconds
        for query, prediction in zip(queries, outcome.predictions, strict=True):
            inputs, input_size = keep(query.tensors, self._most)
            outputs, output_size = keep(prediction.outputs, self._most)
            queue.put(
                LogEntry(
                    heads,
                    outcome.protocol,
                    inputs,
                    outputs,
                    query.id,
                    request_id,
                    trace or query.trace,
                    answered,
                    outcome.seconds,
                    prediction.queued,
                    prediction.batched,
                    prediction.ran,
                    input_size + output_size,
                )
            )
        self._output.wake()

    def _is_chosen(self, outcome: Outcome) -> bool:
        request_id, trace = _header(outcome, b"x-request-id"), _header(outcome, b"traceparent")
        return is_chosen(self._share, key_of(request_id, trace, outcome.queries[0].id if outcome.queries else ""))

    async def run(self) -> None:
        """Run the output."""
        await self._output.run()

    async def drain(self, within: float) -> None:
        """Empty the queue within this many seconds."""
        await self._output.drain(within)


def _header(outcome: Outcome, name: bytes) -> str | None:
    value = None if outcome.header is None else outcome.header(name)
    return None if value is None else value.decode("latin-1")
