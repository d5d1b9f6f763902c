"""The thread that long runs go to. It is a daemon: a run that never ends must not keep the process from ending."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Job: TypeAlias = Callable[[], None]


class Worker:
    """Does jobs in their order, on a thread that starts with the first one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    def do(self, job: Callable[[], T], done: Callable[[T | BaseException], None]) -> None:
        """Do the job, then call `done` on the loop's thread with what it returned or raised."""

        def whole() -> None:
            try:
                outcome: T | BaseException = job()
            except BaseException as error:  # noqa: BLE001 - it travels to whoever waits
                outcome = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(done, outcome)

        self._jobs.put(whole)
        if self._thread is None:
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Do what was asked for so far, then end the thread."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
