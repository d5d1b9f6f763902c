"""A run that takes too long is stopped, a cancelled request frees its place, and no run blocks the shutdown."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from runtime.batching import inlining, watchdog
from runtime.batching.batcher import Batcher
from runtime.batching.independence import SharingStatus, State
from runtime.batching.run import Computation
from runtime.batching.stacking import Tensors
from runtime.errors import QueueFull, RejectedByModel, RunTimeout, ScalezeroError, ShuttingDown
from runtime.predictor import ReadyModel, predict
from runtime.tensors import Prediction, Query
from tests import models
from tests.runtime import independence_models as zoo
from tests.runtime.batching.serving import concurrent, proof_ended, serving
from tests.runtime.batching.serving import settled as settled_model
from tests.runtime.batching.test_batcher import SLOW, Model, answer, ask, batching, limits, make_batcher, row, settled

ENDLESS = [np.array([2**62])]
F32 = np.float32


def test_an_endless_loop_is_stopped_and_its_caller_gets_an_error(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        slow, quick = await concurrent(model, [ENDLESS, [np.array([3])]])
        assert isinstance(slow, RunTimeout)
        assert slow.code == "run_timeout"
        assert quick[0].tolist() == [3]
        assert model.batcher.stuck is None

    serving(zoo.countdown(tmp_path / "m.onnx"), scenario, run_timeout=1.0)


def test_the_event_loop_is_not_blocked_by_a_run_whose_cost_depends_on_values(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        for _ in range(5):
            await predict(model, Query([np.array([1])]))  # a short run; the next one is long
        running, turns = asyncio.ensure_future(predict(model, Query(ENDLESS))), 0
        while not running.done():
            await asyncio.sleep(0.01)
            turns += 1
        with pytest.raises(RunTimeout):
            await running
        assert turns > 5  # about 100 on an idle machine; 1 if the run blocks the loop

    serving(zoo.countdown(tmp_path / "m.onnx"), scenario, run_timeout=1.0)


class Sleeper:
    """A run that does not end for negative rows until it is stopped; with `ignores_stop`, `stop` has no effect."""

    def __init__(self, *, ignores_stop: bool = False) -> None:
        self.stopped = Event()
        self.released = Event()
        self.reason: ScalezeroError | None = None
        self.ignores_stop = ignores_stop

    def __call__(self, tensors: Tensors) -> Tensors:
        if (tensors[0] < 0).any():
            (self.released if self.ignores_stop else self.stopped).wait(20)
            if self.reason:
                raise self.reason
        return [tensors[0] * 2]

    def stop(self, reason: ScalezeroError) -> None:
        self.reason = reason
        self.stopped.set()


def sleeping(made_of: Callable[[], Sleeper], **changed: object) -> Batcher:
    computation = Computation(lambda tensors: [tensors[0] * 2], made_of, uniform=True, by_shape=False)
    return Batcher(computation, limits(**changed), SharingStatus(State.PROVEN, ""), model="m")


def test_only_the_bad_request_of_a_stopped_run_gets_the_error() -> None:
    async def scenario() -> None:
        batcher = sleeping(Sleeper, run_timeout=0.3)
        answers = await asyncio.gather(
            *(ask(batcher, row(number), 1) for number in (1, 2, -1, 3)), return_exceptions=True
        )
        assert [isinstance(each, RunTimeout) for each in answers] == [False, False, True, False]
        assert [answer(each) for each in answers if isinstance(each, Prediction)] == [2, 4, 6]
        await batcher.close()

    asyncio.run(scenario())


def test_a_run_that_does_not_return_is_reported_as_stuck_until_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "STOP_TIMEOUT", 0.2)
    runs: list[Sleeper] = []

    def unstoppable() -> Sleeper:
        runs.append(Sleeper(ignores_stop=True))
        return runs[-1]

    async def scenario() -> None:
        batcher = sleeping(unstoppable, run_timeout=0.2)
        with pytest.raises(RunTimeout):
            await ask(batcher, row(-1), 1)
        assert "has not returned" in str(batcher.stuck)
        runs[0].released.set()
        assert answer(await ask(batcher, row(1), 1)) == 2
        assert batcher.stuck is None
        await batcher.close()

    asyncio.run(scenario())


def test_closing_waits_for_a_run_only_for_its_time_limit() -> None:
    async def scenario() -> None:
        batcher = sleeping(Sleeper)
        running, queued = ask(batcher, row(-1), 1), ask(batcher, row(-1), 1)
        await asyncio.sleep(0.05)
        later = ask(batcher, row(2), 1)
        await asyncio.wait_for(batcher.close(within=0.05), 30)
        for each in (running, queued, later):
            with pytest.raises(ShuttingDown):
                await each

    asyncio.run(scenario())


def test_closing_abandons_a_run_that_cannot_be_stopped() -> None:
    sleeper = Sleeper(ignores_stop=True)

    async def scenario() -> None:
        batcher = sleeping(lambda: sleeper)
        running = ask(batcher, row(-1), 1)
        await asyncio.sleep(0.05)
        await asyncio.wait_for(batcher.close(within=0.05), 30)
        with pytest.raises(ShuttingDown):
            await running

    asyncio.run(scenario())
    sleeper.released.set()


def test_a_cancelled_request_frees_its_place_at_once() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        first = ask(batcher, row(0), 1)
        await settled(model)
        for number in range(50):
            tickets = [
                batcher.submit(Query(row(number)), 1, lambda _: pytest.fail("a cancelled ticket was answered"))
                for _ in range(4)
            ]
            assert batcher.waiting == 4
            with pytest.raises(QueueFull):
                batcher.submit(Query(row(number)), 1, lambda _: None)
            for ticket in tickets:
                ticket.cancel()
                ticket.cancel()
            assert batcher.waiting == 0
        assert len(batcher._queue._tickets) < 10
        last = ask(batcher, row(7), 1)
        model.gate.set()
        assert answer(await first) == 0
        assert answer(await last) == 14

    batching(scenario, model, cost=SLOW, queue_size=4)
    assert model.batches == [[0], [7]]


def test_a_callback_that_raises_does_not_affect_other_requests(caplog: pytest.LogCaptureFixture) -> None:
    def raises(_: object) -> None:
        raise ZeroDivisionError

    async def scenario(batcher: Batcher) -> None:
        before = ask(batcher, row(1), 1)
        batcher.submit(Query(row(2)), 1, raises)
        assert [answer(each) for each in await asyncio.gather(before, ask(batcher, row(3), 1))] == [2, 6]

    with caplog.at_level(logging.ERROR, "scalezero.model"):
        batching(scenario, Model())
    assert [record.getMessage() for record in caplog.records] == ["delivering an answer failed"]


def test_submit_never_calls_the_callback_itself() -> None:
    async def scenario(batcher: Batcher) -> None:
        answers: list[object] = []
        batcher.submit(Query(row(1)), 1, answers.append)
        assert answers == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(answers) == 1

    batching(scenario, Model())


def test_a_larger_shape_runs_on_the_worker_first_and_on_the_loop_after_a_short_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inlining, "INLINE_SECONDS", 60.0)  # each run is short, also on a busy machine
    threads: list[bool] = []

    async def scenario(model: ReadyModel) -> None:
        real = model.batcher._start

        def start(run: object) -> None:
            real(run)  # type: ignore[arg-type] # the run
            threads.append(model.batcher.busy)

        model.batcher._start = start  # type: ignore[method-assign] # records its runs
        for rows, width in ((1, 4), (1, 4), (1, 3), (1, 4000), (2, 3)):
            await predict(model, Query([np.ones((rows, width), F32)]))

    serving(models.doubling(tmp_path / "m.onnx", width="length"), scenario)
    assert threads == [True, False, False, True, True]


def test_exhausted_memory_is_a_model_failure(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        (error,) = await concurrent(model, [[np.array([2**50])]])
        assert error.code == "model_failed"

    serving(models.zeros(tmp_path / "m.onnx"), scenario)


def test_a_bad_row_fails_only_its_own_request_before_and_after_the_proof(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        for _ in range(4):
            answers = await concurrent(model, [[np.array([number])] for number in (1, 99, 3)])
            assert [isinstance(each, RejectedByModel) for each in answers] == [False, True, False]
            await proof_ended(model)
        assert await settled_model(model) is State.PROVEN
        answers = await concurrent(model, [[np.array([number])] for number in (1, 99, 3)])
        assert [isinstance(each, RejectedByModel) for each in answers] == [False, True, False]
        assert model.batcher.shares

    serving(models.lookup(tmp_path / "m.onnx"), scenario)


def test_waiting_for_more_requests_never_lets_a_request_expire() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        batcher._gap, batcher._last_arrival = 0.0, time.perf_counter()
        assert answer(await ask(batcher, row(1), 1, timeout=5.0)) == 2

    batching(scenario, model, cost=4.0, max_wait=10.0)


def test_an_unused_batcher_closes() -> None:
    async def scenario() -> None:
        await make_batcher(Model()).close(within=1.0)

    asyncio.run(scenario())
