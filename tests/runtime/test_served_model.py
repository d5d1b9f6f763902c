"""The states of a model: it is loaded once for all callers, and again after a failure."""

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np
import pytest

from runtime.artifacts.fetch import Artifact
from runtime.background import Background
from runtime.errors import (
    ArtifactMissing,
    InvalidModel,
    LoadFailed,
    ModelUnavailable,
    ScalezeroError,
    ShuttingDown,
    StoreUnreachable,
)
from runtime.loading import Pulled
from runtime.predictor import predict
from runtime.served_model import ProcessStart, Pull, ServedModel, State
from runtime.settings import Settings
from runtime.tensors import Query
from tests import models
from tests.runtime import independence_models
from tests.waiting import DEADLINE


class Registry:
    """A replacement of the pull: each call has the next outcome; the last outcome is repeated."""

    def __init__(self, *answers: Artifact | BaseException) -> None:
        self.answers = list(answers)
        self.calls = 0
        self.gate = Event()
        self.gate.set()
        self._lock = Lock()

    def __call__(self) -> Pulled:
        with self._lock:
            self.calls += 1
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        assert self.gate.wait(DEADLINE)
        if isinstance(answer, BaseException):
            raise answer
        return Pulled(answer)


def artifact(path: Path, **more: Any) -> Artifact:  # noqa: ANN401 - any of its fields
    return Artifact(uri=str(path), path=path, sha256="a" * 64, size=path.stat().st_size, **more)


@pytest.fixture
def good(tmp_path: Path) -> Artifact:
    return artifact(models.doubling(tmp_path / "m.onnx"), metadata={"version": "2.0"})


def with_model(
    registry: Registry, scenario: Callable[[ServedModel], Coroutine[Any, Any, None]], **settings: object
) -> None:
    """Run the scenario with a model that is not loaded, then close it."""

    async def run_scenario() -> None:
        now = time.perf_counter()
        configured = Settings(model_uri="s3://b/m.onnx", threads=1, **settings)  # type: ignore[arg-type] # any setting
        background = Background()
        served = ServedModel("m", configured, registry, ProcessStart(now - 1, now), background)
        await scenario(served)
        await served.close()
        await background.close(within=10)

    asyncio.run(run_scenario())


def state_name(served: ServedModel) -> str:
    """Return the state's name; a function, because mypy narrows a property after a comparison."""
    return served.state.value


async def doubled(served: ServedModel) -> None:
    ticket = await predict(await served.load(), Query([np.ones((1, 2), np.float32)]))
    np.testing.assert_array_equal(np.asarray(ticket.outputs[0]), [[2, 2]])


def test_the_first_request_loads_and_all_concurrent_ones_wait_for_that_load(good: Artifact) -> None:
    registry = Registry(good)
    registry.gate.clear()

    async def scenario(served: ServedModel) -> None:
        assert state_name(served) == "not_loaded"
        callers = [asyncio.create_task(doubled(served)) for _ in range(20)]
        await asyncio.sleep(0.02)
        assert state_name(served) == "loading"
        registry.gate.set()
        await asyncio.gather(*callers)
        assert state_name(served) == "ready"
        assert served.first_attempt_ended.is_set()
        await doubled(served)

    with_model(registry, scenario)
    assert registry.calls == 1


def test_a_failure_fails_all_waiting_requests_and_the_next_request_retries(good: Artifact) -> None:
    registry = Registry(ArtifactMissing("s3://b/m.onnx", "no such object"), good)
    registry.gate.clear()

    async def scenario(served: ServedModel) -> None:
        callers = [asyncio.create_task(served.load()) for _ in range(5)]
        await asyncio.sleep(0.02)
        registry.gate.set()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(each, ArtifactMissing) for each in outcomes)
        assert served.state is State.FAILED
        assert isinstance(served.error, ArtifactMissing)
        assert served.measurements.load_failures == {"artifact_missing": 1}
        await doubled(served)
        assert served.error is None

    with_model(registry, scenario)
    assert registry.calls == 2


def test_a_cancelled_caller_does_not_stop_the_load(good: Artifact) -> None:
    registry = Registry(good)
    registry.gate.clear()

    async def scenario(served: ServedModel) -> None:
        leaves, stays = asyncio.create_task(served.load()), asyncio.create_task(doubled(served))
        await asyncio.sleep(0.02)
        leaves.cancel()
        await asyncio.sleep(0)
        registry.gate.set()
        await stays

    with_model(registry, scenario)
    assert registry.calls == 1


def test_a_file_that_is_not_a_model_is_an_invalid_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")

    async def scenario(served: ServedModel) -> None:
        for _ in range(2):
            with pytest.raises(InvalidModel, match=r"m\.onnx") as caught:
                await served.load()
            assert str(tmp_path) not in f"{caught.value}{caught.value.details}"
        assert served.state is State.FAILED

    with_model(Registry(artifact(tmp_path / "m.onnx")), scenario)


class Panic(BaseException):
    """An exception like that of a Rust library: pyo3's PanicException is a BaseException."""


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), Panic("secret"), SystemExit("secret")], ids=repr)
def test_only_the_log_has_the_text_of_an_unexpected_exception(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(served: ServedModel) -> None:
        with pytest.raises(
            LoadFailed, match=rf"s3://b/m\.onnx: loading failed with {type(error).__name__}; the server's log"
        ):
            await served.load()
        assert served.state is State.FAILED
        assert served.error is not None
        assert served.error.permanent
        assert "secret" not in f"{served.error}{served.error.details}"

    with_model(Registry(error), scenario)
    assert "secret" in caplog.text


def test_the_error_for_an_oserror_contains_no_path() -> None:
    async def scenario(served: ServedModel) -> None:
        with pytest.raises(ModelUnavailable, match=r"s3://b/m\.onnx: OSError: Input/output error") as caught:
            await served.load()
        assert "/secret/place" not in str(caught.value)

    with_model(Registry(OSError(errno.EIO, "Input/output error", "/secret/place")), scenario)


def test_a_prefetched_model_is_retried_until_it_is_loaded(good: Artifact) -> None:
    registry = Registry(ArtifactMissing("s3://b/m.onnx", "not yet"), good)

    async def scenario(served: ServedModel) -> None:
        served.prefetch(Pull(registry))
        await asyncio.wait_for(served.first_attempt_ended.wait(), DEADLINE)
        assert served.state is State.FAILED
        for _ in range(3000):
            if served.ready:
                break
            await asyncio.sleep(0.01)
        await doubled(served)

    with_model(registry, scenario)
    assert registry.calls == 2


def test_requests_after_the_last_attempt_get_its_failure_at_once(good: Artifact) -> None:
    """The process is about to end, so callers of another pull would wait and get no answer."""
    registry = Registry(StoreUnreachable("s3://b/m.onnx", "no answer"), ArtifactMissing("s3://b/m.onnx", "no"), good)
    codes: list[str] = []
    last = asyncio.Event()

    def stop_retrying(error: ScalezeroError) -> bool:
        codes.append(error.code)
        if error.permanent:
            last.set()
        return error.permanent

    async def scenario(served: ServedModel) -> None:
        served.prefetch(Pull(registry), stop_retrying)
        await asyncio.wait_for(last.wait(), DEADLINE)
        for _ in range(2):
            with pytest.raises(ArtifactMissing):
                await served.load()
        assert served.state is State.FAILED

    with_model(registry, scenario)
    assert codes == ["store_unreachable", "artifact_missing"]
    assert registry.calls == 2


def test_a_pull_that_has_started_is_used(good: Artifact) -> None:
    registry = Registry(good)

    async def scenario(served: ServedModel) -> None:
        served.prefetch(Pull(registry))
        await asyncio.sleep(0)
        await doubled(served)
        cold = served.measurements.cold_start
        assert cold
        assert sum(cold.phases(0.0).values()) == pytest.approx(cold.ready - cold.process_started)

    with_model(registry, scenario)
    assert registry.calls == 1


@pytest.mark.parametrize(
    ("setting", "metadata", "version"),
    [("3.0", {"version": "2.0"}, "3.0"), (None, {"version": "2.0"}, "2.0"), (None, {}, "1")],
)
def test_the_version_is_that_of_the_settings_else_of_the_publisher_else_of_the_file(
    tmp_path: Path, setting: str | None, metadata: dict[str, str], version: str
) -> None:
    made = artifact(models.doubling(tmp_path / "m.onnx"), metadata=metadata)

    async def scenario(served: ServedModel) -> None:
        assert served.version == setting
        assert (await served.load()).version == version
        assert served.version == version
        assert served.measurements.version == version

    with_model(Registry(made), scenario, model_version=setting)


def test_a_closed_model_rejects_requests(good: Artifact) -> None:
    async def scenario(served: ServedModel) -> None:
        ready = await served.load()
        await served.close()
        with pytest.raises(ShuttingDown):
            await predict(ready, Query([np.ones((1, 2), np.float32)]))

    with_model(Registry(good), scenario)


def test_a_model_that_is_loading_can_be_closed(good: Artifact) -> None:
    registry = Registry(good)
    registry.gate.clear()

    async def scenario(served: ServedModel) -> None:
        served.prefetch(Pull(registry))
        await asyncio.sleep(0.02)
        assert served.state is State.LOADING
        await asyncio.wait_for(served.close(), DEADLINE)
        registry.gate.set()

    with_model(registry, scenario)


def test_runs_are_measured(good: Artifact) -> None:
    async def scenario(served: ServedModel) -> None:
        ready = await served.load()
        await asyncio.gather(*(predict(ready, Query([np.ones((2, 2), np.float32)])) for _ in range(3)))
        served.measurements.count()
        assert served.measurements.batch_rows.total == 6
        assert served.measurements.queue.cumulative()[-1][1] == 3

    with_model(Registry(good), scenario)


def test_the_batcher_learns_the_cost_of_a_run_from_the_warm_up(good: Artifact) -> None:
    async def scenario(served: ServedModel) -> None:
        began = time.perf_counter()
        assert 0 < (await served.load()).batcher.cost.typical < time.perf_counter() - began

    with_model(Registry(good), scenario)


@pytest.mark.parametrize(
    ("settings", "state"),
    [({}, "unproven"), ({"batching": "never"}, "off"), ({"batching": "always"}, "forced"), ({"batch_size": 1}, "off")],
)
def test_the_settings_decide_whether_runs_may_be_shared(
    good: Artifact, settings: dict[str, object], state: str
) -> None:
    async def scenario(served: ServedModel) -> None:
        assert (await served.load()).batcher.batching.state.value == state
        assert served.measurements.batching == state

    with_model(Registry(good), scenario, **settings)


def test_a_model_that_cannot_share_runs_logs_one_line_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = artifact(independence_models.dynamic_quantized(tmp_path / "m.onnx"))

    async def scenario(served: ServedModel) -> None:
        ready = await served.load()
        await asyncio.gather(*(predict(ready, Query([np.ones((1, 3), np.float32)])) for _ in range(20)))

    with caplog.at_level(logging.INFO, "scalezero.model"):
        with_model(Registry(made), scenario)
    (line,) = [each for each in caplog.records if each.getMessage() == "each request has its own run"]
    assert line.__dict__["state"] == "refuted"
    assert line.__dict__["reason"].startswith("operator DynamicQuantizeLinear: ")


def test_a_model_with_an_endless_warm_up_is_served_without_it(tmp_path: Path) -> None:
    made = artifact(independence_models.endless_on_zeros(tmp_path / "m.onnx"))

    async def scenario(served: ServedModel) -> None:
        ready = await asyncio.wait_for(served.load(), DEADLINE)
        prediction = await predict(ready, Query([np.array([1])]))
        assert np.asarray(prediction.outputs[0]).tolist() == [0]

    with_model(Registry(made), scenario, load_timeout=2.0)
