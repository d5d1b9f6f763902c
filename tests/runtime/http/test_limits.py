"""The budget of bodies, the deadline of a body, and the limit of connections."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Overloaded
from runtime.http.limits import Budget, Limits, allowed_files, fitting_connections, max_connections


@given(st.lists(st.integers(0, 50)))
def test_a_budget_stays_within_its_limit_and_does_not_count_refused_sizes(sizes: list[int]) -> None:
    budget, taken = Budget(100), []
    for size in sizes:
        if budget.used + size > 100:
            with pytest.raises(Overloaded):
                budget.reserve(size)
        else:
            budget.reserve(size)
            taken.append(size)
        assert budget.used == sum(taken) <= 100
    for size in taken:
        budget.release(size)
    assert budget.used == 0


def test_the_deadline_of_a_body_grows_with_the_received_bytes() -> None:
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


def test_the_number_of_connections_is_at_most_the_wanted_one() -> None:
    assert fitting_connections(10, files=100) == 10


def test_a_process_raises_its_limit_of_open_files_for_its_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        assert max_connections(100) == 100
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (228, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
