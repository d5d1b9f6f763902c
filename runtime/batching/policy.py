"""The decision when a batch starts: pure functions of the queue's state, without a clock or a thread.

Batch while busy: the queue fills during a run, and the next run takes all requests that are waiting. An idle session
runs at once, unless waiting for one more request makes the *sum* of all waits smaller:

    run now      the q waiting requests are answered after T(q); the next request arrives after a gap g, waits
                 T(q) - g, and runs alone in T(1)
    wait for it  all q + 1 requests are answered after g + T(q + 1)

With T(n) = a*n + b, waiting is better while  g < (b - a*q) / (q + 1).  For a single caller, g is at least a round trip
plus its own run, so it never waits.

Before it runs, a session lets the event loop read its sockets once more, unless there is a single caller: clients send
their next requests while the answers of the last run are still being written. This takes some microseconds.
"""

import math
from typing import Final, NamedTuple

from runtime.batching.cost import Line

TIMER_RESOLUTION: Final = 0.001  # seconds; uvloop's timers have millisecond resolution, so shorter waits are inexact

MIN_RUN_TO_WAIT: Final = 2 * TIMER_RESOLUTION  # seconds; a wait of one timer tick saves less than half of a shorter run


class Limits(NamedTuple):
    """The limits of one model's queue, as InferenceConfig sets them. Durations are in seconds."""

    batch_size: int  # maximum rows of one run
    max_wait: float  # maximum wait for more requests
    timeout: float  # maximum wait of a request in the queue
    queue_size: int  # maximum number of waiting requests
    run_timeout: float = math.inf  # maximum duration of a run


def waits_a_pass(limits: Limits, *, waiting: int, last: int) -> bool:
    """Return whether the next run waits one pass of the event loop, in which more requests can arrive.

    `waiting` is the number of waiting requests, `last` the number of requests of the last run.
    """
    return (waiting > 1 or last > 1) and waiting < limits.batch_size


def worthwhile_wait(*, waiting: int, gap: float, line: Line) -> float:
    """Return how many seconds to wait at most for one more request; 0 if running at once is better.

    `waiting` is the number of waiting rows, `gap` the expected seconds between arrivals.
    """
    wait = (line.fixed - line.per_row * waiting) / (waiting + 1)
    return wait if wait >= TIMER_RESOLUTION and gap < wait else 0.0


def linger(
    limits: Limits, *, waiting: int, oldest_arrival: float, earliest_deadline: float, gap: float, line: Line, now: float
) -> float:
    """Return how many seconds an idle session waits for more requests; 0 means run now.

    `oldest_arrival`, `earliest_deadline` and `now` are readings of one clock. The wait ends at the latest halfway
    between the arrival and the deadline, so that no request expires because it waited for others. Half of the remaining
    time would be wrong: the function is called again after each wait, and the halves would add up to the deadline.
    """
    wait = worthwhile_wait(waiting=waiting, gap=gap, line=line)
    if not wait or waiting >= limits.batch_size:
        return 0.0
    left = min(oldest_arrival + min(wait, limits.max_wait), (oldest_arrival + earliest_deadline) / 2) - now
    return left if left >= TIMER_RESOLUTION else 0.0


def retry_after(*, waiting: int, batch_size: int, seconds_per_run: float) -> int:
    """Return the whole seconds until a full queue is processed, at least 1."""
    return max(1, round(seconds_per_run * waiting / batch_size))
