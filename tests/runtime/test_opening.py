"""A model is opened within the time limit, by one thread, which does not block the exit of the process."""

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from threading import Event

import pytest

from runtime.artifacts.fetch import Artifact
from runtime.errors import InvalidModel, ModelUnavailable
from runtime.model import session
from runtime.opening import Opener
from tests import models
from tests.runtime import independence_models as zoo
from tests.waiting import DEADLINE


def artifact(path: Path) -> Artifact:
    return Artifact(uri=str(path), path=path, sha256=None, size=path.stat().st_size)


def opener() -> Opener:
    return Opener("m", threads=1, run_timeout=30.0)


def opening_threads() -> int:
    return sum(thread.name == "open" for thread in threading.enumerate())


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Block the opening of sessions until this event is set."""
    released, real = Event(), session.Session

    class Held(real):  # type: ignore[misc, valid-type] # the base class is a value
        def __init__(self, *args: object, **options: object) -> None:
            released.wait(DEADLINE)
            super().__init__(*args, **options)

    monkeypatch.setattr(session, "Session", Held)
    return released


def test_an_open_that_exceeds_the_limit_fails_and_the_next_attempt_waits_for_it(tmp_path: Path, held: Event) -> None:
    made = artifact(models.doubling(tmp_path / "m.onnx"))

    async def scenario() -> None:
        tried = opener()
        for _ in range(3):
            with pytest.raises(ModelUnavailable, match="opening exceeded SCALEZERO_LOAD_TIMEOUT"):
                await tried.open(made, within=0.05)
            assert opening_threads() == 1
        held.set()
        assert (await tried.open(made, within=20.0)).version == "1"

    asyncio.run(scenario())


def test_the_same_file_from_the_cache_is_not_opened_again(tmp_path: Path, held: Event) -> None:
    made = artifact(models.doubling(tmp_path / "m.onnx"))
    pulled = made._replace(pull_seconds=2.0, verify_seconds=0.5)

    async def scenario() -> None:
        tried = opener()
        with pytest.raises(ModelUnavailable):
            await tried.open(pulled, within=0.05)
        held.set()
        async with asyncio.timeout(DEADLINE):
            while opening_threads():  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
        began = time.perf_counter()
        opened = await tried.open(made._replace(from_cache=True, pull_seconds=0.01), within=20.0)
        assert opened.warm < began

    asyncio.run(scenario())


def test_another_artifact_waits_for_the_thread_and_is_then_opened(tmp_path: Path, held: Event) -> None:
    first, second = artifact(models.doubling(tmp_path / "a.onnx")), artifact(models.pairs(tmp_path / "b.onnx"))

    async def scenario() -> None:
        tried = opener()
        with pytest.raises(ModelUnavailable):
            await tried.open(first, within=0.05)
        held.set()
        opened = await tried.open(second, within=20.0)
        assert opened.signature.outputs[0].shape == ("rows", 2)

    asyncio.run(scenario())


def test_an_endless_warm_up_is_stopped_by_the_run_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        opened = await Opener("m", threads=1, run_timeout=0.2).open(
            artifact(zoo.endless_on_zeros(tmp_path / "m.onnx")), within=30.0
        )
        assert opened.warm_ups == []

    asyncio.run(scenario())


def test_a_file_that_is_not_a_model_fails_each_time_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")

    async def scenario() -> None:
        tried = opener()
        for _ in range(2):
            with pytest.raises(InvalidModel):
                await tried.open(artifact(tmp_path / "m.onnx"), within=20.0)

    asyncio.run(scenario())


def test_a_process_ends_while_a_model_opens_and_another_runs(tmp_path: Path) -> None:
    """At the end, asyncio joins the threads of its default executor, but not these."""
    path = zoo.countdown(tmp_path / "m.onnx")
    program = f"""
        import asyncio, numpy as np
        from pathlib import Path
        from runtime.errors import ShuttingDown
        from runtime.opening import Opener
        from tests.runtime.batching.serving import served
        from runtime.predictor import predict
        from runtime.tensors import Query

        async def main():
            async with served(Path({str(path)!r})) as model:
                running = asyncio.ensure_future(predict(model, Query([np.array([2**62])])))
                await asyncio.sleep(0.3)
                assert model.batcher.busy
                await model.batcher.close(within=0.1)
                try:
                    await running
                except ShuttingDown:
                    print("answered")

        asyncio.run(main())
        print("ended")
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert ran.stdout.split() == ["answered", "ended"], ran.stderr
