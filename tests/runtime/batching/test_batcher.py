"""The batcher: each caller gets its own rows or an error in time, and no request waits without a benefit."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import numpy as np
import pytest
import uvloop

from runtime.batching.batcher import Batcher
from runtime.batching.independence import SharingStatus, State
from runtime.batching.policy import Limits
from runtime.batching.run import Computation, Run
from runtime.batching.stacking import Tensors
from runtime.errors import DeadlineExceeded, QueueFull, RejectedByModel, ShuttingDown
from runtime.model.session import Session
from runtime.tensors import Prediction, Query
from tests import models

SLOW = 0.01  # seconds: a run of this duration happens on the worker
LONG = 60.0  # seconds: a wait of this duration would fail the test, on a slow machine too


class Model:
    """A model that doubles its rows on any thread, takes `seconds`, and records its batches."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[float]] = []  # the first number of each row
        self.threads: set[int] = set()
        self.gate = Event()  # a run waits for this event
        self.gate.set()
        self.broken: Exception | None = None

    def __call__(self, tensors: Tensors) -> Tensors:
        self.batches.append([float(row.flat[0]) for row in tensors[0]])
        self.threads.add(get_ident())
        assert self.gate.wait(LONG)
        if self.broken:
            raise self.broken
        time.sleep(self.seconds)
        if (tensors[0] < 0).any():
            raise RejectedByModel("doubler", "a negative number")
        return [tensors[0] * 2]


def limits(**changed: Any) -> Limits:  # noqa: ANN401 - any limit's value
    return Limits(**{"batch_size": 8, "max_wait": 0.1, "timeout": LONG, "queue_size": 100, **changed})


def row(number: float, *, rows: int = 1, width: int = 2) -> list[np.ndarray]:
    return [np.full((rows, width), number, np.float32)]


def answer(prediction: Prediction) -> float:
    """Return the only number of an answer."""
    (number,) = {float(each) for each in output(prediction).flat}
    return number


def output(prediction: Prediction) -> np.ndarray:
    """Return the first output."""
    assert isinstance(prediction.outputs[0], np.ndarray)
    return prediction.outputs[0]


def ask(
    batcher: Batcher, tensors: Sequence[np.ndarray], rows: int, *, timeout: float = math.inf
) -> "asyncio.Future[Prediction]":
    """Submit a request; the returned future gets the answer, and cancelling it cancels the ticket."""
    future: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()

    def done(outcome: Prediction | BaseException) -> None:
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    ticket = batcher.submit(Query(tensors, deadline=time.perf_counter() + timeout), rows, done)
    future.add_done_callback(lambda each: ticket.cancel() if each.cancelled() else None)
    return future


def make_batcher(
    model: Callable[[Tensors], Tensors],
    *,
    batchable: bool = True,
    uniform: bool = True,
    report: Callable[[Run], None] = lambda _: None,
    **changed: object,
) -> Batcher:
    """Create a batcher whose rows are proven independent, or refuted if not `batchable`."""
    status = SharingStatus(State.PROVEN if batchable else State.REFUTED, "the test says so")
    return Batcher(Computation.of(model, uniform=uniform), limits(**changed), status, model="m", on_run=report)


def learn(batcher: Batcher, cost: float) -> None:
    """Record the cost of a run in the batcher; 0: almost nothing, for any shape."""
    if cost:
        batcher.record_warm_up(cost)
    else:
        batcher._inlining.learn(10_000, None, 0.0)
        for width in range(1, 5):
            batcher._inlining.learn(10_000, ((width,),), 0.0)


def batching(
    scenario: Callable[[Batcher], Coroutine[Any, Any, None]],
    model: Callable[[Tensors], Tensors],
    *,
    cost: float = 0.0,
    batchable: bool = True,
    uniform: bool = True,
    report: Callable[[Run], None] = lambda _: None,
    **changed: object,
) -> None:
    """Run the scenario on a batcher whose runs cost `cost` seconds (0: unknown), then close it."""

    async def run_scenario() -> None:
        batcher = make_batcher(model, batchable=batchable, uniform=uniform, report=report, **changed)
        learn(batcher, cost)
        await scenario(batcher)
        await batcher.close()

    asyncio.run(run_scenario())


async def settled(model: Model, runs: int = 1) -> None:
    """Wait until `runs` runs have started."""
    for _ in range(15_000):
        if len(model.batches) >= runs:
            return
        await asyncio.sleep(0.002)
    pytest.fail(f"{len(model.batches)} runs began; expected {runs}")


def test_a_single_request_runs_immediately_on_the_loop() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        asked = ask(batcher, row(3), 1)
        await asyncio.sleep(0)  # one pass of the loop
        assert answer(asked.result()) == 6
        assert model.threads == {get_ident()}

    batching(scenario, model)


def test_a_single_caller_never_waits_for_others_even_if_runs_are_slow() -> None:
    model = Model(seconds=0.02)
    at_once: list[bool] = []

    async def scenario(batcher: Batcher) -> None:
        for number in range(8):
            asked = ask(batcher, row(number), 1)
            await asyncio.sleep(0)  # one pass of the loop
            at_once.append(batcher.busy)
            await asked

    batching(scenario, model, cost=0.02)
    assert at_once.count(True) > 4  # not 8: one run that is slow by chance makes a wait look worthwhile


def test_requests_of_one_pass_of_the_loop_share_a_run_in_order() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number), 1) for number in range(20)]
        assert [answer(ticket) for ticket in await asyncio.gather(*futures)] == [2 * number for number in range(20)]

    batching(scenario, model)
    assert model.batches == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15], [16, 17, 18, 19]]


def test_a_request_that_arrives_one_pass_after_concurrent_ones_shares_their_run() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(0), 1), ask(batcher, row(1), 1)]
        await asyncio.sleep(0)
        futures.append(ask(batcher, row(2), 1))
        await asyncio.gather(*futures)
        later = [ask(batcher, row(3), 1)]  # alone, but the last run had several callers
        await asyncio.sleep(0)
        later.append(ask(batcher, row(4), 1))
        await asyncio.gather(*later)

    batching(scenario, model)
    assert model.batches == [[0, 1, 2], [3, 4]]


def test_a_single_caller_does_not_wait_a_pass() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        for number in range(3):
            request = ask(batcher, row(number), 1)
            await asyncio.sleep(0)
            assert len(model.batches) == number + 1
            await request

    batching(scenario, model)


def test_requests_that_arrive_during_a_run_share_the_next_run() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        first = ask(batcher, row(0), 1)
        await settled(model)
        assert batcher.busy
        rest = [ask(batcher, row(number), 1) for number in range(1, 6)]
        assert batcher.waiting == 5
        model.gate.set()
        assert [answer(each) for each in await asyncio.gather(first, *rest)] == [0, 2, 4, 6, 8, 10]

    batching(scenario, model, cost=SLOW, max_wait=0.0)
    assert model.batches == [[0], [1, 2, 3, 4, 5]]


def test_no_run_is_larger_than_the_batch_size() -> None:
    model = Model()
    sizes = [3, 5, 7, 1, 8, 2, 6, 4]

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number, rows=rows), rows) for number, rows in enumerate(sizes)]
        for number, ticket in enumerate(await asyncio.gather(*futures)):
            assert output(ticket).shape == (sizes[number], 2)
            assert answer(ticket) == 2 * number

    batching(scenario, model)
    assert max(map(len, model.batches)) <= 8
    assert sum(map(len, model.batches)) == sum(sizes)


def test_only_rows_of_the_same_shape_share_a_run() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number, width=1 + number % 2), 1) for number in range(8)]
        for number, ticket in enumerate(await asyncio.gather(*futures)):
            assert output(ticket).shape == (1, 1 + number % 2)
            assert answer(ticket) == 2 * number

    batching(scenario, model, uniform=False)
    assert model.batches == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.parametrize("cost", [0.0, SLOW])
def test_concurrent_callers_get_their_own_rows(cost: float) -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        async def caller(number: int) -> None:
            await asyncio.sleep((number % 7) * 0.001)
            rows, width = 1 + number % 5, 1 + number % 3
            ticket = await ask(batcher, row(number, rows=rows, width=width), rows)
            assert output(ticket).shape == (rows, width)
            assert answer(ticket) == 2 * number

        await asyncio.gather(*map(caller, range(400)))

    batching(scenario, model, cost=cost, uniform=False, queue_size=1000)
    assert len(model.batches) < 400


def test_concurrent_callers_of_a_real_session_get_their_own_rows(tmp_path: Path) -> None:
    session = Session(models.doubling(tmp_path / "m.onnx", width=None), uri="m", name="m", threads=1)
    seen: list[int] = []

    async def scenario(batcher: Batcher) -> None:
        async def caller(number: int) -> None:
            rows, width = 1 + number % 4, 1 + number % 3
            ticket = await ask(batcher, row(number, rows=rows, width=width), rows)
            assert output(ticket).shape == (rows, width)
            assert answer(ticket) == 2 * number

        await asyncio.gather(*map(caller, range(300)))

    batching(scenario, session.run, uniform=False, report=lambda run: seen.append(run.rows), queue_size=1000)
    assert sum(seen) == sum(1 + number % 4 for number in range(300))
    assert max(seen) > 4


def test_a_bad_row_fails_only_its_own_request() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(-1 if number == 13 else number), 1) for number in range(32)]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for number, each in enumerate(answers):
            if number == 13:
                assert isinstance(each, RejectedByModel)
            else:
                assert isinstance(each, Prediction)
                assert answer(each) == 2 * number

    batching(scenario, model, batch_size=32)
    assert len(model.batches) <= 11


def test_an_expired_request_is_answered_at_its_deadline_and_never_runs() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        first = ask(batcher, row(0), 1)
        await settled(model)
        asked = time.perf_counter()
        late = ask(batcher, row(1), 1, timeout=0.05)
        patient = ask(batcher, row(2), 1)
        with pytest.raises(DeadlineExceeded, match=r"longer than the timeout of 0\.05 s; the model did not run"):
            await late
        assert time.perf_counter() - asked > 0.04
        assert not patient.done()
        model.gate.set()
        assert [answer(each) for each in await asyncio.gather(first, patient)] == [0, 4]

    batching(scenario, model, cost=SLOW)
    assert model.batches == [[0], [2]]


def test_the_timeout_of_the_model_limits_the_deadline_of_a_caller() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        first = ask(batcher, row(0), 1)
        await settled(model)
        with pytest.raises(DeadlineExceeded, match=r"timeout of 0\.03 s"):
            await ask(batcher, row(1), 1, timeout=60)
        model.gate.set()
        await first

    batching(scenario, model, cost=SLOW, timeout=0.03)


def test_requests_with_a_passed_deadline_are_answered_on_the_loop_of_the_server() -> None:
    """If a timer is due immediately, uvloop creates none, and its handle has no due time."""
    model = Model()
    model.gate.clear()

    async def scenario() -> None:
        batcher = make_batcher(model)
        learn(batcher, SLOW)
        first = ask(batcher, row(0), 1)
        await settled(model)
        late = [ask(batcher, row(number), 1, timeout=0.0) for number in range(3)]
        answers = await asyncio.gather(*late, return_exceptions=True)
        assert all(isinstance(each, DeadlineExceeded) for each in answers)
        model.gate.set()
        await first
        await batcher.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_a_deadline_that_passed_while_the_loop_was_blocked_is_found_before_the_run() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        late = ask(batcher, row(1), 1, timeout=0.005)
        time.sleep(0.02)  # noqa: ASYNC251 - blocks the loop, so no timer can fire
        with pytest.raises(DeadlineExceeded):
            await late

    batching(scenario, model)
    assert model.batches == []


def test_a_cancelled_request_never_runs() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        first = ask(batcher, row(0), 1)
        await settled(model)
        gone, stays = ask(batcher, row(1), 1), ask(batcher, row(2), 1)
        gone.cancel()
        model.gate.set()
        assert answer(await stays) == 4
        assert answer(await first) == 0

    batching(scenario, model, cost=SLOW)
    assert model.batches == [[0], [2]]


def test_a_request_cancelled_during_its_run_does_not_affect_others() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number), 1) for number in range(3)]
        await settled(model)
        futures[1].cancel()
        model.gate.set()
        assert answer(await futures[0]) == 0
        assert answer(await futures[2]) == 4

    batching(scenario, model, cost=SLOW, max_wait=0.0)
    assert model.batches == [[0, 1, 2]]


def test_a_full_queue_rejects_immediately_with_retry_after() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        first = ask(batcher, row(0), 1)
        await settled(model)
        waiting = [ask(batcher, row(number), 1) for number in range(1, 5)]
        with pytest.raises(QueueFull) as refused:
            ask(batcher, row(9), 1)
        assert refused.value.retry_after == 4  # 4 requests, 1 row per run, 1 s per run
        assert refused.value.details == {"limit": 4, "retry_after": 4}
        model.gate.set()
        await asyncio.gather(first, *waiting)
        assert answer(await ask(batcher, row(5), 1)) == 10

    batching(scenario, model, cost=1.0, queue_size=4, batch_size=1)


def test_close_finishes_queued_requests_and_rejects_new_ones() -> None:
    model = Model(seconds=0.02)

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number), 1) for number in range(30)]
        await settled(model)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(ShuttingDown):
            ask(batcher, row(99), 1)
        await closing
        assert all(future.done() for future in futures)
        assert [answer(future.result()) for future in futures] == [2 * number for number in range(30)]

    batching(scenario, model, cost=SLOW)


def test_a_slow_run_does_not_block_the_event_loop() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        future = ask(batcher, row(1), 1)
        await settled(model)
        for _ in range(20):  # timers of the loop, during the run
            await asyncio.sleep(0.002)
        assert not future.done()
        model.gate.set()
        assert answer(await future) == 2
        assert get_ident() not in model.threads

    batching(scenario, model, cost=0.2)


def arrivals(count: int, *, every: float) -> Callable[[Batcher], Coroutine[Any, Any, None]]:
    """Return a scenario with requests that arrive at a constant rate."""

    async def scenario(batcher: Batcher) -> None:
        futures = []
        for number in range(count):
            futures.append(ask(batcher, row(number), 1))
            await asyncio.sleep(every)
        for number, ticket in enumerate(await asyncio.gather(*futures)):
            assert answer(ticket) == 2 * number

    return scenario


def pace(batcher: Batcher, gap: float) -> None:
    """Set the state of a batcher whose requests have arrived `gap` seconds apart."""
    batcher._gap, batcher._last_arrival = gap, time.perf_counter() - gap


def test_an_idle_model_waits_for_more_requests_if_that_saves_time() -> None:
    """With a fixed cost of 10 s and a request every 3 ms, waiting saves time."""
    model = Model()
    waits: list[float] = []

    async def scenario(batcher: Batcher) -> None:
        pace(batcher, 0.003)
        await arrivals(8, every=0.003)(batcher)

    def report(run: Run) -> None:
        waits.append(run.started - min(each.arrived for each in run.tickets))

    batching(scenario, model, cost=10.0, max_wait=LONG, report=report)
    assert model.batches == [list(range(8))]  # the wait ends when the batch is full
    assert waits[0] > 0.002


def test_a_max_wait_of_zero_disables_waiting() -> None:
    model = Model(seconds=0.06)

    async def scenario(batcher: Batcher) -> None:
        pace(batcher, 0.003)
        await arrivals(6, every=0.003)(batcher)

    batching(scenario, model, cost=0.06, max_wait=0.0)
    assert model.batches[0] == [0]


def test_no_request_waits_longer_than_max_wait() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        pace(batcher, 0.0)
        ticket = await ask(batcher, row(1), 1)
        assert 0.025 < ticket.queued < LONG / 4  # without the limit, LONG / 2

    batching(scenario, model, cost=LONG, max_wait=0.03, timeout=10 * LONG)


def test_without_a_batch_axis_requests_run_one_by_one() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number, rows=2), 1) for number in range(5)]
        assert [answer(each) for each in await asyncio.gather(*futures)] == [0, 2, 4, 6, 8]

    batching(scenario, model, batchable=False)
    assert model.batches == [[number, number] for number in range(5)]


@pytest.mark.parametrize("batchable", [True, False])
def test_a_failed_run_of_one_request_is_answered_with_its_error(batchable: bool) -> None:  # noqa: FBT001 - a parameter of the table
    async def scenario(batcher: Batcher) -> None:
        answers = await asyncio.gather(*(ask(batcher, row(number), 1) for number in (1, -1, 2)), return_exceptions=True)
        assert [isinstance(each, RejectedByModel) for each in answers] == [False, True, False]

    batching(scenario, Model(), batchable=batchable)


@pytest.mark.parametrize("cost", [0.0, SLOW])
def test_a_bug_in_a_run_fails_its_requests_and_the_batcher_continues(cost: float) -> None:
    model = Model()
    model.broken = ZeroDivisionError("ours")

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number), 1) for number in range(9)]
        futures[0].cancel()
        answers = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), LONG)
        assert all(isinstance(each, ZeroDivisionError) for each in answers[1:])
        model.broken = None
        assert answer(await ask(batcher, row(4), 1)) == 8

    batching(scenario, model, cost=cost)


def test_a_run_is_reported_once_with_its_times() -> None:
    runs: list[Run] = []
    times: list[float] = []

    async def scenario(batcher: Batcher) -> None:
        times.append(time.perf_counter())
        await asyncio.gather(ask(batcher, row(1, rows=2), 2), ask(batcher, row(2), 1))
        times.append(time.perf_counter())

    batching(scenario, Model(seconds=0.01), report=runs.append)
    (run,) = runs
    assert (run.rows, len(run.tickets)) == (3, 2)
    assert run.batched >= 0
    assert run.ran >= 0.01
    assert run.batched + run.ran <= times[1] - times[0]
