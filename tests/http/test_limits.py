"""The budget of bodies, and the times that a body has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Overloaded
from runtime.http.limits import Budget, Limits, most_connections


@given(st.lists(st.integers(0, 50)))
def test_a_budget_never_holds_more_than_its_limit_and_counts_nothing_that_it_refuses(sizes: list[int]) -> None:
    budget, taken = Budget(100), []
    for size in sizes:
        if budget.used + size > 100:
            with pytest.raises(Overloaded):
                budget.take(size)
        else:
            budget.take(size)
            taken.append(size)
        assert budget.used == sum(taken) <= 100
    for size in taken:
        budget.give_back(size)
    assert budget.used == 0


def test_a_body_has_its_time_and_more_by_what_came() -> None:
    limits = Limits(body=1, buffered=1, body_time=10, body_rate=100)
    assert limits.body_deadline(5, 0) == 15
    assert limits.body_deadline(5, 200) == 17


def test_connections_leave_descriptors_for_the_rest_of_the_process() -> None:
    assert 64 <= most_connections() <= 10_000
