"""Tests of what measured seconds show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.optimizing.timing import Pair, cost_line, ratio, sizes


def test_the_ratio_is_the_median_of_the_pairs_with_its_quartiles() -> None:
    found = ratio([Pair(each, 1.0) for each in (1.0, 2.0, 3.0, 4.0, 5.0)])
    assert found == (3.0, 2.0, 4.0)


def test_a_slow_phase_of_the_machine_does_not_change_the_ratio() -> None:
    assert ratio([Pair(2.0, 1.0), Pair(20.0, 10.0), Pair(2.0, 1.0)]).median == 2.0


def test_one_pair_has_no_spread() -> None:
    assert ratio([Pair(3.0, 2.0)]) == (1.5, 1.5, 1.5)


@given(st.floats(0, 1), st.floats(1e-6, 1), st.sets(st.integers(1, 64), min_size=2, max_size=5))
def test_the_line_goes_through_points_on_a_line(fixed: float, per_row: float, rows: set[int]) -> None:
    line = cost_line({each: per_row * each + fixed for each in rows})
    assert line is not None
    for each in rows:
        assert line.per_row * each + line.fixed == pytest.approx(per_row * each + fixed, rel=1e-6)


@pytest.mark.parametrize("seconds", [{1: 2.0, 8: 1.0}, {1: 1.0, 2: 8.0}])
def test_neither_part_of_the_line_is_negative(seconds: dict[int, float]) -> None:
    line = cost_line(seconds)
    assert line is not None
    assert line.per_row >= 0
    assert line.fixed >= 0


def test_one_number_of_rows_has_no_line() -> None:
    assert cost_line({1: 0.5}) is None


@pytest.mark.parametrize(("batch", "expected"), [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (32, (1, 2, 8, 16, 32))])
def test_the_sizes_include_one_row_and_a_full_batch(batch: int, expected: tuple[int, ...]) -> None:
    assert sizes(batch) == expected
