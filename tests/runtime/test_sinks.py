"""Sinks: all outcomes in order while there is room, drops counted beyond it, and nothing that an answer waits for."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np
import pytest

from runtime.background import Background
from runtime.sinks import Outcome, Sink, Sinks
from runtime.tensors import Prediction, Query


def outcome(number: int, elements: int = 1) -> Outcome:
    tensor = np.full(elements, number, np.float32)
    prediction = Prediction([tensor], model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)
    return Outcome("predict", "m", "1", "ok", 0.0, 0.1, [Query([tensor])], [prediction])


def numbers(taken: Sequence[Outcome]) -> list[int]:
    return [int(each.predictions[0].outputs[0][0]) for each in taken]


def running(scenario: Callable[[Sinks], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        background = Background()
        await scenario(Sinks(background))
        await background.close(within=10)

    asyncio.run(whole())


class Slow:
    """Takes nothing before the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.taken: list[int] = []

    async def __call__(self, outcomes: Sequence[Outcome]) -> None:
        await self.gate.wait()
        self.taken += numbers(outcomes)


def test_every_sink_gets_every_outcome_in_order() -> None:
    async def scenario(sinks: Sinks) -> None:
        before = sinks.any
        takers = [Slow(), Slow()]
        for taker in takers:
            taker.gate.set()
            sinks.add(Sink("s", taker))
        assert (before, sinks.any) == (False, True)
        for number in range(1000):
            sinks.offer(outcome(number))
        await sinks.drain(within=10)
        assert [taker.taken for taker in takers] == [list(range(1000))] * 2

    running(scenario)


@pytest.mark.parametrize(("limits", "kept"), [({"limit": 3}, 3), ({"limit_bytes": 2 * 2 * 400}, 2)])
def test_what_finds_the_queue_full_is_dropped_and_counted(limits: dict[str, int], kept: int) -> None:
    async def scenario(sinks: Sinks) -> None:
        slow = Slow()
        sinks.add(sink := Sink("s", slow, **limits))
        for number in range(10):
            sinks.offer(outcome(number, elements=100))
        assert sink.dropped == 10 - kept
        slow.gate.set()
        await sinks.drain(within=10)
        assert slow.taken == list(range(kept))
        sinks.offer(outcome(11, elements=100))
        await sinks.drain(within=10)
        assert slow.taken[-1] == 11

    running(scenario)


def test_a_sink_that_fails_loses_what_it_failed_for_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[int] = []

    async def take(outcomes: Sequence[Outcome]) -> None:
        if 1 in numbers(outcomes):
            raise OSError("the log is full")
        taken.extend(numbers(outcomes))

    async def scenario(sinks: Sinks) -> None:
        sinks.add(sink := Sink("s", take))
        for number in range(3):
            sinks.offer(outcome(number))
            await sinks.drain(within=10)
        assert (taken, sink.failed, sink.dropped) == ([0, 2], 1, 0)

    running(scenario)
    assert "the log is full" in caplog.text


def test_the_end_waits_for_a_sink_no_longer_than_it_may_and_counts_what_is_left() -> None:
    async def scenario(sinks: Sinks) -> None:
        sinks.add(sink := Sink("s", Slow()))
        sinks.offer(outcome(0))
        await asyncio.sleep(0.01)  # the first one is being taken
        for number in range(5):
            sinks.offer(outcome(number))
        await sinks.drain(within=0.01)
        assert sink.dropped == 5

    running(scenario)
