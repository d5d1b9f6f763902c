"""The one use case: validate, batch, run. Knows no wire format and no transport.

submit    a callback gets the answer: no future, no task, no coroutine
predict   the same, awaited
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

_LOOSE: Final = 1024  # arrays


class ReadyModel(NamedTuple):
    """A model that answers: its identity, what it takes, and the queue in front of it."""

    name: str
    version: str
    artifact: Artifact
    signature: Signature
    batcher: Batcher


class Pending(Protocol):
    """A request under way."""

    def cancel(self) -> None:
        """Give it up: it leaves the queue at once, and `done` is never called."""


def submit(model: ReadyModel, query: Query, done: Done) -> Pending:
    """Submit one request; `done` gets its prediction or its error, once, later and on this thread.

    That error is `DeadlineExceeded`, `RunTimeout` or what the model says of this input. Raises `InvalidInput`,
    `QueueFull` or `ShuttingDown` at once.
    """
    rows = model.signature.validate(query.tensors)
    batcher = model.batcher
    if rows > 1 and model.signature.fixed_batch:
        return _Parts(model, query, rows, 1, done)
    if rows > batcher.limits.batch_size and batcher.shares:
        return _Parts(model, query, rows, batcher.limits.batch_size, done)
    return batcher.submit(query, rows, done)


async def predict(model: ReadyModel, query: Query) -> Prediction:
    """Submit one request and wait for its prediction; raises what `submit` raises and what its `done` would get.

    Who is cancelled meanwhile takes the request out of the queue.
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
    """A request that is run in parts, one after the other: others get their turns in between.

    The model's own timeout bounds each part's wait; the query's deadline bounds them all.
    """

    def __init__(self, model: ReadyModel, query: Query, rows: int, size: int, done: Done) -> None:
        self._model = model
        self._query = query
        self._rows = rows
        self._size = size
        self._done = done
        self._taken = 0  # parts
        self._total: Prediction | None = None  # the first answer, with the times of all
        self._columns: list[_Column] = []
        self._under_way: Ticket = self._submit(0)

    def cancel(self) -> None:
        """Give up the part under way and those to come."""
        self._under_way.cancel()

    def _submit(self, start: int) -> Ticket:
        part = [tensor[start : start + self._size] for tensor in self._query.tensors]
        query = Query(part, deadline=self._query.deadline)
        rows = min(self._size, self._rows - start)
        return self._model.batcher.submit(query, rows, self._take, continued=start > 0)

    def _take(self, answer: Prediction | BaseException) -> None:
        if isinstance(answer, BaseException):
            self._done(answer)
            return
        if not (self._model.batcher.shares or self._model.signature.fixed_batch):  # as a run has shown meanwhile
            self._under_way = self._model.batcher.submit(self._query, self._rows, self._done, continued=True)
            return
        total = self._add(answer)
        start = self._taken * self._size
        if start < self._rows:
            self._under_way = self._submit(start)
        else:
            self._done(self._joined(total))

    def _add(self, answer: Prediction) -> Prediction:
        """Take the answer to the next part, and return the first one with the times of all."""
        self._taken += 1
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

    def _joined(self, total: Prediction) -> Prediction | ModelFailed:
        """One answer from those of the parts: their outputs in order; `total` has their times added up."""
        if any(column.rows != self._rows for column in self._columns):
            return ModelFailed(self._model.name, f"{self._rows} rows of input gave another number of rows")
        total.outputs = [column.joined() for column in self._columns]
        return total


class _Column:
    """One output of the parts so far.

    It is put together now and then: a hundred thousand small arrays take more memory than what they hold.
    """

    __slots__ = ("_loose", "_whole", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self._whole: list[np.ndarray] = []
        self._loose: list[np.ndarray] = []

    def add(self, output: np.ndarray) -> None:
        """Take the output of the next part; one without rows is left out."""
        count = rows_in(output)
        if count is None:
            return
        self.rows += count
        self._loose.append(output)
        if len(self._loose) == _LOOSE:
            self._whole.append(np.concatenate(self._loose))
            self._loose = []

    def joined(self) -> np.ndarray:
        """All of it."""
        return np.concatenate([*self._whole, *self._loose])
