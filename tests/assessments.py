"""Assessments for tests. What a test does not state has a value on which no test depends."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from runtime.variants.values import CPU_PROVIDER, Assessment, Cost, Measurement


def assessment_of(measurements: Iterable[Measurement], *, chosen: str, **fields: Any) -> Assessment:  # noqa: ANN401
    """Return an assessment with these measurements; `fields` are others of its fields."""
    neutral = Assessment(
        cpu_class="intel-amx",
        measured_at="2026-01-01",
        threads=1,
        batch_size=8,
        metric=None,
        score=None,
        max_accuracy_loss=0.01,
        min_speedup=1.1,
        chosen=chosen,
        reason="",
        measurements=tuple(measurements),
    )
    return replace(neutral, **fields)


def timed(seconds: Mapping[str, float], *, chosen: str, **fields: Any) -> Assessment:  # noqa: ANN401
    """Return an assessment in which each variant takes these seconds for a row."""
    measurements = (
        Measurement(variant=name, provider=CPU_PROVIDER, speedup=1 / each, cost=Cost(fixed=0.0, per_row=each))
        for name, each in seconds.items()
    )
    return assessment_of(measurements, chosen=chosen, **fields)
