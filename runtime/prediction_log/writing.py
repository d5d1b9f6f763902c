"""Appends the events to a file, one per line: JSON Lines of events in structured mode.

A thread writes, because a disk can block; one write at a time keeps the lines in order.
"""

import asyncio
import logging
import os
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from runtime.prediction_log.pace import SLICE

if TYPE_CHECKING:
    from runtime.prediction_log.encoding import Encoder
    from runtime.prediction_log.log import Queue

_log = logging.getLogger("scalezero.prediction_log")
TICK: Final = 0.005  # seconds from a prediction to its line
_POLL: Final = 0.01  # seconds between two checks in a shutdown
_REPORT: Final = 60.0  # seconds between two log lines about failed writes


class Writer:
    """The output that writes to a file. Used on one event loop."""

    def __init__(self, path: Path, file: int, queue: "Queue", encoder: "Encoder") -> None:
        """`file` is the descriptor of an open file; `path` is for logs."""
        self._path = path
        self._file = file
        self._queue = queue
        self._encoder = encoder
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reported = -_REPORT

    async def run(self) -> None:
        """Write from now on."""
        self._loop = asyncio.get_running_loop()
        self.wake()
        try:
            await asyncio.Event().wait()
        finally:
            self._loop = None

    def wake(self) -> None:
        """Start the timer, so that the work begins after the current answers are written."""
        if self._timer is None and self._writing is None and self._loop is not None:
            self._timer = self._loop.call_later(TICK, self._tick)

    async def drain(self, within: float) -> None:
        """Write the rest."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while (self._queue or self._writing) and loop.time() < until:
            self.wake()
            await asyncio.sleep(_POLL)
        self._queue.drop_all()
        counts = self._queue.counts
        if counts.dropped or counts.failed:
            _log.warning("the prediction log is incomplete", extra={"file": str(self._path), **counts.facts})

    def _tick(self) -> None:
        self._timer = None
        if self._loop is None or not self._queue or self._writing is not None:
            return
        lines: list[bytes] = []
        until = perf_counter() + SLICE
        while self._queue and perf_counter() < until:
            lines += (self._encoder.structured(self._queue.take()), b"\n")
        self._writing = self._loop.run_in_executor(None, _write, self._file, b"".join(lines))
        self._writing.add_done_callback(lambda done: self._written(done, len(lines) // 2))

    def _written(self, done: "asyncio.Future[None]", events: int) -> None:
        self._writing = None
        counts = self._queue.counts
        error = None if done.cancelled() else done.exception()
        if error is None:
            counts.emitted += events
        else:
            counts.failed += events
            self._report(error)
        if self._queue:
            self.wake()

    def _report(self, error: BaseException) -> None:
        now = perf_counter()
        if now - self._reported >= _REPORT:
            self._reported = now
            reason = getattr(error, "strerror", None) or str(error)
            _log.warning("predictions cannot be written", extra={"file": str(self._path), "reason": reason})


def open_file(path: Path) -> int:
    """Open a file to append lines to, readable by its owner only, because inputs can be personal. Raises `OSError`."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
