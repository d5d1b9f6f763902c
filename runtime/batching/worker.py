"""The worker thread for long runs. It is a daemon thread, so a run that never ends does not block the process exit."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Job: TypeAlias = Callable[[], None]


class Worker:
    """A thread that runs jobs in their order; the first job starts it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    def submit(self, job: Callable[[], T], done: Callable[[T | BaseException], None]) -> None:
        """Run the job, then call `done` on the loop's thread with its result or exception."""

        def run_job() -> None:
            try:
                outcome: T | BaseException = job()
            except BaseException as error:  # noqa: BLE001 - passed to `done`
                outcome = error
            with suppress(RuntimeError):  # the loop is closed, so nothing waits for the outcome
                self._loop.call_soon_threadsafe(done, outcome)

        self._jobs.put(run_job)
        if self._thread is None:
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the submitted jobs, then end the thread."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
