"""The one use case: what fits is answered in order, what does not is refused before it can reach a batch."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.artifacts.fetch import Artifact
from runtime.batching.batcher import Batcher
from runtime.batching.policy import Limits
from runtime.batching.stacking import Tensors
from runtime.errors import DeadlineExceeded, InvalidInput, QueueFull
from runtime.model.session import Session
from runtime.predictor import CallerGone, ReadyModel, predict
from tests import models

Scenario = Callable[[ReadyModel], Coroutine[Any, Any, None]]


@asynccontextmanager
async def ready(path: Path, *, batch_size: int = 4, queue_size: int = 16) -> AsyncIterator[ReadyModel]:
    """A model with its queue."""
    session = Session(path, uri="m", name="m", threads=1)
    limits = Limits(batch_size=batch_size, max_wait=0.0, timeout=5.0, queue_size=queue_size)
    signature = session.signature
    batcher = Batcher(session.run, limits, batchable=signature.batchable, uniform=signature.uniform)
    yield ReadyModel("m", "1", Artifact(uri="m", path=path, sha256=None, size=0), signature, batcher)
    await batcher.close()


def predicting(path: Path, scenario: Scenario, **limits: int) -> None:
    async def whole() -> None:
        async with ready(path, **limits) as model:
            await scenario(model)

    asyncio.run(whole())


def counting(rows: int) -> list[np.ndarray]:
    return [np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)]


@pytest.mark.parametrize("rows", [1, 4, 5, 8, 23])
def test_a_request_of_any_length_is_answered_in_order(tmp_path: Path, rows: int) -> None:
    async def scenario(model: ReadyModel) -> None:
        ticket = await predict(model, counting(rows))
        np.testing.assert_array_equal(ticket.outputs[0], counting(rows)[0] * 2)
        assert ticket.rows == rows
        assert ticket.queued >= 0
        assert ticket.run.ran > 0

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


def test_long_and_short_requests_do_not_mix(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        sent = [np.full((1 + number * 3 % 11, 2), number, np.float32) for number in range(20)]
        tickets = await asyncio.gather(*(predict(model, [each]) for each in sent))
        for array, ticket in zip(sent, tickets, strict=True):
            np.testing.assert_array_equal(ticket.outputs[0], array * 2)

    predicting(models.doubling(tmp_path / "m.onnx"), scenario, queue_size=200)


def test_a_long_request_lets_others_have_their_turns(tmp_path: Path) -> None:
    """Its parts go one after the other, each with a deadline of its own: nobody runs out of time."""

    async def scenario(model: ReadyModel) -> None:
        model.batcher.cost.learn(1, 1.0)  # runs go to the worker
        session_run = model.batcher._run

        def slow(tensors: Tensors) -> Tensors:
            time.sleep(0.02)
            return session_run(tensors)

        model.batcher._run = slow
        long = asyncio.ensure_future(predict(model, counting(400), timeout=0.5))  # 100 runs, two seconds
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        await predict(model, counting(1), timeout=0.5)
        assert time.perf_counter() - began < 0.4
        np.testing.assert_array_equal((await long).outputs[0], counting(400)[0] * 2)

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


def test_a_long_request_that_finds_no_room_leaves_nothing_in_the_queue(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        model.batcher.cost.learn(1, 1.0)  # runs go to the worker
        before = [predict(model, counting(4)) for _ in range(16)]
        with pytest.raises(QueueFull):
            await predict(model, counting(16))
        await asyncio.gather(*before)
        assert model.batcher.waiting == 0

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


def test_a_bad_row_in_a_long_request_fails_all_of_it(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        index = np.zeros(9, np.int64)
        index[[2, 8]] = 99
        with pytest.raises(Exception, match="indices element out of data bounds"):
            await predict(model, [index])
        ticket = await predict(model, [np.arange(9)])
        np.testing.assert_array_equal(ticket.outputs[0], np.arange(9) * 10)

    predicting(models.lookup(tmp_path / "m.onnx"), scenario)


def test_a_long_request_along_a_false_batch_axis_is_answered_as_a_whole(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        assert model.signature.batchable  # so it seems
        for rows in (9, 3, 10):
            ticket = await predict(model, counting(rows))
            np.testing.assert_array_equal(ticket.outputs[0], counting(rows)[0][::2])

    predicting(models.every_second_row(tmp_path / "m.onnx"), scenario)


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (np.zeros((1, 3), np.float32), "shape"),
        (np.zeros((1, 2), np.float64), "element type float64"),
        (np.zeros((2,), np.float32), "shape"),
        (np.float32(1.0), "shape"),
    ],
)
def test_what_the_model_does_not_take_never_reaches_the_queue(tmp_path: Path, tensor: np.ndarray, told: str) -> None:
    async def scenario(model: ReadyModel) -> None:
        with pytest.raises(InvalidInput, match=told):
            predict(model, [tensor])
        assert model.batcher.waiting == 0

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


@pytest.mark.parametrize("rows", [1, 9])
def test_a_caller_that_leaves_takes_its_request_along(tmp_path: Path, rows: int) -> None:
    seen: list[int] = []

    async def scenario(model: ReadyModel) -> None:
        model.batcher._report = lambda run: seen.append(run.rows)
        model.batcher.cost.learn(1, 1.0)
        first = predict(model, counting(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert model.batcher.busy

        async def gone() -> None:
            return

        with pytest.raises(CallerGone):
            await predict(model, counting(rows), gone=gone)
        await first

    predicting(models.heavy(tmp_path / "m.onnx", size=600), scenario)
    assert seen == [2]


def test_a_caller_that_stays_is_answered(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        model.batcher.cost.learn(1, 1.0)
        first = predict(model, counting(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        async def stays() -> None:
            await asyncio.sleep(60)

        ticket = await predict(model, counting(3), gone=stays)
        np.testing.assert_array_equal(ticket.outputs[0], counting(3)[0] * 2)
        await first

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


def test_a_timeout_of_the_caller_is_kept(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        with pytest.raises(DeadlineExceeded):
            await predict(model, counting(1), timeout=0.0)

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)
