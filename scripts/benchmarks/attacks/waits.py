"""Pure: how long the answers of a health check took, as if it had been asked on time."""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

EVERY_SECONDS: Final = 0.005
SHARE: Final = 0.99


class Waits(NamedTuple):
    """The longest answer and the 99th percentile, in seconds."""

    longest: float
    p99: float


def summary(waits: Sequence[float]) -> Waits:
    """Sum up probes that waited for each other. Raises ValueError where there is none.

    A probe that hangs holds up those that were due meanwhile. Each of them would have waited until the same moment, so
    they are counted: without them, one stall of ten seconds would vanish among two thousand quick answers.
    """
    if not waits:
        raise ValueError("no probe was made; expected one at least")
    ordered = sorted(each for wait in waits for each in _due(wait))
    return Waits(longest=ordered[-1], p99=ordered[math.ceil(SHARE * len(ordered)) - 1])


def _due(wait: float) -> Iterator[float]:
    """The wait itself, and those of the probes that were due during it."""
    yield wait
    for index in range(1, math.ceil(wait / EVERY_SECONDS)):
        yield wait - index * EVERY_SECONDS
