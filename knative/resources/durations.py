"""Durations as Kubernetes writes them: "100ms", "1s", "1m30s". The only importer of durationpy on this side."""

from typing import Annotated

import durationpy
from msgspec import Meta, ValidationError, convert

# Go's units. durationpy knows days and years too, which a cluster would refuse.
_PATTERN = r"^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)\Z"

Duration = Annotated[
    str, Meta(pattern=_PATTERN, max_length=32, description='a duration in quotes, such as "100ms", "1s" or "1m30s"')
]

_UNITS = (("s", 10**6), ("ms", 10**3), ("us", 1))  # in microseconds

LONGEST = 24 * 3600.0  # s; beyond a day it is a slip of the pen


def seconds(text: Duration) -> float:
    """Read a duration that fits the pattern, to the microsecond; infinity where it is beyond counting."""
    try:
        return float(durationpy.from_str(text).total_seconds())
    except (durationpy.DurationError, OverflowError):
        return float("inf")


def is_duration(text: str) -> bool:
    """Tell whether a text fits the pattern, as reading a manifest does for its fields."""
    try:
        convert(text, Duration)
    except ValidationError:
        return False
    return True


def written(seconds: float) -> Duration:
    """Write seconds, to the microsecond, in the largest unit that needs no fraction."""
    microseconds = round(seconds * 10**6)
    unit, size = next(each for each in _UNITS if microseconds % each[1] == 0)
    return f"{microseconds // size}{unit}"
