"""The one use case: validate, batch, run. Knows no wire format and no transport.

submit    a callback gets the answer: no future, no task, no coroutine
predict   the same, awaited
"""

import asyncio
from typing import NamedTuple, Protocol

import numpy as np

from runtime.artifacts.fetch import Artifact
from runtime.batching.batcher import Batcher
from runtime.batching.comparison import rows_in
from runtime.batching.run import Done, Ticket
from runtime.errors import ModelFailed
from runtime.model.signature import Signature
from runtime.tensors import Prediction, Query


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
        self._answers: list[Prediction] = []
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
        self._answers.append(answer)
        start = len(self._answers) * self._size
        if start < self._rows:
            self._under_way = self._submit(start)
        else:
            self._done(self._joined())

    def _joined(self) -> Prediction | ModelFailed:
        """One answer from those of the parts: their outputs in order, their times added up."""
        parts = self._answers
        outputs: list[np.ndarray] = []
        for column in zip(*(each.outputs for each in parts), strict=True):
            if sum(rows_in(output) or 0 for output in column) != self._rows:
                return ModelFailed(self._model.name, f"{self._rows} rows of input gave another number of rows")
            outputs.append(np.concatenate(column))
        return Prediction(
            outputs,
            model=parts[0].model,
            version=parts[0].version,
            arrived=parts[0].arrived,
            queued=sum(each.queued for each in parts),
            batched=sum(each.batched for each in parts),
            ran=sum(each.ran for each in parts),
        )
