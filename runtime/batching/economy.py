"""The choice of the batch size with the lowest cost per row.

A larger batch is not always cheaper per row: the activations of a large network may not fit into the CPU caches. The
line of `cost.py` cannot express that, so sizes are compared by class (1, 2, 3-4, 5-8, ...). A class is used until it
has enough runs to be judged, and after that only if its cost per row is clearly below that of the best smaller class.
At equal cost, the smaller batch answers its callers sooner.
"""

from typing import Final

_COST_RATIO: Final = 0.97  # a class must cost less than this fraction of the best smaller class
_MIN_RUNS: Final = 3  # runs until a class is judged; the first is not counted, because a new shape allocates memory
_NEWEST_WEIGHT: Final = 0.2  # weight of the newest run in the mean
_RETRY_AFTER: Final = 500  # rejections until a class is tried again: the load of the machine may have changed


class Economy:
    """The seconds per row of each size class, learned from finished runs."""

    def __init__(self) -> None:
        self._per_row: dict[int, float] = {}
        self._runs: dict[int, int] = {}
        self._rejections: dict[int, int] = {}

    def learn(self, rows: int, seconds: float) -> None:
        """Add the measurement of one finished run."""
        size = _size_class(rows)
        runs = self._runs[size] = self._runs.get(size, 0) + 1
        per_row = seconds / rows
        if runs <= 2:  # noqa: PLR2004 - the second run replaces the first
            self._per_row[size] = per_row
        else:
            self._per_row[size] += _NEWEST_WEIGHT * (per_row - self._per_row[size])

    def max_rows(self, rows: int) -> int:
        """Return how many of `rows` waiting rows the next run should take at most."""
        size = _size_class(rows)
        while size and not self._is_cheaper(size):
            size -= 1
        return min(rows, 1 << size)

    def _is_cheaper(self, size: int) -> bool:
        if self._runs.get(size, 0) < _MIN_RUNS:
            return True
        smaller = [cost for other, cost in self._per_row.items() if other < size and self._runs[other] >= _MIN_RUNS]
        if not smaller or self._per_row[size] < _COST_RATIO * min(smaller):
            return True
        rejections = self._rejections[size] = self._rejections.get(size, 0) + 1
        if rejections < _RETRY_AFTER:
            return False
        self._rejections[size], self._runs[size] = 0, _MIN_RUNS - 1
        return True


def _size_class(rows: int) -> int:
    """Return the class of a batch size: 0 for one row, k for 2**(k-1) < rows <= 2**k."""
    return (rows - 1).bit_length()
