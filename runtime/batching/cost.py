"""What a run costs: time = per_row * rows + fixed, learned from the runs themselves."""

from typing import Final, NamedTuple

_MEMORY: Final = 0.95  # weight of the past at each run: the last 20 runs or so decide
_NO_SPREAD: Final = 1e-9


class CostModel:
    """A weighted least-squares line through (rows, seconds), updated in constant time; older runs weigh less."""

    __slots__ = ("_line", "_rows", "_rows_seconds", "_rows_squared", "_seconds", "_weight")

    def __init__(self) -> None:
        self._weight = self._rows = self._seconds = self._rows_squared = self._rows_seconds = 0.0
        self._line: Line | None = Line(0.0, 0.0)  # None: to be drawn anew

    def learn(self, rows: int, seconds: float) -> None:
        """Take in one finished run."""
        self._weight = self._weight * _MEMORY + 1
        self._rows = self._rows * _MEMORY + rows
        self._seconds = self._seconds * _MEMORY + seconds
        self._rows_squared = self._rows_squared * _MEMORY + rows * rows
        self._rows_seconds = self._rows_seconds * _MEMORY + rows * seconds
        self._line = None

    @property
    def typical(self) -> float:
        """Seconds of a typical run lately; no run's fixed part is longer. Cheaper to ask than the line."""
        return self._seconds / self._weight if self._weight else 0.0

    def line(self) -> "Line":
        """The line as it is learned so far, (0, 0) before the first run; neither part is negative.

        Where all runs had one size the split cannot be seen, and all of the time counts as fixed.
        """
        if self._line is None:
            self._line = self._fit()
        return self._line

    def _fit(self) -> "Line":
        rows, seconds = self._rows / self._weight, self._seconds / self._weight
        spread = self._rows_squared / self._weight - rows * rows
        if spread < _NO_SPREAD * rows * rows:
            return Line(0.0, seconds)
        slope = (self._rows_seconds / self._weight - rows * seconds) / spread
        per_row = min(max(slope, 0.0), seconds / rows)
        return Line(per_row, max(0.0, seconds - per_row * rows))


class Line(NamedTuple):
    """Seconds per row, and fixed seconds per run."""

    per_row: float
    fixed: float

    def predict(self, rows: int) -> float:
        """Seconds that a run of so many rows is expected to take."""
        return self.per_row * rows + self.fixed
