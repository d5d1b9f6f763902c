"""Pure: statistics of the waits for a health check, corrected for probes that a slow answer delayed."""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

PROBE_INTERVAL_SECONDS: Final = 0.005
SHARE: Final = 0.99


class Waits(NamedTuple):
    """The longest wait and the 99th percentile, in seconds."""

    longest: float
    p99: float


def summary(waits: Sequence[float]) -> Waits:
    """Summarize the waits of sequential probes. Raises ValueError if there is none.

    A slow answer delays the probes that are due meanwhile. They would all have waited until the same moment, so they
    are counted too. Otherwise, one stall of ten seconds would disappear among two thousand fast answers.
    """
    if not waits:
        raise ValueError("there is no probe; expected at least one")
    ordered = sorted(each for wait in waits for each in _due(wait))
    return Waits(longest=ordered[-1], p99=ordered[math.ceil(SHARE * len(ordered)) - 1])


def _due(wait: float) -> Iterator[float]:
    """Yield the wait itself, and the waits of the probes that were due during it."""
    yield wait
    for index in range(1, math.ceil(wait / PROBE_INTERVAL_SECONDS)):
        yield wait - index * PROBE_INTERVAL_SECONDS
