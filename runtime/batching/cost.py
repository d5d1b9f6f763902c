"""The duration of a run as a function of its rows: seconds = per_row * rows + fixed, learned from finished runs."""

from typing import Final, NamedTuple

_DECAY: Final = 0.95  # weight of earlier runs, applied at each run: about the last 20 runs count
_MIN_SPREAD: Final = 1e-9  # relative variance of the rows below which all runs count as one size


class CostModel:
    """A weighted least-squares line through (rows, seconds), updated in constant time; older runs have less weight."""

    __slots__ = ("_line", "_rows", "_rows_seconds", "_rows_squared", "_seconds", "_weight")

    def __init__(self) -> None:
        self._weight = self._rows = self._seconds = self._rows_squared = self._rows_seconds = 0.0
        self._line: Line | None = Line(0.0, 0.0)  # None: must be fitted again

    def learn(self, rows: int, seconds: float) -> None:
        """Add the measurement of one finished run."""
        self._weight = self._weight * _DECAY + 1
        self._rows = self._rows * _DECAY + rows
        self._seconds = self._seconds * _DECAY + seconds
        self._rows_squared = self._rows_squared * _DECAY + rows * rows
        self._rows_seconds = self._rows_seconds * _DECAY + rows * seconds
        self._line = None

    def expect(self, line: "Line", max_rows: int) -> None:
        """Begin with a line that was measured elsewhere, at one row and at a full batch.

        It counts as two runs, so that the runs of this machine replace it soon.
        """
        for rows in (1, max_rows):
            self.learn(rows, line.predict(rows))

    @property
    def typical(self) -> float:
        """The mean seconds of recent runs: an upper bound of the line's fixed part, and cheaper to compute."""
        return self._seconds / self._weight if self._weight else 0.0

    def line(self) -> "Line":
        """Return the line of the runs so far, (0, 0) before the first run; neither part is negative.

        If all runs had the same number of rows, the two parts cannot be separated, and all of the time counts as fixed.
        """
        if self._line is None:
            self._line = self._fit()
        return self._line

    def _fit(self) -> "Line":
        rows, seconds = self._rows / self._weight, self._seconds / self._weight
        spread = self._rows_squared / self._weight - rows * rows
        if spread < _MIN_SPREAD * rows * rows:
            return Line(0.0, seconds)
        slope = (self._rows_seconds / self._weight - rows * seconds) / spread
        per_row = min(max(slope, 0.0), seconds / rows)
        return Line(per_row, max(0.0, seconds - per_row * rows))


class Line(NamedTuple):
    """The seconds per row and the fixed seconds per run."""

    per_row: float
    fixed: float

    def predict(self, rows: int) -> float:
        """Return the expected seconds of a run of `rows` rows."""
        return self.per_row * rows + self.fixed
