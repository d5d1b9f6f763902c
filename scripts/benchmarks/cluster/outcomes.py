"""Pure: what was seen on the cluster, and whether it is what is promised."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import Pair

COLD_START_MARGIN: Final = 0.4  # s that a first answer of ours may come later than a hello-world function's
CHANCE: Final = 0.001  # that a fair split falls outside of its bounds
WIDTH: Final = 1000  # a row of Markdown is one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What became of a number of requests."""

    seconds: Sequence[float]  # of each that was answered as it should be
    failures: Sequence[str]  # the others, each as a sentence
    revisions: Mapping[str, int]  # how many each answered

    @property
    def requests(self) -> int:
        """All of them."""
        return len(self.seconds) + len(self.failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One figure: what was measured, what is promised of it, and whether that is kept."""

    name: str
    measured: Mapping[str, float | int | str]
    target: str
    met: bool


def cold_start(pairs: Sequence[Pair]) -> Outcome:
    """Sum up pairs of first answers, ours and the hello-world function's, in seconds. Raises ValueError for none.

    The difference is the median of the pairs' differences: a pair shares its moment.
    """
    if not pairs:
        raise ValueError("cold_start: no pair was measured")
    difference = statistics.median(pair.ours - pair.floor for pair in pairs)
    return Outcome(
        name="cold_start",
        measured={
            "ours_s": statistics.median(pair.ours for pair in pairs),
            "hello_world_s": statistics.median(pair.floor for pair in pairs),
            "difference_s": difference,
            "slowest_s": max(pair.ours for pair in pairs),
            "pairs": len(pairs),
        },
        target=f"difference <= {COLD_START_MARGIN} s",
        met=difference <= COLD_START_MARGIN,
    )


def split(load: Load, *, revision: str, percent: int) -> Outcome:
    """Judge a split by the share of one revision."""
    low, high = bounds(len(load.seconds), percent / 100, CHANCE)
    got = load.revisions.get(revision, 0)
    return Outcome(
        name="split",
        measured={**_figures(load), f"by_{revision}": got, "bounds": f"{low} to {high}"},
        target=f"{percent} % within 99.9 % bounds, 0 failed",
        met=not load.failures and low <= got <= high,
    )


def rollout(load: Load, *, target: str, done: bool) -> Outcome:
    """Judge a rollout by what callers saw of it meanwhile; `done` says whether all of the traffic has gone over."""
    return Outcome(
        name="rollout",
        measured={**_figures(load), f"by_{target}": load.revisions.get(target, 0), "done": "yes" if done else "NO"},
        target="done, 0 failed",
        met=done and not load.failures,
    )


def scale_out(load: Load, *, pods: Sequence[tuple[float, int]]) -> Outcome:
    """Judge a burst by its failures, and by whether pods came: `pods` has the seconds at which their number changed."""
    most = max((count for _, count in pods), default=0)
    pods_ready = ", ".join(f"{count} at {at:.1f} s" for at, count in pods)
    return Outcome(
        name="scale_out",
        measured={**_figures(load), "most_pods": most, "ready_pods": pods_ready},
        target="2 pods or more, 0 failed",
        met=most > 1 and not load.failures,
    )


def bounds(trials: int, share: float, chance: float) -> tuple[int, int]:
    """Give the least and the most successes of a binomial count but for `chance`, half of it on each side."""
    weights = [math.comb(trials, count) * share**count * (1 - share) ** (trials - count) for count in range(trials + 1)]
    return _tail(weights, chance / 2), trials - _tail(weights[::-1], chance / 2)


def _tail(weights: Sequence[float], chance: float) -> int:
    """How many weights, from the first on, are together no more than `chance`."""
    total, count = 0.0, 0
    while count < len(weights) and total + weights[count] <= chance:
        total += weights[count]
        count += 1
    return count


def _figures(load: Load) -> dict[str, float | int | str]:
    figures: dict[str, float | int | str] = {"requests": load.requests, "failed": len(load.failures)}
    if len(load.seconds) > 1:
        cuts = statistics.quantiles(load.seconds, n=100, method="inclusive")
        figures |= {"p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}
    if load.failures:
        figures["first_failure"] = load.failures[0]
    return figures


def document(outcomes: Sequence[Outcome]) -> dict[str, dict[str, object]]:
    """{name: {what was measured, target, met}}; numbers have three digits after the point."""
    return {
        each.name: {
            **{name: _rounded(value) for name, value in each.measured.items()},
            "target": each.target,
            "met": each.met,
        }
        for each in outcomes
    }


def table(outcomes: Sequence[Outcome]) -> str:
    """Write a Markdown table, one line a figure."""
    shown = Table("figure", "measured", "target", "met", box=MARKDOWN)
    for each in outcomes:
        measured = ", ".join(f"{name} {_short(value)}" for name, value in each.measured.items())
        shown.add_row(each.name, measured, each.target, "yes" if each.met else "NO")
    console = Console(width=WIDTH, color_system=None)
    with console.capture() as captured:
        console.print(shown)
    return captured.get().strip()


def _rounded(value: float | str) -> float | str:
    return round(value, 3) if isinstance(value, float) else value


def _short(value: float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
