"""How much time the log may take from the event loop. Pure, but for the reading of the clocks.

The log may use the time in which the event loop's thread would sleep. If the thread always runs, or waits for a CPU,
each millisecond of the log is one that answers do not get. The log is then limited to a small share of the thread's CPU
time, its queue becomes full, and it drops the rest.
"""

import os
import time
from contextlib import suppress
from io import FileIO
from typing import Final, NamedTuple

SHARE: Final = 0.02  # of the CPU time of a thread that never sleeps
SLICE: Final = 0.0005  # seconds without a pause for answers
_WINDOW: Final = 0.05  # seconds between two observations
_USABLE: Final = 0.9  # of the time; the rest keeps the log from making the thread busy
_SAVED: Final = 0.05  # seconds whose share is kept for later if it is not used
_REST: Final = 0.02  # seconds whose share is saved after it is used up: few long turns cost less than many short ones
WHOLE: Final = 1.5  # whole time of the log, with system calls and the copies of tensors, to the measured time
_STATISTICS: Final = "/proc/thread-self/schedstat"  # Linux, Documentation/scheduler/sched-stats.rst
_NANO: Final = 1e-9
_LEAST: Final = 1e-4  # of the time, for a thread that gets no CPU
_LINE: Final = 100  # bytes


class Clocks(NamedTuple):
    """Readings for one thread, in seconds."""

    wall: float
    cpu: float  # in which the thread ran
    waited: float  # in which it was ready to run, and others used the CPU


class ThreadClocks:
    """The clocks of the thread that creates this object. Without the kernel's statistics, it never seems to wait."""

    def __init__(self) -> None:
        self._statistics: FileIO | None = None
        with suppress(OSError):
            self._statistics = FileIO(_STATISTICS)  # stays open: opening takes ten times as long as reading

    def read(self) -> Clocks:
        """Read the clocks."""
        waited = 0.0
        if self._statistics is not None:
            waited = int(os.pread(self._statistics.fileno(), _LINE, 0).split()[1]) * _NANO
        return Clocks(time.perf_counter(), time.thread_time(), waited)

    def close(self) -> None:
        """Close the file."""
        if self._statistics is not None:
            self._statistics.close()


class Pace:
    """Decides when the log may work."""

    def __init__(self) -> None:
        self._since: Clocks | None = None
        self._share = _USABLE  # of the wall time, that the log may use
        self._used = 0.0  # seconds of the log since the last observation
        self._left = 0.0  # seconds that the log may use now; negative: it has used more than its share
        self._rests = False  # whether it waits until it has saved enough for a turn
        self._filled = 0.0  # when `_left` was calculated

    def is_due(self, wall: float) -> bool:
        """Return whether to call `observe`, for which more clocks are read."""
        return self._since is None or wall - self._since.wall >= _WINDOW

    def observe(self, now: Clocks) -> None:
        """Set the share by what everything else on this thread needed since the last call."""
        before, self._since = self._since, now
        used, self._used = self._used, 0.0
        if before is None or (seconds := now.wall - before.wall) <= 0:
            return
        cpu = now.cpu - before.cpu
        others = cpu + now.waited - before.waited - used
        self._share = max(SHARE * cpu, _USABLE * seconds - others, _LEAST * seconds) / seconds

    def wait(self, wall: float) -> float:
        """Return the seconds until the log may work; 0: now."""
        self._left = min(self._left + (wall - self._filled) * self._share, _SAVED * self._share)
        self._filled = wall
        wanted = self._share * _REST if self._rests else 0.0
        self._rests = self._left <= wanted
        return (self._share * _REST - self._left) / self._share if self._rests else 0.0

    def spend(self, seconds: float) -> None:
        """Count the CPU time that the log has used, as measured in Python."""
        self._left -= seconds * WHOLE
        self._used += seconds * WHOLE
