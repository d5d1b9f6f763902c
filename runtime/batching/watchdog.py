"""A run that exceeds the limit is stopped; one that does not return even then makes the process unhealthy."""

import asyncio
import math
from collections.abc import Callable
from time import perf_counter
from typing import Final

from runtime.batching.run import Run, Stoppable
from runtime.errors import RunTimeout

RETURNS_WITHIN: Final = 5.0  # seconds that a stopped run may take: ONNX Runtime looks at the flag between operators


class Watchdog:
    """Watches the run on the worker; every attempt of a run has the limit for itself."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, model: str, limit: float, given_up: Callable[[Run, RunTimeout], None]
    ) -> None:
        """`limit` is in seconds, inf for none; `given_up` is called for a run that does not return."""
        self._loop = loop
        self._model = model
        self._limit = limit
        self._given_up = given_up
        self._due: asyncio.TimerHandle | None = None
        self._stopped: Stoppable | None = None
        self.stuck: str | None = None  # why the process should be ended, None while it need not be

    def watch(self, run: Run) -> None:
        """Begin to watch."""
        if self._limit < math.inf:
            self._due = self._loop.call_later(self._limit, self._look, run)

    def over(self) -> None:
        """The run has returned."""
        self._stopped = self.stuck = None
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _look(self, run: Run) -> None:
        attempt = run.attempt
        if attempt is not None and attempt is self._stopped:
            self.stuck = f"a run of model {self._model!r} was stopped after {self._limit:g} s and has not returned"
            self._due = None
            self._given_up(run, RunTimeout(self._model, self._limit))
            return
        left = self._limit - (perf_counter() - run.attempt_began) if attempt else self._limit
        if attempt is not None and left <= 0:
            attempt.stop(RunTimeout(self._model, self._limit))
            self._stopped = attempt
            left = RETURNS_WITHIN
        self._due = self._loop.call_later(max(left, 0.001), self._look, run)
