"""When this process began, on `perf_counter`'s clock: the beginning of a cold start.

Source: proc(5), field 22 of /proc/self/stat (start time in clock ticks after boot).
"""

import os
import time
from pathlib import Path


def process_started() -> float:
    """The start of this process, closer than the kernel's clock tick (10 ms) where the machine is not busy.

    The tick bounds it from both sides; within these, the CPU time used so far says how long ago it must at least be.
    """
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    tick = 1 / os.sysconf("SC_CLK_TCK")
    since_boot, now = time.clock_gettime(time.CLOCK_BOOTTIME), time.perf_counter()
    started = min(max(since_boot - time.process_time(), ticks * tick), (ticks + 1) * tick)
    return now - (since_boot - started)
