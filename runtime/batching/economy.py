"""Which batch size makes a row cheapest. Larger is not always better: a big network's activations outgrow the caches.

A line cannot show that, so sizes are compared by class (1, 2, 3-4, 5-8, ...): a class is used while it is untried, and
after that only where it makes a row clearly cheaper than the best smaller class does. At equal cost the smaller batch
answers its callers sooner.
"""

from typing import Final

_CLEARLY: Final = 0.97  # of a smaller class's cost
_TRIES: Final = 3  # runs until a class is judged; the first is not counted, as a new shape costs allocations
_NEWS: Final = 0.2  # weight of the newest run
_PAROLE: Final = 500  # refusals until a class is tried again: the model's neighbours on the machine come and go


class Economy:
    """Seconds per row by class of batch size, learned from the runs."""

    def __init__(self) -> None:
        self._per_row: dict[int, float] = {}
        self._tries: dict[int, int] = {}
        self._refusals: dict[int, int] = {}

    def learn(self, rows: int, seconds: float) -> None:
        """Take in one finished run."""
        size = _class(rows)
        tries = self._tries[size] = self._tries.get(size, 0) + 1
        per_row = seconds / rows
        if tries <= 2:  # noqa: PLR2004 - the second run replaces the first
            self._per_row[size] = per_row
        else:
            self._per_row[size] += _NEWS * (per_row - self._per_row[size])

    def most(self, rows: int) -> int:
        """How many of `rows` waiting rows the next run should take at most."""
        size = _class(rows)
        while size and not self._pays(size):
            size -= 1
        return min(rows, 1 << size)

    def _pays(self, size: int) -> bool:
        if self._tries.get(size, 0) < _TRIES:
            return True
        smaller = [cost for other, cost in self._per_row.items() if other < size and self._tries[other] >= _TRIES]
        if not smaller or self._per_row[size] < _CLEARLY * min(smaller):
            return True
        refusals = self._refusals[size] = self._refusals.get(size, 0) + 1
        if refusals < _PAROLE:
            return False
        self._refusals[size], self._tries[size] = 0, _TRIES - 1
        return True


def _class(rows: int) -> int:
    """The class of a batch size: 0 for one row, k for 2**(k-1) < rows <= 2**k."""
    return (rows - 1).bit_length()
