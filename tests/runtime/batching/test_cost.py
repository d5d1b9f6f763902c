"""The cost model: a line fitted to finished runs, with seconds per row and fixed seconds."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.batching.cost import CostModel, Line

seconds = st.floats(1e-6, 1.0)
sizes = st.lists(st.integers(1, 64), min_size=8, max_size=60)


def learned(runs: list[tuple[int, float]]) -> CostModel:
    model = CostModel()
    for rows, took in runs:
        model.learn(rows, took)
    return model


def test_before_the_first_run_the_line_is_zero() -> None:
    model = CostModel()
    assert model.line() == Line(0.0, 0.0)
    assert model.typical == 0.0


@given(per_row=seconds, fixed=seconds, max_rows=st.integers(2, 64))
def test_an_expected_line_is_the_line_until_runs_are_measured(per_row: float, fixed: float, max_rows: int) -> None:
    model = CostModel()
    model.expect(Line(per_row, fixed), max_rows)
    assert model.line().predict(max_rows) == pytest.approx(per_row * max_rows + fixed)
    assert model.line().predict(1) == pytest.approx(per_row + fixed)


def test_measured_runs_replace_an_expected_line() -> None:
    """A machine may be ten times as fast as the one that was measured."""
    model = CostModel()
    model.expect(Line(0.01, 0.01), 32)
    for _ in range(30):
        for rows in (1, 8):
            model.learn(rows, 0.001 * rows + 0.001)
    assert model.line().predict(8) == pytest.approx(0.009, rel=0.3)


@given(per_row=seconds, fixed=seconds, rows=sizes, noise=st.lists(st.floats(-0.05, 0.05), min_size=60, max_size=60))
def test_the_line_is_fitted_to_noisy_runs(per_row: float, fixed: float, rows: list[int], noise: list[float]) -> None:
    """The prediction for a known size has at most the error of the runs."""
    assume(max(rows) >= 4 * min(rows))
    runs = [
        (count, (per_row * count + fixed) * (1 + error)) for count, error in zip(rows, noise[: len(rows)], strict=True)
    ]
    line = learned(runs).line()
    middle = sum(rows[-20:]) // len(rows[-20:])
    assert line.predict(middle) == pytest.approx(per_row * middle + fixed, rel=0.35)
    assert line.per_row >= 0
    assert line.fixed >= 0


@given(per_row=seconds, fixed=seconds, rows=sizes)
def test_without_noise_the_line_is_exact(per_row: float, fixed: float, rows: list[int]) -> None:
    assume(len(set(rows[-10:])) > 2)
    line = learned([(count, per_row * count + fixed) for count in rows]).line()
    assert line.per_row == pytest.approx(per_row, rel=1e-3, abs=1e-6 * (per_row + fixed))
    assert line.fixed == pytest.approx(fixed, rel=1e-3, abs=1e-4 * (64 * per_row + fixed))


@given(took=seconds, rows=st.integers(1, 64), times=st.integers(1, 40))
def test_if_all_runs_have_one_size_all_time_counts_as_fixed(took: float, rows: int, times: int) -> None:
    line = learned([(rows, took)] * times).line()
    assert line.per_row == pytest.approx(0.0, abs=1e-6 * took)
    assert line.predict(rows) == pytest.approx(took)


@given(runs=st.lists(st.tuples(st.integers(1, 64), seconds), min_size=1, max_size=40))
def test_no_part_is_negative_or_exceeds_a_typical_run(runs: list[tuple[int, float]]) -> None:
    model = learned(runs)
    line = model.line()
    assert line.per_row >= 0
    assert line.fixed >= -1e-12
    assert line.fixed <= model.typical * (1 + 1e-9)


def test_older_runs_have_less_weight() -> None:
    model = learned([(1, 1.0)] * 50 + [(1, 0.001)] * 200)
    assert model.typical == pytest.approx(0.001, rel=0.1)


def test_a_line_with_a_negative_slope_counts_as_flat() -> None:
    line = learned([(1, 1.0), (10, 0.5)] * 10).line()
    assert line.per_row == 0.0
    assert 0.5 < line.fixed < 1.0
