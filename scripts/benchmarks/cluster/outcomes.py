"""Pure: the measured values of a cluster, and whether they meet their targets."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import Pair

COLD_START_MARGIN: Final = 0.15  # seconds that our first answer may take longer than a hello-world function's
CHANCE: Final = 0.001  # the probability that a fair split is outside of its bounds
WIDTH: Final = 1000  # a row of Markdown is one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The results of a number of requests."""

    seconds: Sequence[float]  # the latency of each successful request
    failures: Sequence[str]  # the reason of each failed request
    revisions: Mapping[str, int]  # successful requests by revision

    @property
    def requests(self) -> int:
        """The number of all requests."""
        return len(self.seconds) + len(self.failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One figure: the measured values, the target, and whether it is met."""

    name: str
    measured: Mapping[str, float | int | str]
    target: str
    met: bool


def cold_start(pairs: Sequence[Pair]) -> Outcome:
    """Summarize pairs of first answers in seconds: ours and the hello-world function's. Raises ValueError for no pair.

    The difference is the median of the pairs' differences, because both halves of a pair are measured in the same phase
    of the machine.
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
    """Check the share of one revision in a split."""
    low, high = bounds(len(load.seconds), percent / 100, CHANCE)
    got = load.revisions.get(revision, 0)
    return Outcome(
        name="split",
        measured={**_figures(load), f"by_{revision}": got, "bounds": f"{low} to {high}"},
        target=f"{percent} % within 99.9 % bounds, 0 failed",
        met=not load.failures and low <= got <= high,
    )


def rollout(load: Load, *, target: str, done: bool) -> Outcome:
    """Check a rollout by the requests during it. `done` is whether the target revision gets all traffic."""
    return Outcome(
        name="rollout",
        measured={**_figures(load), f"by_{target}": load.revisions.get(target, 0), "done": "yes" if done else "NO"},
        target="done, 0 failed",
        met=done and not load.failures,
    )


def scale_out(load: Load, *, pods: Sequence[tuple[float, int]]) -> Outcome:
    """Check a burst by its failures and its pods. `pods` has each change of their number, with its time in seconds."""
    most = max((count for _, count in pods), default=0)
    pods_ready = ", ".join(f"{count} at {at:.1f} s" for at, count in pods)
    return Outcome(
        name="scale_out",
        measured={**_figures(load), "most_pods": most, "ready_pods": pods_ready},
        target="2 pods or more, 0 failed",
        met=most > 1 and not load.failures,
    )


def bounds(trials: int, share: float, chance: float) -> tuple[int, int]:
    """Return bounds of a binomial count. It is outside with a probability of at most `chance`, half on each side."""
    weights = [math.comb(trials, count) * share**count * (1 - share) ** (trials - count) for count in range(trials + 1)]
    return _tail(weights, chance / 2), trials - _tail(weights[::-1], chance / 2)


def _tail(weights: Sequence[float], chance: float) -> int:
    """Return how many of the first weights add up to at most `chance`."""
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
    """Return {name: {measured values, target, met}}. Numbers have three decimal places."""
    return {
        each.name: {
            **{name: _rounded(value) for name, value in each.measured.items()},
            "target": each.target,
            "met": each.met,
        }
        for each in outcomes
    }


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table with one row per figure."""
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
