"""What a run costs is learned from runs: a line whose parts are what they are called."""

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


def test_before_the_first_run_nothing_is_known() -> None:
    model = CostModel()
    assert model.line() == Line(0.0, 0.0)
    assert model.typical == 0.0


@given(per_row=seconds, fixed=seconds, rows=sizes, noise=st.lists(st.floats(-0.05, 0.05), min_size=60, max_size=60))
def test_the_line_is_recovered_from_noisy_runs(
    per_row: float, fixed: float, rows: list[int], noise: list[float]
) -> None:
    """Within the noise: what it predicts for a size that it saw is as far off as the runs themselves were."""
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
def test_runs_of_one_size_count_as_fixed(took: float, rows: int, times: int) -> None:
    line = learned([(rows, took)] * times).line()
    assert line.per_row == pytest.approx(0.0, abs=1e-6 * took)
    assert line.predict(rows) == pytest.approx(took)


@given(runs=st.lists(st.tuples(st.integers(1, 64), seconds), min_size=1, max_size=40))
def test_no_part_is_negative_and_none_exceeds_a_typical_run(runs: list[tuple[int, float]]) -> None:
    model = learned(runs)
    line = model.line()
    assert line.per_row >= 0
    assert line.fixed >= -1e-12
    assert line.fixed <= model.typical * (1 + 1e-9)


def test_the_past_fades() -> None:
    model = learned([(1, 1.0)] * 50 + [(1, 0.001)] * 200)
    assert model.typical == pytest.approx(0.001, rel=0.1)


def test_a_falling_line_is_taken_for_flat() -> None:
    line = learned([(1, 1.0), (10, 0.5)] * 10).line()
    assert line.per_row == 0.0
    assert 0.5 < line.fixed < 1.0
