"""The background tasks of this process: tasks that no request waits for, or that end even if no request waits."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from runtime.errors import ScalezeroError, ShuttingDown

T = TypeVar("T")
_log = logging.getLogger("scalezero.background")
_RETRY_FIRST: Final = 1.0  # seconds
_RETRY_MAX: Final = 30.0


class _Failure(NamedTuple):
    """The error of a task as its result. A waiting caller raises it; without a caller, it is logged."""

    error: Exception


class Background:
    """Named tasks. Used on one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()  # strong references, because the loop has only weak ones

    def start(self, name: str, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run the coroutine as a task. An exception that ends it is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the coroutine function as a task, and return its result or raise its exception.

        If the caller is cancelled, the task continues, and an exception that ends it is logged. Raises `ShuttingDown`
        if the task is cancelled.
        """
        task = self.start(name, _result(work))
        try:
            result = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise ShuttingDown from None
            task.add_done_callback(_log_failure)
            raise
        if isinstance(result, _Failure):
            raise result.error
        return result

    async def close(self, *, within: float) -> None:
        """Cancel all tasks, and wait until they have ended, at most `within` seconds."""
        for task in self._tasks:
            task.cancel()
        if not self._tasks:
            return
        _, running = await asyncio.wait(self._tasks, timeout=within)
        if running:
            names = sorted(task.get_name() for task in running)
            _log.warning("background tasks did not end in time", extra={"tasks": names})

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a background task failed", exc_info=error, extra={"task": task.get_name()})


async def _result(work: Callable[[], Coroutine[Any, Any, T]]) -> T | _Failure:
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - raised where the result is awaited
        return _Failure(error)


def _log_failure(task: "asyncio.Task[Any]") -> None:
    """Log the failure of a task whose caller has left."""
    if task.cancelled() or not isinstance(result := task.result(), _Failure):
        return
    if isinstance(result.error, ScalezeroError):
        _log.warning("a background task failed", extra={"task": task.get_name(), "reason": result.error.message})
    else:
        _log.error("a background task failed", exc_info=result.error, extra={"task": task.get_name()})


def retry_pauses() -> Iterator[float]:
    """Yield the seconds between the attempts to load a model or a function: 1, 2, 4, ... and 30 from then on."""
    pause = _RETRY_FIRST
    while True:
        yield pause
        pause = min(pause * 2, _RETRY_MAX)
