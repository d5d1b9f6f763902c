"""The time limit of runs. A run that exceeds it is stopped; if it still does not return, the process is unhealthy."""

import asyncio
import math
from collections.abc import Callable
from time import perf_counter
from typing import Final

from runtime.batching.run import Run, Stoppable
from runtime.errors import RunTimeout

STOP_TIMEOUT: Final = 5.0  # seconds for a stopped run to return: ONNX Runtime checks the flag between operators


class Watchdog:
    """A timer for the run on the worker. The limit applies to each attempt of the run."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, model: str, limit: float, abandon: Callable[[Run, RunTimeout], None]
    ) -> None:
        """Set the limit in seconds (inf: none), and the callback for a run that was stopped and does not return."""
        self._loop = loop
        self._model = model
        self._limit = limit
        self._abandon = abandon
        self._due: asyncio.TimerHandle | None = None
        self._stopped: Stoppable | None = None
        self.stuck: str | None = None  # why the process must be restarted; None: it is healthy

    def watch(self, run: Run) -> None:
        """Start the timer for this run."""
        if self._limit < math.inf:
            self._due = self._loop.call_later(self._limit, self._check, run)

    def run_returned(self) -> None:
        """Stop the timer: the run has returned."""
        self._stopped = self.stuck = None
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _check(self, run: Run) -> None:
        attempt = run.attempt
        if attempt is not None and attempt is self._stopped:
            self.stuck = f"a run of model {self._model!r} was stopped after {self._limit:g} s and has not returned"
            self._due = None
            self._abandon(run, RunTimeout(self._model, self._limit))
            return
        left = self._limit - (perf_counter() - run.attempt_began) if attempt else self._limit
        if attempt is not None and left <= 0:
            attempt.stop(RunTimeout(self._model, self._limit))
            self._stopped = attempt
            left = STOP_TIMEOUT
        self._due = self._loop.call_later(max(left, 0.001), self._check, run)
