"""A batch grows only where that makes a row cheaper."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.batching.economy import Economy


def learned(cost_of_a_row: dict[int, float], *, runs: int = 10) -> Economy:
    economy = Economy()
    for _ in range(runs):
        for rows, seconds in cost_of_a_row.items():
            economy.learn(rows, seconds * rows)
    return economy


def test_everything_that_waits_is_tried_before_anything_is_known() -> None:
    assert Economy().most(32) == 32


def test_a_batch_that_makes_rows_dearer_is_not_repeated() -> None:
    """A big network on a CPU: eight rows take longer than eight runs."""
    assert learned({1: 0.070, 2: 0.075, 4: 0.080, 8: 0.085}).most(8) == 1


def test_a_batch_that_makes_rows_cheaper_is_filled() -> None:
    assert learned({1: 0.010, 2: 0.006, 4: 0.004, 8: 0.003}).most(8) == 8


def test_the_size_stops_where_rows_are_cheapest() -> None:
    assert learned({1: 0.010, 2: 0.006, 4: 0.006, 8: 0.009}).most(8) == 2


def test_at_equal_cost_the_smaller_batch_answers_its_callers_sooner() -> None:
    assert learned({1: 0.010, 8: 0.010}).most(8) <= 4


def test_the_first_run_of_a_size_does_not_count() -> None:
    """ONNX Runtime allocates for a new shape: that is no sign of what the shape costs."""
    economy = learned({1: 0.010})
    economy.learn(8, 5.0)
    for _ in range(5):
        economy.learn(8, 8 * 0.004)
    assert economy.most(8) == 8


def test_a_refused_size_is_tried_again_after_long() -> None:
    """What made it dear may have been a neighbour on the machine."""
    economy = learned({1: 0.010, 2: 0.020})
    assert 2 in {economy.most(2) for _ in range(1000)}


@given(st.integers(1, 4096), st.dictionaries(st.integers(1, 64), st.floats(1e-6, 10.0), max_size=6))
def test_a_run_takes_at_least_one_row_and_never_more_than_wait(rows: int, costs: dict[int, float]) -> None:
    assert 1 <= learned(costs, runs=4).most(rows) <= rows
