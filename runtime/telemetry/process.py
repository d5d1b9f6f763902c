"""When this process started, on `perf_counter`'s clock: the beginning of a cold start.

Source: proc(5), field 22 of /proc/self/stat (start time in clock ticks after boot).
"""

import os
import time
from pathlib import Path


def process_started() -> float:
    """Return the start time of this process, in seconds. It is more exact than the 10 ms tick if the CPU is idle.

    The tick gives the lower and the upper bound. The CPU time used so far gives the latest possible start between them.
    """
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    tick = 1 / os.sysconf("SC_CLK_TCK")
    since_boot, now = time.clock_gettime(time.CLOCK_BOOTTIME), time.perf_counter()
    started = min(max(since_boot - time.process_time(), ticks * tick), (ticks + 1) * tick)
    return now - (since_boot - started)
