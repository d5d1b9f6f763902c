"""The choice of the batch size with the lowest cost per row."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.batching.economy import Economy


def learned(cost_of_a_row: dict[int, float], *, runs: int = 10) -> Economy:
    economy = Economy()
    for _ in range(runs):
        for rows, seconds in cost_of_a_row.items():
            economy.learn(rows, seconds * rows)
    return economy


def test_without_measurements_all_waiting_rows_are_used() -> None:
    assert Economy().max_rows(32) == 32


def test_a_size_with_a_higher_cost_per_row_is_not_used_again() -> None:
    """A large network on a CPU: one run of 8 rows takes longer than 8 runs."""
    assert learned({1: 0.070, 2: 0.075, 4: 0.080, 8: 0.085}).max_rows(8) == 1


def test_a_size_with_a_lower_cost_per_row_is_used() -> None:
    assert learned({1: 0.010, 2: 0.006, 4: 0.004, 8: 0.003}).max_rows(8) == 8


def test_the_size_with_the_lowest_cost_per_row_is_used() -> None:
    assert learned({1: 0.010, 2: 0.006, 4: 0.006, 8: 0.009}).max_rows(8) == 2


def test_at_equal_cost_the_smaller_size_is_used() -> None:
    assert learned({1: 0.010, 8: 0.010}).max_rows(8) <= 4


def test_the_first_run_of_a_size_does_not_count() -> None:
    """ONNX Runtime allocates memory for a new shape, so the first run is slower than later ones."""
    economy = learned({1: 0.010})
    economy.learn(8, 5.0)
    for _ in range(5):
        economy.learn(8, 8 * 0.004)
    assert economy.max_rows(8) == 8


def test_a_rejected_size_is_tried_again_later() -> None:
    """Another process on the machine may have made it slow."""
    economy = learned({1: 0.010, 2: 0.020})
    assert 2 in {economy.max_rows(2) for _ in range(1000)}


@given(st.integers(1, 4096), st.dictionaries(st.integers(1, 64), st.floats(1e-6, 10.0), max_size=6))
def test_the_size_is_between_one_and_the_number_of_waiting_rows(rows: int, costs: dict[int, float]) -> None:
    assert 1 <= learned(costs, runs=4).max_rows(rows) <= rows
