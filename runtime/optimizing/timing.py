"""What measured seconds show: the ratio of pairs, and the cost of a run by its rows. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runtime.variants.values import Cost


class Pair(NamedTuple):
    """The seconds of a run of the original, and of the candidate directly after it."""

    original: float
    candidate: float


class Ratio(NamedTuple):
    """The original's seconds divided by the candidate's, over all pairs."""

    median: float
    low: float  # the lower quartile
    high: float  # the upper quartile


def ratio(pairs: Sequence[Pair]) -> Ratio:
    """Return the median of the pairs' ratios, and their quartiles. Slow phases of the machine slow both of a pair."""
    ratios = [each.original / each.candidate for each in pairs]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Ratio(median, low, high)


def cost_line(seconds: Mapping[int, float]) -> Cost | None:
    """Fit seconds = per_row * rows + fixed to the seconds of runs by their number of rows; None for one number.

    The squares of the relative errors are minimal, so that small runs count as much as large ones. Neither part is
    negative.
    """
    if len(seconds) < 2:  # noqa: PLR2004 - a line has two parts
        return None
    weights = {rows: each**-2 for rows, each in seconds.items()}
    total = sum(weights.values())
    rows_mean = sum(weights[rows] * rows for rows in seconds) / total
    mean = sum(weights[rows] * each for rows, each in seconds.items()) / total
    spread = sum(weights[rows] * (rows - rows_mean) ** 2 for rows in seconds)
    slope = sum(weights[rows] * (rows - rows_mean) * (each - mean) for rows, each in seconds.items()) / spread
    per_row = min(max(slope, 0.0), mean / rows_mean)
    return Cost(per_row=per_row, fixed=max(0.0, mean - per_row * rows_mean))


def sizes(batch_size: int) -> tuple[int, ...]:
    """Return the numbers of rows to measure, ascending: 1, a full batch, and some between for the cost line."""
    return tuple(sorted({1, min(2, batch_size), max(1, batch_size // 4), max(1, batch_size // 2), batch_size}))
