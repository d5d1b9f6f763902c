"""Sinks: each gets every outcome, in order; the service drains all of them within one limit."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from runtime.background import Background
from runtime.sinks import Outcome, Sinks
from tests.runtime.recording import RecordingSink


def running(scenario: Callable[[Sinks], Coroutine[Any, Any, None]]) -> None:
    async def run_scenario() -> None:
        background = Background()
        await scenario(Sinks(background))
        await background.close(within=10)

    asyncio.run(run_scenario())


def test_every_sink_gets_every_outcome_in_order() -> None:
    async def scenario(sinks: Sinks) -> None:
        before = sinks.any
        added = [RecordingSink(), RecordingSink()]
        for each in added:
            sinks.add(each)
        assert (before, sinks.any) == (False, True)
        outcomes = [Outcome("predict", "m", "1", "ok", float(number), 0.1) for number in range(10)]
        for outcome in outcomes:
            sinks.offer(outcome)
        assert [sink.taken for sink in added] == [outcomes, outcomes]

    running(scenario)


def test_all_sinks_drain_within_the_same_limit() -> None:
    async def scenario(sinks: Sinks) -> None:
        added = [RecordingSink(), RecordingSink()]
        for each in added:
            sinks.add(each)
        await sinks.drain(within=3.0)
        assert [sink.drained for sink in added] == [[3.0], [3.0]]

    running(scenario)
