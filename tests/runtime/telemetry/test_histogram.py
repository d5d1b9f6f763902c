"""A histogram that is updated in bulk has the same counts as a simple one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.telemetry.histogram import Histogram

values = st.floats(-10, 10)


@given(bounds=st.lists(values, min_size=1, max_size=8, unique=True).map(sorted), parts=st.lists(st.lists(values)))
def test_counts_are_those_of_a_simple_histogram(bounds: list[float], parts: list[list[float]]) -> None:
    histogram = Histogram(bounds)
    for part in parts:
        histogram.add(part)
    values_added = [value for part in parts for value in part]
    expected = [*(sum(value <= bound for value in values_added) for bound in bounds), len(values_added)]
    assert [count for _, count in histogram.cumulative()] == expected
    assert [text for text, _ in histogram.cumulative()] == [*map(str, bounds), "+Inf"]
    assert histogram.total == pytest.approx(sum(values_added), abs=1e-9)
