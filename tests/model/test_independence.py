"""Whether the first axis is a batch axis is proven by runs, as names and shapes can lie."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime.batching.batcher import Batcher
from runtime.batching.policy import Limits
from runtime.model.session import Session
from tests import models

LIMITS = Limits(batch_size=8, max_wait=0.0, timeout=5.0, queue_size=100)


def opened(path: Path) -> Session:
    return Session(path, uri=str(path), name="m", threads=1)


@pytest.mark.parametrize("make", [models.doubling, models.identity, models.two_in_two_out, models.lookup])
def test_rows_that_leave_each_other_alone_are_found_to(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    assert opened(make(tmp_path / "m.onnx")).rows_are_independent()


@pytest.mark.parametrize("make", [models.running_sum, models.share, models.every_second_row])
def test_rows_that_change_each_other_are_found_to(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    session = opened(make(tmp_path / "m.onnx"))
    assert session.signature.batchable, "names and shapes do not tell"
    assert not session.rows_are_independent()


async def _answers(make: Callable[[Path], Path], folder: Path) -> list[np.ndarray]:
    session = opened(make(folder / "m.onnx"))
    batcher = Batcher(session.run, LIMITS, batchable=True, uniform=True, prove=session.rows_are_independent)
    asked = [batcher.submit([np.full((1, 2), number, np.float32)], 1) for number in range(5)]
    answers = [(await each).outputs[0] for each in asked]
    await batcher.close()
    return answers


@pytest.mark.parametrize(("make", "right"), [(models.running_sum, [0, 1, 2, 3, 4]), (models.share, [1, 1, 1, 1, 1])])
def test_callers_of_such_a_model_get_what_they_would_get_alone(
    tmp_path: Path, make: Callable[[Path], Path], right: list[float]
) -> None:
    answers = asyncio.run(_answers(make, tmp_path))
    assert [answer.tolist() for answer in answers] == [[[each, each]] for each in right]
