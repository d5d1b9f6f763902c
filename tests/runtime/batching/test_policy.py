"""A batch starts at once unless waiting reduces the sum of all waits, and never waits longer than the limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.batching import policy
from runtime.batching.cost import Line
from runtime.batching.policy import Limits

LIMITS = Limits(batch_size=32, max_wait=0.1, timeout=1.0, queue_size=100)
HEAVY = Line(per_row=0.001, fixed=0.05)  # sharing a run saves 50 ms
seconds = st.floats(0, 2)


@pytest.mark.parametrize(
    ("waiting", "last", "expected"),
    [
        (1, 1, False),  # a single caller
        (2, 1, True),
        (1, 2, True),  # the other callers of the last run may be about to send
        (32, 32, False),  # the run is full
    ],
)
def test_concurrent_requests_wait_one_pass_of_the_loop(waiting: int, last: int, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert policy.waits_a_pass(LIMITS, waiting=waiting, last=last) is expected


def test_waiting_saves_time_if_it_saves_the_fixed_cost() -> None:
    # g < (b - a*q) / (q + 1) = (0.05 - 0.001) / 2
    assert policy.worthwhile_wait(waiting=1, gap=0.01, line=HEAVY) == pytest.approx(0.0245)


@pytest.mark.parametrize(
    ("waiting", "gap", "line"),
    [
        (1, 0.03, HEAVY),  # the next request arrives too late
        (60, 0.0, HEAVY),  # too many requests would wait
        (1, 0.0, Line(per_row=0.01, fixed=0.0)),  # sharing saves nothing
        (1, 0.0, Line(per_row=0.0, fixed=0.0015)),  # shorter than the resolution of a timer
        (1, 0.0, Line(0.0, 0.0)),  # no measurements yet
    ],
)
def test_waiting_does_not_save_time(waiting: int, gap: float, line: Line) -> None:
    assert policy.worthwhile_wait(waiting=waiting, gap=gap, line=line) == 0.0


@given(fixed=seconds, per_row=seconds)
def test_a_lone_caller_never_waits(fixed: float, per_row: float) -> None:
    """Its next request arrives after a round trip, which includes its own run."""
    line = Line(per_row, fixed)
    gap = line.predict(1)
    assert (
        policy.linger(LIMITS, waiting=1, oldest_arrival=0.0, earliest_deadline=1e9, gap=gap, line=line, now=0.0) == 0.0
    )


@given(gap=seconds, per_row=seconds, fixed=seconds, waited=seconds, waiting=st.integers(1, 40), deadline=seconds)
def test_no_wait_exceeds_the_limits(
    gap: float, per_row: float, fixed: float, waited: float, waiting: int, deadline: float
) -> None:
    line = Line(per_row, fixed)
    delay = policy.linger(
        LIMITS,
        waiting=waiting,
        oldest_arrival=5.0,
        earliest_deadline=5.0 + deadline,
        gap=gap,
        line=line,
        now=5.0 + waited,
    )
    assert delay >= 0
    assert delay == 0 or waited + delay <= LIMITS.max_wait + 1e-9
    assert delay == 0 or waited + delay <= deadline / 2 + 1e-9
    assert delay == 0 or delay >= policy.TIMER_RESOLUTION


def test_a_full_batch_starts_at_once() -> None:
    assert (
        policy.linger(
            LIMITS, waiting=31, oldest_arrival=0.0, earliest_deadline=1e9, gap=0.0, line=Line(0.0, 10.0), now=0.0
        )
        > 0
    )
    assert (
        policy.linger(
            LIMITS, waiting=32, oldest_arrival=0.0, earliest_deadline=1e9, gap=0.0, line=Line(0.0, 10.0), now=0.0
        )
        == 0
    )


def test_a_max_wait_of_zero_means_no_wait() -> None:
    limits = Limits(batch_size=32, max_wait=0.0, timeout=1.0, queue_size=100)
    assert (
        policy.linger(limits, waiting=1, oldest_arrival=0.0, earliest_deadline=1e9, gap=0.0, line=HEAVY, now=0.0) == 0.0
    )


@pytest.mark.parametrize(
    ("waiting", "per_run", "expected"), [(100, 0.5, 2), (100, 0.001, 1), (0, 1.0, 1), (1000, 3.2, 100)]
)
def test_retry_after_is_the_time_to_process_the_queue(waiting: int, per_run: float, expected: int) -> None:
    assert policy.retry_after(waiting=waiting, batch_size=32, seconds_per_run=per_run) == expected
