"""Ask /healthz/live every 5 ms, each time over a new connection, until stdin ends; then print the waits (JSON).

usage: python -m scripts.benchmarks.attacks.probe PORT GIVE_UP

It prints `ready` after the first answer. A wait is in seconds and ends with status 200: after a refused connection or
another status it asks again. It gives up after GIVE_UP seconds. Time for which this process was ready to run while
another one had its core is no fault of the server, and is not counted (Linux, Documentation/scheduler/sched-stats.rst).
"""

import json
import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

from scripts.benchmarks.attacks.aim import HOST
from scripts.benchmarks.attacks.waits import EVERY_SECONDS

REQUEST: Final = b"GET /healthz/live HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
SCHEDULER: Final = Path("/proc/thread-self/schedstat")


def starved() -> float:
    """Seconds for which this thread has waited for its core so far; 0 where Linux does not count them."""
    try:
        return int(SCHEDULER.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def answers(port: int, *, within: float) -> bool:
    """Whether one request is answered with 200 in time."""
    try:
        with socket.create_connection((HOST, port), timeout=within) as connection:
            connection.settimeout(within)
            connection.sendall(REQUEST)
            return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def wait(port: int, *, give_up: float) -> float:
    """Seconds until the server says that it is alive; `give_up` where it does not."""
    start, before = time.perf_counter(), starved()
    while (left := give_up - (time.perf_counter() - start)) > 0:
        if answers(port, within=left):
            return time.perf_counter() - start - (starved() - before)
        time.sleep(EVERY_SECONDS)
    return give_up


def over(pause: float) -> bool:
    """Wait for the next probe's time; whether stdin ended first."""
    readable, _, _ = select.select([sys.stdin], [], [], pause)
    return bool(readable)


def main() -> None:
    """Probe."""
    port, give_up = int(sys.argv[1]), float(sys.argv[2])
    waits = [wait(port, give_up=give_up)]
    print("ready", flush=True)
    while not over(max(0.0, EVERY_SECONDS - waits[-1])):
        waits.append(wait(port, give_up=give_up))
    print(json.dumps(waits[1:] or waits))


if __name__ == "__main__":
    main()
