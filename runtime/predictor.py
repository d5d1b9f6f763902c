"""The use case of a prediction: validate, batch, run. Independent of wire formats and transports.

submit    answers by a callback: no future, no task, no coroutine
predict   does the same as a coroutine
"""

import asyncio
from typing import Final, NamedTuple, Protocol

import numpy as np

from runtime.artifacts.fetch import Artifact
from runtime.batching.batcher import Batcher
from runtime.batching.comparison import rows_in
from runtime.batching.run import Done, Ticket
from runtime.errors import ModelFailed
from runtime.model.signature import Signature
from runtime.tensors import Prediction, Query
from runtime.variants.choosing import Serving

_MAX_PIECES: Final = 1024  # arrays until they are concatenated


class ReadyModel(NamedTuple):
    """A loaded model: its identity, its signature, and its batcher."""

    name: str
    version: str
    artifact: Artifact
    signature: Signature
    batcher: Batcher
    serving: Serving = Serving()  # which of its variants it is


class Pending(Protocol):
    """A submitted request."""

    def cancel(self) -> None:
        """Cancel the request: remove it from the queue, and never call `done`."""


def submit(model: ReadyModel, query: Query, done: Done) -> Pending:
    """Submit one request; `done` is called once with the prediction or the error, later and on this thread.

    The error is `DeadlineExceeded`, `RunTimeout` or the model's error for this input. Raises `InvalidInput`,
    `QueueFull` or `ShuttingDown`; then `done` is not called.
    """
    rows = model.signature.validate(query.tensors)
    batcher = model.batcher
    if rows > 1 and model.signature.fixed_batch:
        return _Parts(model, query, rows, 1, done)
    if rows > batcher.limits.batch_size and batcher.shares:
        return _Parts(model, query, rows, batcher.limits.batch_size, done)
    return batcher.submit(query, rows, done)


async def predict(model: ReadyModel, query: Query) -> Prediction:
    """Submit one request and wait for its prediction. Raises the errors of `submit` and those that `done` gets.

    If the caller is cancelled, the request is removed from the queue.
    """
    answer: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()

    def done(outcome: Prediction | BaseException) -> None:
        if answer.done():
            return
        if isinstance(outcome, BaseException):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    pending = submit(model, query, done)
    try:
        return await answer
    except asyncio.CancelledError:
        pending.cancel()
        raise


class _Parts:
    """A request that runs in parts, one after the other, so that other requests can run in between.

    The model's timeout applies to the wait of each part, the query's deadline to the whole request.
    """

    def __init__(self, model: ReadyModel, query: Query, rows: int, size: int, done: Done) -> None:
        self._model = model
        self._query = query
        self._rows = rows
        self._size = size
        self._done = done
        self._parts_done = 0
        self._total: Prediction | None = None  # the first answer, with the times of all parts
        self._columns: list[_Column] = []
        self._current: Ticket = self._submit(0)

    def cancel(self) -> None:
        """Cancel the current part and all later ones."""
        self._current.cancel()

    def _submit(self, start: int) -> Ticket:
        part = [tensor[start : start + self._size] for tensor in self._query.tensors]
        query = Query(part, deadline=self._query.deadline)
        rows = min(self._size, self._rows - start)
        return self._model.batcher.submit(query, rows, self._part_done, continued=start > 0)

    def _part_done(self, answer: Prediction | BaseException) -> None:
        if isinstance(answer, BaseException):
            self._done(answer)
            return
        if not (self._model.batcher.shares or self._model.signature.fixed_batch):  # a run has shown dependent rows
            self._current = self._model.batcher.submit(self._query, self._rows, self._done, continued=True)
            return
        total = self._add(answer)
        start = self._parts_done * self._size
        if start < self._rows:
            self._current = self._submit(start)
        else:
            self._done(self._join(total))

    def _add(self, answer: Prediction) -> Prediction:
        """Add the answer of the next part, and return the first answer with the times of all parts."""
        self._parts_done += 1
        total = self._total
        if total is None:
            total = self._total = answer
            self._columns = [_Column() for _ in answer.outputs]
        else:
            total.queued += answer.queued
            total.batched += answer.batched
            total.ran += answer.ran
        for column, output in zip(self._columns, answer.outputs, strict=True):
            column.add(output)
        return total

    def _join(self, total: Prediction) -> Prediction | ModelFailed:
        """Return one answer with the outputs of all parts in order; `total` has the sums of their times."""
        wrong = next((column.rows for column in self._columns if column.rows != self._rows), None)
        if wrong is not None:
            return ModelFailed(self._model.name, f"an output has {wrong} rows for {self._rows} rows of input")
        total.outputs = [column.join() for column in self._columns]
        return total


class _Column:
    """One output of the parts so far.

    The arrays are concatenated from time to time, because 100,000 small arrays need more memory than their elements.
    """

    __slots__ = ("_blocks", "_pieces", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self._blocks: list[np.ndarray] = []
        self._pieces: list[np.ndarray] = []

    def add(self, output: np.ndarray) -> None:
        """Add the output of the next part; an output without rows is ignored."""
        count = rows_in(output)
        if count is None:
            return
        self.rows += count
        self._pieces.append(output)
        if len(self._pieces) == _MAX_PIECES:
            self._blocks.append(np.concatenate(self._pieces))
            self._pieces = []

    def join(self) -> np.ndarray:
        """Return the whole output."""
        return np.concatenate([*self._blocks, *self._pieces])
