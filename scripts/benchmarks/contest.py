"""Measures ours and the floor alternately, so that a slow phase of the machine affects both halves of a pair."""

from collections.abc import Callable

from scripts.benchmarks.figures import Pair
from scripts.benchmarks.noise import Guard

Measure = Callable[[], float]


def measure_pairs(guard: Guard, rounds: int, *, ours: Measure, floor: Measure) -> list[Pair]:
    """Measure `rounds` pairs. Every second pair starts with the floor, so that the order favours neither."""
    return [_pair(guard, ours=ours, floor=floor, floor_first=bool(index % 2)) for index in range(rounds)]


def _pair(guard: Guard, *, ours: Measure, floor: Measure, floor_first: bool) -> Pair:
    def both() -> tuple[float, float]:
        if floor_first:
            low = floor()
            return ours(), low
        return ours(), floor()

    (mine, low), noise = guard.least_disturbed(both)
    return Pair(ours=mine, floor=low, disturbed=noise.disturbed)
