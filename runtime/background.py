"""The one scope of this process' background tasks: what goes on without a request that waits for it."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_log = logging.getLogger("scalezero.background")


class Background:
    """Tasks by name. Used on one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop itself holds tasks weakly

    def start(self, name: str, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Do the work in a task. An exception that ends it is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self, *, within: float) -> None:
        """Cancel all tasks, and wait until they have ended, for so many seconds at most."""
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
