"""Detects the load of other processes on the machine. A disturbed measurement is repeated, within a time limit.

Steal time of the hypervisor is visible only to a process that is ready to run. Therefore, before a measurement, a busy
loop must get almost all of each core. During the measurement, the CPU time of processes other than this one and its
children counts as foreign.
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
    """CPU seconds used so far: by all processes, by this process with its children, and by the hypervisor."""

    at: float  # seconds of a monotonic clock
    everybody: float
    us: float
    steal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """The load of others during a measurement, in cores."""

    foreign: float
    steal: float

    @property
    def disturbed(self) -> bool:
        """Whether the load is too high to trust the measurement."""
        return self.foreign > FOREIGN_LIMIT or self.steal > STEAL_LIMIT


def disturbance(before: Usage, after: Usage) -> Disturbance:
    """Return the load of others between two readings."""
    seconds = after.at - before.at
    foreign = (after.everybody - before.everybody) - (after.us - before.us)
    return Disturbance(foreign=max(0.0, foreign / seconds), steal=(after.steal - before.steal) / seconds)


def _own_seconds() -> float:
    """Return the CPU seconds of this process, its ended children and all its running descendants."""
    spent = sum(os.times()[:4])
    for child in psutil.Process().children(recursive=True):
        try:
            spent += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # it has ended; its parent's time includes it
    return spent


def read_usage() -> Usage:
    """Read the counters."""
    total = psutil.cpu_times()
    return Usage(
        at=time.perf_counter(),
        everybody=total.user + total.nice + total.system,
        us=_own_seconds(),
        steal=total.steal,
    )


def share_of(cpu: int) -> float:
    """Return the share of a core that a busy loop gets, from 0 to 1."""
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
    """Waits for a quiet machine and repeats disturbed measurements, for `wait_budget` seconds in total."""

    cpus: Iterable[int]
    wait_budget: float
    share: Callable[[int], float] = field(default=share_of)
    read: Callable[[], Usage] = field(default=read_usage)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def wait_for_quiet(self) -> None:
        """Wait until no other process uses the cores, or until the budget is used up."""
        self.wait_while(lambda: min([self.share(cpu) for cpu in self.cpus]) < QUIET_SHARE)

    def wait_while(self, busy: Callable[[], bool]) -> bool:
        """Wait while `busy` returns true, or until the budget is used up. Return whether the wait ended in time."""
        while still := busy():
            if self.wait_budget <= 0:
                break
            self.sleep(1)
            self.wait_budget -= 1
        return not still

    def least_disturbed(self, measure: Callable[[], T]) -> tuple[T, Disturbance]:
        """Measure up to three times, until undisturbed; return the least disturbed result."""
        best = self._once(measure)
        for _ in range(TRIES - 1):
            if not best[1].disturbed or self.wait_budget <= 0:
                break
            start = time.perf_counter()
            again = self._once(measure)
            self.wait_budget -= time.perf_counter() - start
            best = min(best, again, key=lambda got: got[1].foreign + got[1].steal)
        return best

    def _once(self, measure: Callable[[], T]) -> tuple[T, Disturbance]:
        self.wait_for_quiet()
        before = self.read()
        result = measure()
        return result, disturbance(before, self.read())
