"""A pool of daemon threads. They keep the author's thread-local data, and never delay the end of the process."""

import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Final

_log: Final = logging.getLogger("scalezero.function")


class Threads:
    """Runs jobs on at most `count` threads, which start when they are first needed. Not thread-safe."""

    def __init__(self, count: int, *, name: str) -> None:
        self._count = count
        self._name = name
        self._started = 0
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def run(self, job: Callable[[], None], *, busy: int) -> None:
        """Run the job on the next free thread; `busy` is the number of threads that have a job."""
        if busy >= self._started < self._count:
            self._started += 1
            Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except BaseException:  # noqa: BLE001 - a thread that ends is never replaced
                _log.exception("a job on a function thread failed")
            del job  # an idle thread must not keep the last request in memory
