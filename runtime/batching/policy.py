"""When a batch starts: pure decisions over the queue's state, without a clock or a thread.

Batch while busy: a run in progress lets the queue fill by itself, and the next run takes what is there. An idle session
therefore runs at once, except where waiting for one more request makes the *sum* of all waits smaller:

    run now      q waiting requests answer after T(q); the next one, a gap g later, waits T(q) - g and runs alone, T(1)
    wait for it  all q + 1 answer after g + T(q + 1)

With T(n) = a*n + b, waiting is better while  g < (b - a*q) / (q + 1).  For a lone caller g is at least a round trip,
its own run included, so it never waits.
"""

import math
from typing import Final, NamedTuple

from runtime.batching.cost import Line

TIMER_RESOLUTION: Final = 0.001  # uvloop's timers count milliseconds: a shorter wait cannot be kept

WORTH_A_THOUGHT: Final = 2 * TIMER_RESOLUTION  # of quicker runs not even half could be saved by a wait that can be kept


class Limits(NamedTuple):
    """The bounds of one model's queue, as InferenceConfig sets them. Durations in seconds."""

    batch_size: int  # most rows of one run
    max_wait: float  # longest wait for more requests
    timeout: float  # longest wait of a request in the queue
    queue_size: int  # most requests that wait
    run_timeout: float = math.inf  # longest run


def patience(*, waiting: int, gap: float, line: Line) -> float:
    """Seconds worth waiting for one more request, 0 where running at once is better.

    `waiting` is the rows at hand, `gap` the expected seconds between arrivals.
    """
    worthwhile = (line.fixed - line.per_row * waiting) / (waiting + 1)
    return worthwhile if worthwhile >= TIMER_RESOLUTION and gap < worthwhile else 0.0


def linger(limits: Limits, *, waiting: int, oldest: float, soonest: float, gap: float, line: Line, now: float) -> float:
    """Seconds to leave an idle session waiting; 0 means run now.

    `oldest` (an arrival), `soonest` (the earliest deadline) and `now` are readings of one clock. The wait ends halfway
    between the two, so that no request expires because it waited for others. Half of the remaining time would be wrong:
    the function is called again after each wait, and the halves add up to the deadline.
    """
    worthwhile = patience(waiting=waiting, gap=gap, line=line)
    if not worthwhile or waiting >= limits.batch_size:
        return 0.0
    left = min(oldest + min(worthwhile, limits.max_wait), (oldest + soonest) / 2) - now
    return left if left >= TIMER_RESOLUTION else 0.0


def retry_after(*, waiting: int, batch_size: int, seconds_per_run: float) -> int:
    """Whole seconds until a full queue has been worked off, at least 1."""
    return max(1, round(seconds_per_run * waiting / batch_size))
