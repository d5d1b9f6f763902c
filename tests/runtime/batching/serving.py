"""Real models behind a real batcher, and what ONNX Runtime answers to the same inputs without one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from runtime.artifacts.fetch import Artifact
from runtime.batching.batcher import Batcher
from runtime.batching.independence import AUTO, State, first_standing
from runtime.batching.policy import Limits
from runtime.batching.run import Run
from runtime.opening import Opener
from runtime.predictor import ReadyModel, predict
from runtime.tensors import Query


@asynccontextmanager
async def served(
    path: Path,
    *,
    mode: str = AUTO,
    report: Callable[[Run], None] = lambda _: None,
    **changed: Any,  # noqa: ANN401 - any limit's value
) -> AsyncIterator[ReadyModel]:
    """The model as the runtime opens it."""
    artifact = Artifact(uri=str(path), path=path, sha256=None, size=0)
    opened = await Opener("m", threads=1, run_timeout=30.0).open(artifact, within=60.0)
    limits = Limits(
        **{"batch_size": 32, "max_wait": 0.0, "timeout": 30.0, "queue_size": 1000, "run_timeout": 30.0, **changed}
    )
    standing = first_standing(mode, opened.evidence, batch_size=limits.batch_size)
    batcher = Batcher(opened.computation, limits, standing, model="m", version="1", report=report)
    for seconds in opened.warm_ups:
        batcher.warmed_up(seconds)
    yield ReadyModel("m", "1", artifact, opened.signature, batcher)
    await batcher.close()


def serving(path: Path, scenario: Callable[[ReadyModel], Coroutine[Any, Any, None]], **changed: Any) -> None:  # noqa: ANN401 - as above
    """Run the scenario on the served model."""

    async def whole() -> None:
        async with served(path, **changed) as model:
            await scenario(model)

    asyncio.run(whole())


def reference(path: Path) -> Callable[[Sequence[np.ndarray]], list[Any] | None]:
    """The answers of ONNX Runtime in this process, for one input at a time; None where it refuses the input."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(tensors: Sequence[np.ndarray]) -> list[Any] | None:
        try:
            return list(session.run(None, dict(zip(names, tensors, strict=True))))
        except Exception:  # noqa: BLE001 - onnxruntime's exceptions share no other base
            return None

    return run


async def concurrent(model: ReadyModel, requests: Sequence[Sequence[np.ndarray]]) -> list[Any]:
    """The answers to requests that arrive at once: outputs, or the exception."""
    answers = await asyncio.gather(*(predict(model, Query(each)) for each in requests), return_exceptions=True)
    return [each if isinstance(each, BaseException) else each.outputs for each in answers]


async def settled(model: ReadyModel) -> State:
    """The state once no proof is under way."""
    for _ in range(500):
        state = model.batcher.batching.state
        if state is not State.UNPROVEN:
            return state
        await asyncio.sleep(0.01)
    return model.batcher.batching.state


def assert_same(got: Sequence[Any], right: Sequence[Any], *, tolerance: float = 1e-4, step: float = 0.0) -> None:
    """Each output as in process: exact for what is no float, else relative to its own largest value or by one step."""
    assert len(got) == len(right)
    for one, other in zip(got, right, strict=True):
        if not isinstance(other, np.ndarray) or other.dtype.kind != "f":
            np.testing.assert_array_equal(one, other)
            continue
        assert one.dtype == other.dtype
        scale = float(np.abs(other[np.isfinite(other)]).max(initial=0.0))
        np.testing.assert_allclose(one, other, rtol=0, atol=max(tolerance * scale, step), equal_nan=True)


async def compare(
    model: ReadyModel,
    waves: Sequence[Sequence[Sequence[np.ndarray]]],
    **tolerances: float,
) -> None:
    """Send each wave at once and hold every answer against that in process; a proof has time to end between waves."""
    right = reference(model.artifact.path)
    for wave in waves:
        for sent, got in zip(wave, await concurrent(model, wave), strict=True):
            expected = right(sent)
            if expected is None:
                assert isinstance(got, BaseException), got
            else:
                if isinstance(got, BaseException):
                    pytest.fail(f"{got!r} instead of an answer")
                assert_same(got, expected, **tolerances)
        await asyncio.sleep(0.05)
