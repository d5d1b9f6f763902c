"""Real models with a real batcher, and the outputs of ONNX Runtime for the same inputs without a batcher."""

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
from runtime.batching.independence import AUTO, State, initial_status
from runtime.batching.policy import Limits
from runtime.batching.run import Run
from runtime.opening import Opener
from runtime.predictor import ReadyModel, predict
from runtime.tensors import Query
from tests.waiting import DEADLINE


@asynccontextmanager
async def served(
    path: Path,
    *,
    mode: str = AUTO,
    report: Callable[[Run], None] = lambda _: None,
    **changed: Any,  # noqa: ANN401 - any limit's value
) -> AsyncIterator[ReadyModel]:
    """Open the model in the same way as the runtime."""
    artifact = Artifact(uri=str(path), path=path, sha256=None, size=0)
    opened = await Opener("m", threads=1, run_timeout=30.0).open(artifact, within=60.0)
    limits = Limits(
        **{"batch_size": 32, "max_wait": 0.0, "timeout": 30.0, "queue_size": 1000, "run_timeout": 30.0, **changed}
    )
    status = initial_status(mode, opened.evidence, batch_size=limits.batch_size)
    batcher = Batcher(opened.computation, limits, status, model="m", version="1", on_run=report)
    for seconds in opened.warm_ups:
        batcher.record_warm_up(seconds)
    yield ReadyModel("m", "1", artifact, opened.signature, batcher)
    await batcher.close()


def serving(path: Path, scenario: Callable[[ReadyModel], Coroutine[Any, Any, None]], **changed: Any) -> None:  # noqa: ANN401 - as above
    """Run the scenario on the served model."""

    async def run_scenario() -> None:
        async with served(path, **changed) as model:
            await scenario(model)

    asyncio.run(run_scenario())


def reference(path: Path) -> Callable[[Sequence[np.ndarray]], list[Any] | None]:
    """Return a function that runs ONNX Runtime on one input at a time; it returns None if the input is rejected."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(tensors: Sequence[np.ndarray]) -> list[Any] | None:
        try:
            return list(session.run(None, dict(zip(names, tensors, strict=True))))
        except Exception:  # noqa: BLE001 - onnxruntime's exceptions have no other common base class
            return None

    return run


async def concurrent(model: ReadyModel, requests: Sequence[Sequence[np.ndarray]]) -> list[Any]:
    """Send requests at the same time, and return the outputs or the exception of each."""
    answers = await asyncio.gather(*(predict(model, Query(each)) for each in requests), return_exceptions=True)
    return [each if isinstance(each, BaseException) else each.outputs for each in answers]


async def settled(model: ReadyModel) -> State:
    """Wait until the rows are proven or refuted, and return the state."""
    async with asyncio.timeout(DEADLINE):
        while (state := model.batcher.batching.state) is State.UNPROVEN:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
    return state


async def proof_ended(model: ReadyModel) -> None:
    """Wait until no proof is due or runs."""
    prover = model.batcher._prover
    async with asyncio.timeout(DEADLINE):
        while prover.last_ticket is not None or prover._proving is not None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)


def assert_same(got: Sequence[Any], right: Sequence[Any], *, tolerance: float = 1e-4, step: float = 0.0) -> None:
    """Compare each output: floats relative to the largest value or within one step, all other types exactly."""
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
    """Send each wave at the same time, and compare every answer with ONNX Runtime; a proof ends between waves."""
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
        await proof_ended(model)
