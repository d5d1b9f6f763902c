"""Background tasks: a failure is logged, and all tasks end with the process."""

import asyncio
import logging
from functools import partial

import pytest

from runtime.background import Background
from runtime.errors import ShuttingDown
from tests.waiting import DEADLINE


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


def test_close_cancels_running_tasks_and_waits_for_them(caplog: pytest.LogCaptureFixture) -> None:
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


def test_a_task_that_does_not_end_is_logged_and_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
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


def test_the_result_of_a_task_can_be_awaited() -> None:
    async def seven() -> int:
        return 7

    async def scenario() -> int:
        return await Background().start("seven", seven())

    assert asyncio.run(scenario()) == 7


def test_work_continues_if_its_caller_leaves(caplog: pytest.LogCaptureFixture) -> None:
    ended = []

    async def work(until: asyncio.Event, ends: asyncio.Event) -> str:
        await until.wait()
        ended.append("work")
        ends.set()
        return "result"

    async def scenario() -> None:
        background, now = Background(), asyncio.Event()
        now.set()
        assert await background.finish("heard", partial(work, now, asyncio.Event())) == "result"
        until, ends = asyncio.Event(), asyncio.Event()
        caller = asyncio.create_task(background.finish("left", partial(work, until, ends)))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert ended == ["work"]
        until.set()
        await asyncio.wait_for(ends.wait(), DEADLINE)
        assert ended == ["work", "work"]

    asyncio.run(scenario())
    assert caplog.records == []


@pytest.mark.parametrize("error", [ShuttingDown(), ValueError("the reason")])
def test_a_failure_of_work_is_raised_and_is_logged_only_if_the_caller_has_left(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(until: asyncio.Event) -> None:
        await until.wait()
        raise error

    async def scenario() -> None:
        background, until = Background(), asyncio.Event()
        until.set()
        with pytest.raises(type(error)):
            await background.finish("heard", partial(fail, until))
        assert caplog.records == []
        until.clear()
        caller = asyncio.create_task(background.finish("left", partial(fail, until)))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        until.set()
        async with asyncio.timeout(DEADLINE):
            while not caplog.records:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)

    asyncio.run(scenario())
    (record,) = caplog.records
    assert vars(record)["task"] == "left"
    assert record.levelno == (logging.WARNING if isinstance(error, ShuttingDown) else logging.ERROR)


def test_a_caller_learns_that_its_work_was_cancelled() -> None:
    async def scenario() -> None:
        background = Background()
        caller = asyncio.create_task(background.finish("working", partial(asyncio.sleep, 60)))
        await asyncio.sleep(0)
        await background.close(within=10)
        with pytest.raises(ShuttingDown):
            await caller

    asyncio.run(scenario())
