"""Background tasks: a failure is logged, and none outlives the process' end."""

import asyncio
import logging

import pytest

from runtime.background import Background


def test_a_failure_is_logged_with_the_name_of_its_task(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("the reason")

    async def scenario() -> None:
        background = Background()
        background.start("failing", fail())
        await asyncio.sleep(0.01)
        await background.close(within=1)

    asyncio.run(scenario())
    (record,) = caplog.records
    assert (record.levelno, vars(record)["task"]) == (logging.ERROR, "failing")
    assert "the reason" in caplog.text


def test_the_end_cancels_what_is_under_way_and_waits_for_it(caplog: pytest.LogCaptureFixture) -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append("cleaned up")

    async def scenario() -> None:
        background = Background()
        background.start("working", work())
        await asyncio.sleep(0)
        await background.close(within=10)
        assert ended == ["cleaned up"]
        await background.close(within=10)

    asyncio.run(scenario())
    assert caplog.records == []


def test_a_task_that_does_not_end_is_named_and_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn(until: asyncio.Event) -> None:
        while not until.is_set():
            try:
                await until.wait()
            except asyncio.CancelledError:
                continue

    async def scenario() -> None:
        background, until = Background(), asyncio.Event()
        task = background.start("stubborn", stubborn(until))
        await asyncio.sleep(0)
        await background.close(within=0.01)
        assert not task.done()
        until.set()
        await task

    asyncio.run(scenario())
    (record,) = caplog.records
    assert vars(record)["tasks"] == ["stubborn"]


def test_the_result_is_there_for_who_waits() -> None:
    async def seven() -> int:
        return 7

    async def scenario() -> int:
        return await Background().start("seven", seven())

    assert asyncio.run(scenario()) == 7
