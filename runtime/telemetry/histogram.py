"""A histogram that is updated in bulk: values are appended to a list for each request, and counted later."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence


class Histogram:
    """Cumulative counts per bucket. `bounds` are the buckets' inclusive upper bounds, in rising order."""

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.total = 0.0  # the sum of all values
        self._counts = [0] * (len(self.bounds) + 1)  # observations up to each bound; the last one is all

    def add(self, values: Iterable[float]) -> None:
        """Count the values."""
        ordered = sorted(values)
        self.total += sum(ordered)
        for index, bound in enumerate(self.bounds):
            self._counts[index] += bisect_right(ordered, bound)
        self._counts[-1] += len(ordered)

    def cumulative(self) -> list[tuple[str, int]]:
        """Return (upper bound as text, observations up to it) for each bucket. The last one is `+Inf`."""
        return list(zip([*map(str, self.bounds), "+Inf"], self._counts, strict=True))
