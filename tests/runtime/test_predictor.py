"""A prediction: valid requests are answered in order, invalid ones are rejected before they are queued."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from runtime.errors import DeadlineExceeded, InvalidInput, QueueFull
from runtime.predictor import ReadyModel, predict, submit
from runtime.tensors import Prediction, Query
from tests import models
from tests.runtime.batching.serving import serving
from tests.waiting import DEADLINE

Scenario = Callable[[ReadyModel], Coroutine[Any, Any, None]]


def predicting(path: Path, scenario: Scenario, **limits: Any) -> None:  # noqa: ANN401 - any limit's value
    """Run the scenario on a model whose rows count as independent."""
    serving(path, scenario, mode="always", **{"batch_size": 4, "queue_size": 16, "timeout": DEADLINE, **limits})


def ask(model: ReadyModel, tensors: Sequence[np.ndarray], *, timeout: float = math.inf) -> "asyncio.Task[Prediction]":
    return asyncio.ensure_future(predict(model, Query(tensors, deadline=time.perf_counter() + timeout)))


def output(prediction: Prediction) -> np.ndarray:
    assert isinstance(prediction.outputs[0], np.ndarray)
    return prediction.outputs[0]


def counting(rows: int) -> list[np.ndarray]:
    return [np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)]


@pytest.mark.parametrize("rows", [1, 4, 5, 8, 23])
def test_a_request_of_any_length_is_answered_in_order(tmp_path: Path, rows: int) -> None:
    async def scenario(model: ReadyModel) -> None:
        ticket = await ask(model, counting(rows))
        np.testing.assert_array_equal(output(ticket), counting(rows)[0] * 2)
        assert ticket.queued >= 0
        assert ticket.ran > 0

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


def test_long_and_short_requests_get_their_own_rows(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        sent = [np.full((1 + number * 3 % 11, 2), number, np.float32) for number in range(20)]
        tickets = await asyncio.gather(*(ask(model, [each]) for each in sent))
        for array, ticket in zip(sent, tickets, strict=True):
            np.testing.assert_array_equal(output(ticket), array * 2)

    predicting(models.doubling(tmp_path / "m.onnx"), scenario, queue_size=200)


def test_other_requests_run_between_the_parts_of_a_long_request(tmp_path: Path) -> None:
    """The parts run one after the other: a later request waits for one part, not for all."""
    runs: list[int] = []

    async def scenario(model: ReadyModel) -> None:
        long = ask(model, counting(400))  # 100 runs
        await asyncio.sleep(0)
        await ask(model, counting(1))
        assert len(runs) < 50
        np.testing.assert_array_equal(output(await long), counting(400)[0] * 2)
        assert len(runs) >= 100

    predicting(models.doubling(tmp_path / "m.onnx"), scenario, report=lambda run: runs.append(run.rows))


def test_the_deadline_of_the_caller_applies_to_all_parts(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        with pytest.raises(DeadlineExceeded):
            await ask(model, counting(400_000), timeout=0.05)
        assert model.batcher.waiting == 0

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


def test_a_long_request_that_is_rejected_leaves_nothing_in_the_queue(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        model.batcher._inlining.learn(1, None, 1.0)  # runs go to the worker
        before = [ask(model, counting(4)) for _ in range(16)]
        with pytest.raises(QueueFull):
            await ask(model, counting(16))
        await asyncio.gather(*before)
        assert model.batcher.waiting == 0

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


def test_a_bad_row_in_a_long_request_fails_the_whole_request(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        index = np.zeros(9, np.int64)
        index[[2, 8]] = 99
        with pytest.raises(Exception, match="indices element out of data bounds"):
            await ask(model, [index])
        ticket = await ask(model, [np.arange(9)])
        np.testing.assert_array_equal(output(ticket), np.arange(9) * 10)

    predicting(models.lookup(tmp_path / "m.onnx"), scenario)


def test_a_long_request_with_a_false_batch_axis_runs_in_one_piece(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        for rows in (9, 3, 10):
            ticket = await ask(model, counting(rows))
            np.testing.assert_array_equal(output(ticket), counting(rows)[0][::2])
        assert not model.batcher.shares

    path = models.every_second_row(tmp_path / "m.onnx")
    predicting(path, scenario)
    serving(path, scenario, batch_size=4)


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (np.zeros((1, 3), np.float32), "shape"),
        (np.zeros((1, 2), np.float64), "element type float64"),
        (np.zeros((2,), np.float32), "shape"),
        (np.float32(1.0), "shape"),
    ],
)
def test_an_invalid_input_is_never_queued(tmp_path: Path, tensor: np.ndarray, reason: str) -> None:
    async def scenario(model: ReadyModel) -> None:
        with pytest.raises(InvalidInput, match=reason):
            submit(model, Query([tensor]), lambda _: pytest.fail("it was answered"))
        assert model.batcher.waiting == 0

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


@pytest.mark.parametrize("rows", [1, 9])
def test_a_cancelled_caller_removes_its_request_from_the_queue(tmp_path: Path, rows: int) -> None:
    seen: list[int] = []

    async def scenario(model: ReadyModel) -> None:
        model.batcher._inlining.learn(1, None, 1.0)  # runs go to the worker
        gate = Event()
        model.batcher._worker.submit(partial(gate.wait, DEADLINE), lambda _: None)  # the first run waits behind this
        first = ask(model, counting(2))
        for _ in range(3):
            await asyncio.sleep(0)
        assert model.batcher.busy
        leaves = ask(model, counting(rows))
        await asyncio.sleep(0)
        assert model.batcher.waiting == 1
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        assert model.batcher.waiting == 0
        gate.set()
        await first

    predicting(models.doubling(tmp_path / "m.onnx"), scenario, report=lambda run: seen.append(run.rows))
    assert seen == [2]


def test_a_request_cancelled_between_parts_is_not_answered(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        pending = submit(model, Query(counting(400)), lambda _: pytest.fail("it was answered"))
        for _ in range(20):
            await asyncio.sleep(0)
        pending.cancel()
        assert model.batcher.waiting == 0
        await ask(model, counting(1))

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)


def test_the_timeout_of_the_caller_applies(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        with pytest.raises(DeadlineExceeded):
            await ask(model, counting(1), timeout=0.0)

    predicting(models.doubling(tmp_path / "m.onnx"), scenario)
