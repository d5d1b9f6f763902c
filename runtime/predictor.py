"""The one use case: validate, batch, run, name the outputs. Knows no wire format and no transport."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from runtime.artifacts.fetch import Artifact
from runtime.batching.batcher import Batcher
from runtime.batching.run import Run, Ticket
from runtime.model.signature import Signature

T = TypeVar("T")
Gone: TypeAlias = Callable[[], Awaitable[None]]  # returns when the caller has left


class CallerGone(Exception):
    """The caller left before its request reached the model."""


class ReadyModel(NamedTuple):
    """A model that answers: its identity, what it takes, and the queue in front of it."""

    name: str
    version: str
    artifact: Artifact
    signature: Signature
    batcher: Batcher


def old_predict(
    model: ReadyModel, tensors: Sequence[np.ndarray], *, gone: Gone | None = None, timeout: float | None = None
) -> Awaitable[Ticket]:
    """Submit one request: `tensors` holds one array per input, in the signature's order, rows along the first axis.

    Raises `InvalidInput`, `QueueFull` or `ShuttingDown` at once. What is returned gives the outputs,
    one array per output in the signature's order, or raises `DeadlineExceeded`, what the model says of this input, or
    `CallerGone` where `gone` returned first; the request is then taken out of the queue. (Not a coroutine itself: a
    layer less on the path of every request.)
    """
    rows = model.signature.validate(tensors)
    batcher = model.batcher
    if rows > batcher.limits.batch_size and batcher.batchable:
        return _in_parts(model, tensors, rows, gone, timeout)
    completed = batcher.submit(tensors, rows, timeout=timeout)
    return unless_gone(completed, gone) if batcher.slow and gone else completed


async def unless_gone(answer: "asyncio.Future[T]", gone: Gone) -> T:
    """Wait for the answer or for the caller to leave; in the latter case cancel it and raise `CallerGone`."""
    leaving = asyncio.ensure_future(gone())
    either: set[asyncio.Future[Any]] = {answer, leaving}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            raise CallerGone
        return answer.result()
    finally:
        leaving.cancel()


async def _in_parts(
    model: ReadyModel, tensors: Sequence[np.ndarray], rows: int, gone: Gone | None, lasts: float | None
) -> Ticket:
    """Run a request that is larger than a batch as several, one after the other: others get their turns in between.

    The deadline is that of each part's own wait.
    """
    batcher = model.batcher
    size = batcher.limits.batch_size
    done: list[Ticket] = []
    for start in range(0, rows, size):
        some = [tensor[start : start + size] for tensor in tensors]
        part = batcher.submit(some, len(some[0]), timeout=lasts)
        done.append(await (unless_gone(part, gone) if gone else part))
    if not batcher.batchable:  # as the parts have shown: what they answer is not what the whole does
        whole = batcher.submit(tensors, rows, timeout=lasts)
        return await (unless_gone(whole, gone) if gone else whole)
    return _joined(done)


def _joined(parts: Sequence[Ticket]) -> Ticket:
    """One answer from those of the parts: their outputs in order, their times added up."""
    whole = Ticket((), sum(each.rows for each in parts), parts[0].arrived, parts[0].deadline)
    whole.outputs = [np.concatenate(column) for column in zip(*(each.outputs for each in parts), strict=True)]
    started = whole.arrived + sum(each.queued for each in parts)  # so that all of their waits count as this one's
    whole.run = Run(list(parts), whole.rows, started, lambda _: ())
    whole.run.ran = sum(each.run.ran for each in parts)
    whole.run.batched = sum(each.run.batched for each in parts)
    return whole


class _Cancel:
    def __init__(self, future):
        self.future = future

    def cancel(self):
        self.future.cancel()


def submit(model, query, done):
    from runtime.tensors import Prediction

    rows = model.signature.validate(query.tensors)
    future = model.batcher.submit(query.tensors, rows)

    def settle(f):
        if f.cancelled():
            return
        e = f.exception()
        if e:
            done(e)
            return
        t = f.result()
        done(
            Prediction(
                t.outputs,
                model=model.name,
                version=model.version,
                arrived=t.arrived,
                queued=t.queued,
                batched=t.run.batched,
                ran=t.run.ran,
            )
        )

    future.add_done_callback(settle)
    return _Cancel(future)


async def predict(model, query):
    future = asyncio.get_running_loop().create_future()

    def done(o):
        if future.done():
            return
        if isinstance(o, BaseException):
            future.set_exception(o)
        else:
            future.set_result(o)

    t = submit(model, query, done)
    try:
        return await future
    finally:
        t.cancel()
