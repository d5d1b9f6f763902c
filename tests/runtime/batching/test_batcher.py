"""The queue in front of a model: everyone gets their own rows, in time or not at all, and nobody waits for nothing."""

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
from runtime.batching.independence import Standing, State
from runtime.batching.policy import Limits
from runtime.batching.run import Computation, Run
from runtime.batching.stacking import Tensors
from runtime.errors import DeadlineExceeded, QueueFull, RejectedByModel, ShuttingDown
from runtime.model.session import Session
from runtime.tensors import Prediction, Query
from tests import models

SLOW = 0.01  # seconds: a cost with which a run goes to the worker


class Model:
    """A model that doubles its rows, on whatever thread; it takes as long as told and remembers what it saw."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[float]] = []  # the first number of each row
        self.threads: set[int] = set()
        self.gate = Event()  # a run waits for it
        self.gate.set()
        self.broken: Exception | None = None

    def __call__(self, tensors: Tensors) -> Tensors:
        self.batches.append([float(row.flat[0]) for row in tensors[0]])
        self.threads.add(get_ident())
        assert self.gate.wait(10)
        if self.broken:
            raise self.broken
        time.sleep(self.seconds)
        if (tensors[0] < 0).any():
            raise RejectedByModel("doubler", "a negative number")
        return [tensors[0] * 2]


def limits(**changed: Any) -> Limits:  # noqa: ANN401 - any limit's value
    return Limits(**{"batch_size": 8, "max_wait": 0.1, "timeout": 5.0, "queue_size": 100, **changed})


def row(number: float, *, rows: int = 1, width: int = 2) -> list[np.ndarray]:
    return [np.full((rows, width), number, np.float32)]


def answer(prediction: Prediction) -> float:
    """The one number that an answer is made of."""
    (number,) = {float(each) for each in output(prediction).flat}
    return number


def output(prediction: Prediction) -> np.ndarray:
    """The first output."""
    assert isinstance(prediction.outputs[0], np.ndarray)
    return prediction.outputs[0]


def ask(
    batcher: Batcher, tensors: Sequence[np.ndarray], rows: int, *, timeout: float = math.inf
) -> "asyncio.Future[Prediction]":
    """Submit a request; the future gets its answer, and cancelling it cancels the ticket."""
    future: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()

    def done(outcome: Prediction | BaseException) -> None:
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    ticket = batcher.submit(Query(tensors, deadline=time.perf_counter() + timeout), rows, done)
    future.add_done_callback(lambda each: ticket.cancel() if each.cancelled() else None)
    return future


def made(
    model: Callable[[Tensors], Tensors],
    *,
    batchable: bool = True,
    uniform: bool = True,
    report: Callable[[Run], None] = lambda _: None,
    **changed: object,
) -> Batcher:
    """A batcher whose rows are proven to be independent, or not to be."""
    standing = Standing(State.PROVEN if batchable else State.REFUTED, "the test says so")
    return Batcher(Computation.of(model, uniform=uniform), limits(**changed), standing, model="m", report=report)


def learn(batcher: Batcher, cost: float) -> None:
    """Let the batcher know what a run costs; 0: next to nothing, for any shape."""
    if cost:
        batcher.warmed_up(cost)
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
    """Run the scenario on a batcher whose runs are known to cost so many seconds, 0 for unknown; then close it."""

    async def whole() -> None:
        batcher = made(model, batchable=batchable, uniform=uniform, report=report, **changed)
        learn(batcher, cost)
        await scenario(batcher)
        await batcher.close()

    asyncio.run(whole())


async def settled(model: Model, runs: int = 1) -> None:
    """Wait until so many runs have begun."""
    for _ in range(1000):
        if len(model.batches) >= runs:
            return
        await asyncio.sleep(0.002)
    pytest.fail(f"{len(model.batches)} runs began; expected {runs}")


def test_a_lone_request_runs_at_once_on_the_loop() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        ticket = await ask(batcher, row(3), 1)
        assert answer(ticket) == 6
        assert ticket.queued < 0.05
        assert model.threads == {get_ident()}

    batching(scenario, model)


def test_a_lone_caller_never_waits_however_costly_a_run_is() -> None:
    model = Model(seconds=0.02)

    async def scenario(batcher: Batcher) -> None:
        waits = [(await ask(batcher, row(number), 1)).queued for number in range(8)]
        assert sorted(waits)[4] < 0.01

    batching(scenario, model, cost=0.02)


def test_what_arrives_in_one_pass_of_the_loop_shares_a_run_in_order() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number), 1) for number in range(20)]
        assert [answer(ticket) for ticket in await asyncio.gather(*futures)] == [2 * number for number in range(20)]

    batching(scenario, model)
    assert model.batches == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15], [16, 17, 18, 19]]


def test_what_arrives_during_a_run_shares_the_next() -> None:
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


def test_no_run_is_larger_than_the_batch_size_whatever_the_requests_are() -> None:
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


def test_only_rows_of_one_shape_share_a_run() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number, width=1 + number % 2), 1) for number in range(8)]
        for number, ticket in enumerate(await asyncio.gather(*futures)):
            assert output(ticket).shape == (1, 1 + number % 2)
            assert answer(ticket) == 2 * number

    batching(scenario, model, uniform=False)
    assert model.batches == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.parametrize("cost", [0.0, SLOW])
def test_many_callers_at_once_get_their_own_rows(cost: float) -> None:
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


def test_many_callers_of_a_real_session_get_their_own_rows(tmp_path: Path) -> None:
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


def test_a_poisoned_row_fails_alone() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(-1 if number == 13 else number), 1) for number in range(32)]
        told = await asyncio.gather(*futures, return_exceptions=True)
        for number, each in enumerate(told):
            if number == 13:
                assert isinstance(each, RejectedByModel)
            else:
                assert isinstance(each, Prediction)
                assert answer(each) == 2 * number

    batching(scenario, model, batch_size=32)
    assert len(model.batches) <= 11


def test_an_expired_request_is_told_at_its_deadline_and_never_run() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        first = ask(batcher, row(0), 1)
        await settled(model)
        began = time.perf_counter()
        late = ask(batcher, row(1), 1, timeout=0.05)
        patient = ask(batcher, row(2), 1)
        with pytest.raises(DeadlineExceeded, match=r"longer than the timeout of 0\.05 s; the model did not run"):
            await late
        assert 0.04 < time.perf_counter() - began < 0.5
        model.gate.set()
        assert [answer(each) for each in await asyncio.gather(first, patient)] == [0, 4]

    batching(scenario, model, cost=SLOW)
    assert model.batches == [[0], [2]]


def test_a_caller_cannot_wait_longer_than_the_model_allows() -> None:
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


def test_requests_that_are_late_already_are_told_on_the_servers_own_loop() -> None:
    """Of what is due at once uvloop makes no timer, and its handle cannot tell when it is due."""
    model = Model()
    model.gate.clear()

    async def scenario() -> None:
        batcher = made(model)
        learn(batcher, SLOW)
        first = ask(batcher, row(0), 1)
        await settled(model)
        late = [ask(batcher, row(number), 1, timeout=0.0) for number in range(3)]
        told = await asyncio.gather(*late, return_exceptions=True)
        assert all(isinstance(each, DeadlineExceeded) for each in told)
        model.gate.set()
        await first
        await batcher.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_a_deadline_that_passed_unseen_is_found_before_the_run() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        late = ask(batcher, row(1), 1, timeout=0.005)
        time.sleep(0.02)  # noqa: ASYNC251 - the loop is held up: no timer could tell
        with pytest.raises(DeadlineExceeded):
            await late

    batching(scenario, model)
    assert model.batches == []


def test_a_cancelled_request_is_never_run() -> None:
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


def test_who_leaves_during_the_run_spoils_nothing() -> None:
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


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again() -> None:
    model = Model()
    model.gate.clear()

    async def scenario(batcher: Batcher) -> None:
        first = ask(batcher, row(0), 1)
        await settled(model)
        waiting = [ask(batcher, row(number), 1) for number in range(1, 5)]
        with pytest.raises(QueueFull) as refused:
            ask(batcher, row(9), 1)
        assert refused.value.retry_after == 4  # four requests, one row a run, a second each
        assert refused.value.details == {"limit": 4, "retry_after": 4}
        model.gate.set()
        await asyncio.gather(first, *waiting)
        assert answer(await ask(batcher, row(5), 1)) == 10

    batching(scenario, model, cost=1.0, queue_size=4, batch_size=1)


def test_close_finishes_what_is_queued_and_takes_no_more() -> None:
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


def test_a_heavy_run_leaves_the_event_loop_free() -> None:
    model = Model(seconds=0.2)

    async def scenario(batcher: Batcher) -> None:
        future = ask(batcher, row(1), 1)
        beats, last, longest = 0, time.perf_counter(), 0.0
        while not future.done():
            await asyncio.sleep(0.002)
            now = time.perf_counter()
            beats, longest, last = beats + 1, max(longest, now - last), now
        assert answer(await future) == 2
        assert beats > 20
        assert longest < 0.1
        assert get_ident() not in model.threads

    batching(scenario, model, cost=0.2)


def arrivals(count: int, *, every: float) -> Callable[[Batcher], Coroutine[Any, Any, None]]:
    """A scenario: requests that come at a steady pace."""

    async def scenario(batcher: Batcher) -> None:
        futures = []
        for number in range(count):
            futures.append(ask(batcher, row(number), 1))
            await asyncio.sleep(every)
        for number, ticket in enumerate(await asyncio.gather(*futures)):
            assert answer(ticket) == 2 * number

    return scenario


def pace(batcher: Batcher, gap: float) -> None:
    """As if requests had been coming so many seconds apart for a while."""
    batcher._gap, batcher._last_arrival = gap, time.perf_counter() - gap


def test_an_idle_model_waits_for_company_where_that_pays() -> None:
    """With a fixed cost of 60 ms and a request every 3 ms, the first wave is worth waiting for."""
    model = Model(seconds=0.06)
    waits: list[float] = []

    async def scenario(batcher: Batcher) -> None:
        pace(batcher, 0.003)
        await arrivals(8, every=0.003)(batcher)

    def report(run: Run) -> None:
        waits.append(run.started - min(each.arrived for each in run.tickets))

    batching(scenario, model, cost=0.06, max_wait=0.1, report=report)
    assert len(model.batches[0]) > 1
    assert waits[0] > 0.002


def test_max_wait_of_zero_forbids_to_wait() -> None:
    model = Model(seconds=0.06)

    async def scenario(batcher: Batcher) -> None:
        pace(batcher, 0.003)
        await arrivals(6, every=0.003)(batcher)

    batching(scenario, model, cost=0.06, max_wait=0.0)
    assert model.batches[0] == [0]


def test_nobody_waits_for_company_beyond_the_ceiling() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        pace(batcher, 0.0)
        ticket = await ask(batcher, row(1), 1)
        assert 0.025 < ticket.queued < 0.2

    batching(scenario, model, cost=1.0, max_wait=0.03)


def test_without_a_batch_axis_requests_run_one_by_one() -> None:
    model = Model()

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number, rows=2), 1) for number in range(5)]
        assert [answer(each) for each in await asyncio.gather(*futures)] == [0, 2, 4, 6, 8]

    batching(scenario, model, batchable=False)
    assert model.batches == [[number, number] for number in range(5)]


@pytest.mark.parametrize("batchable", [True, False])
def test_a_model_that_fails_alone_tells_its_own_caller(batchable: bool) -> None:  # noqa: FBT001 - a parameter of the table
    async def scenario(batcher: Batcher) -> None:
        told = await asyncio.gather(*(ask(batcher, row(number), 1) for number in (1, -1, 2)), return_exceptions=True)
        assert [isinstance(each, RejectedByModel) for each in told] == [False, True, False]

    batching(scenario, Model(), batchable=batchable)


@pytest.mark.parametrize("cost", [0.0, SLOW])
def test_a_bug_in_a_run_is_told_to_its_callers_and_ends_nothing(cost: float) -> None:
    model = Model()
    model.broken = ZeroDivisionError("ours")

    async def scenario(batcher: Batcher) -> None:
        futures = [ask(batcher, row(number), 1) for number in range(9)]
        futures[0].cancel()
        told = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 5)
        assert all(isinstance(each, ZeroDivisionError) for each in told[1:])
        model.broken = None
        assert answer(await ask(batcher, row(4), 1)) == 8

    batching(scenario, model, cost=cost)


def test_a_run_is_reported_once_with_its_times() -> None:
    runs: list[tuple[int, int, float, bool]] = []

    def report(run: Run) -> None:
        runs.append((run.rows, len(run.tickets), run.ran, 0 <= run.batched < 1))

    async def scenario(batcher: Batcher) -> None:
        await asyncio.gather(ask(batcher, row(1, rows=2), 2), ask(batcher, row(2), 1))

    batching(scenario, Model(seconds=0.01), report=report)
    assert len(runs) == 1
    rows, requests, ran, sound = runs[0]
    assert (rows, requests, sound) == (3, 2, True)
    assert 0.01 <= ran < 0.1
