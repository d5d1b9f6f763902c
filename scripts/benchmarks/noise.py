"""Detects the load of other processes on the machine. A disturbed measurement is repeated, within a time limit.

Steal (the hypervisor's) shows only in a process that wants to run, so before a measurement a busy loop must get nearly
all of each core. During the measurement, CPU time of other processes than ours and our children counts as foreign.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import psutil

T = TypeVar("T")

FOREIGN_LIMIT: Final = 0.06  # cores
STEAL_LIMIT: Final = 0.10  # cores
QUIET_SHARE: Final = 0.93  # of a core that a busy loop must get
PROBE_SECONDS: Final = 0.15
TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU seconds used so far: by everybody, by us with our children, and by the hypervisor."""

    at: float  # seconds of a monotonic clock
    everybody: float
    us: float
    steal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """Cores that were taken from a measurement."""

    foreign: float
    steal: float

    @property
    def disturbed(self) -> bool:
        """Whether it is too much to trust the measurement."""
        return self.foreign > FOREIGN_LIMIT or self.steal > STEAL_LIMIT


def disturbance(before: Usage, after: Usage) -> Disturbance:
    """What others took between two readings."""
    seconds = after.at - before.at
    foreign = (after.everybody - before.everybody) - (after.us - before.us)
    return Disturbance(foreign=max(0.0, foreign / seconds), steal=(after.steal - before.steal) / seconds)


def _own_seconds() -> float:
    """CPU time of this process, of its ended children and of all that still run below it."""
    spent = sum(os.times()[:4])
    for child in psutil.Process().children(recursive=True):
        try:
            spent += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # its time is in its parent's by now
    return spent


def read_usage() -> Usage:
    """The counters now."""
    total = psutil.cpu_times()
    return Usage(
        at=time.perf_counter(),
        everybody=total.user + total.nice + total.system,
        us=_own_seconds(),
        steal=total.steal,
    )


def share_of(cpu: int) -> float:
    """How much of a core a busy loop gets, from 0 to 1."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        start, used = time.perf_counter(), time.thread_time()
        while time.perf_counter() - start < PROBE_SECONDS:
            pass
        return (time.thread_time() - used) / (time.perf_counter() - start)
    finally:
        os.sched_setaffinity(0, mine)


@dataclass(slots=True, kw_only=True)
class Guard:
    """Waits for quiet and repeats what was disturbed, for `patience` seconds in all."""

    cpus: Iterable[int]
    patience: float
    share: Callable[[int], float] = field(default=share_of)
    read: Callable[[], Usage] = field(default=read_usage)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def wait_for_quiet(self) -> None:
        """Return when each core is ours, or when patience is gone."""
        self.wait_while(lambda: min([self.share(cpu) for cpu in self.cpus]) < QUIET_SHARE)

    def wait_while(self, busy: Callable[[], bool]) -> bool:
        """Return when it no longer holds, or when patience is gone; tell which: True if it ended."""
        while still := busy():
            if self.patience <= 0:
                break
            self.sleep(1)
            self.patience -= 1
        return not still

    def calmly(self, measure: Callable[[], T]) -> tuple[T, Disturbance]:
        """The least disturbed of up to three tries."""
        best = self._once(measure)
        for _ in range(TRIES - 1):
            if not best[1].disturbed or self.patience <= 0:
                break
            start = time.perf_counter()
            again = self._once(measure)
            self.patience -= time.perf_counter() - start
            best = min(best, again, key=lambda got: got[1].foreign + got[1].steal)
        return best

    def _once(self, measure: Callable[[], T]) -> tuple[T, Disturbance]:
        self.wait_for_quiet()
        before = self.read()
        result = measure()
        return result, disturbance(before, self.read())
