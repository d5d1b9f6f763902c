"""Requests /healthz/live every 5 ms over a new connection, until stdin ends; then prints the waits (JSON).

usage: python -m scripts.benchmarks.attacks.probe PORT TIMEOUT

It prints `ready` after the first answer. A wait is in seconds and ends with status 200: after a refused connection or
another status, the probe retries, for at most TIMEOUT seconds. It does not count the time for which this process was
ready to run while another process used its core (Linux, Documentation/scheduler/sched-stats.rst).
"""

import json
import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

from scripts.benchmarks.attacks.aim import HOST
from scripts.benchmarks.attacks.waits import PROBE_INTERVAL_SECONDS

REQUEST: Final = b"GET /healthz/live HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
SCHEDULER: Final = Path("/proc/thread-self/schedstat")


def cpu_wait_seconds() -> float:
    """Return the seconds for which this thread has waited for a core so far; 0 if Linux does not count them."""
    try:
        return int(SCHEDULER.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def is_live(port: int, *, within: float) -> bool:
    """Whether one request is answered with 200 in time."""
    try:
        with socket.create_connection((HOST, port), timeout=within) as connection:
            connection.settimeout(within)
            connection.sendall(REQUEST)
            return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def time_to_answer(port: int, *, timeout: float) -> float:
    """Return the seconds until the server answers that it is live; `timeout` if it does not."""
    start, before = time.perf_counter(), cpu_wait_seconds()
    while (left := timeout - (time.perf_counter() - start)) > 0:
        if is_live(port, within=left):
            return time.perf_counter() - start - (cpu_wait_seconds() - before)
        time.sleep(PROBE_INTERVAL_SECONDS)
    return timeout


def stdin_ended(pause: float) -> bool:
    """Wait until the next probe is due; return whether stdin ended first."""
    readable, _, _ = select.select([sys.stdin], [], [], pause)
    return bool(readable)


def main() -> None:
    """Probe until stdin ends."""
    port, timeout = int(sys.argv[1]), float(sys.argv[2])
    waits = [time_to_answer(port, timeout=timeout)]
    print("ready", flush=True)
    while not stdin_ended(max(0.0, PROBE_INTERVAL_SECONDS - waits[-1])):
        waits.append(time_to_answer(port, timeout=timeout))
    print(json.dumps(waits[1:] or waits))


if __name__ == "__main__":
    main()
