"""The budget of bodies, and the times that a body has."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Overloaded
from runtime.http.limits import Budget, Limits, allowed_files, fitting_connections, most_connections


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


NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "fitting"),
    [
        (NO_LIMIT, NO_LIMIT, NO_LIMIT, 1000),
        (256, NO_LIMIT, 1128, 1000),
        (256, 4096, 1128, 1000),
        (256, 1024, 1024, 896),
        (4096, 4096, 4096, 1000),
        (1128, 4096, 1128, 1000),
        (1127, 1127, 1127, 999),
        (100, 100, 100, 64),
    ],
)
def test_connections_leave_128_files_for_the_rest_of_the_process(
    soft: int, hard: int, allowed: int, fitting: int
) -> None:
    assert allowed_files(1000, soft=soft, hard=hard) == allowed
    assert fitting_connections(1000, files=allowed) == fitting


def test_no_more_connections_fit_than_are_wanted() -> None:
    assert fitting_connections(10, files=100) == 10


def test_a_process_raises_its_limit_of_open_files_for_its_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        assert most_connections(100) == 100
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (228, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
