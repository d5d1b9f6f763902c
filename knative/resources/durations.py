"""Durations in the format of Kubernetes: "100ms", "1s", "1m30s". The only importer of durationpy in `knative`."""

from typing import Annotated

import durationpy
from msgspec import Meta, ValidationError, convert

# Go's units. durationpy also accepts days and years, which a cluster would refuse.
_PATTERN = r"^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)\Z"

Duration = Annotated[
    str, Meta(pattern=_PATTERN, max_length=32, description='a duration in quotes, such as "100ms", "1s" or "1m30s"')
]

_UNITS = (("s", 10**6), ("ms", 10**3), ("us", 1))  # in microseconds

MAX_SECONDS = 24 * 3600.0  # s; a longer duration is probably a typing error


def seconds(text: Duration) -> float:
    """Convert a duration that matches the pattern to seconds, to the microsecond. Return infinity on overflow."""
    try:
        return float(durationpy.from_str(text).total_seconds())
    except (durationpy.DurationError, OverflowError):
        return float("inf")


def is_duration(text: str) -> bool:
    """Return whether a text matches the pattern that the fields of a manifest must match."""
    try:
        convert(text, Duration)
    except ValidationError:
        return False
    return True


def format_duration(seconds: float) -> Duration:
    """Format seconds, to the microsecond, in the largest unit that needs no fraction."""
    microseconds = round(seconds * 10**6)
    unit, size = next(each for each in _UNITS if microseconds % each[1] == 0)
    return f"{microseconds // size}{unit}"
