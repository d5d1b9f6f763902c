"""When a batch goes: at once, unless a wait makes the sum of all waits smaller, and never beyond the ceiling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.batching import policy
from runtime.batching.cost import Line
from runtime.batching.policy import Limits

LIMITS = Limits(batch_size=32, max_wait=0.1, timeout=1.0, queue_size=100)
HEAVY = Line(per_row=0.001, fixed=0.05)  # sharing a run saves 50 ms
seconds = st.floats(0, 2)


def test_waiting_pays_where_the_fixed_part_is_saved() -> None:
    # g < (b - a*q) / (q + 1) = (0.05 - 0.001) / 2
    assert policy.patience(waiting=1, gap=0.01, line=HEAVY) == pytest.approx(0.0245)


@pytest.mark.parametrize(
    ("waiting", "gap", "line"),
    [
        (1, 0.03, HEAVY),  # the next one comes too late
        (60, 0.0, HEAVY),  # too many would wait
        (1, 0.0, Line(per_row=0.01, fixed=0.0)),  # nothing is saved by sharing
        (1, 0.0, Line(per_row=0.0, fixed=0.0015)),  # less than a timer can keep
        (1, 0.0, Line(0.0, 0.0)),  # nothing is known yet
    ],
)
def test_waiting_does_not_pay(waiting: int, gap: float, line: Line) -> None:
    assert policy.patience(waiting=waiting, gap=gap, line=line) == 0.0


@given(fixed=seconds, per_row=seconds)
def test_a_lone_caller_never_waits(fixed: float, per_row: float) -> None:
    """Its next request comes after a round trip, its own run included."""
    line = Line(per_row, fixed)
    gap = line.predict(1)
    assert policy.linger(LIMITS, waiting=1, oldest=0.0, soonest=1e9, gap=gap, line=line, now=0.0) == 0.0


@given(gap=seconds, per_row=seconds, fixed=seconds, waited=seconds, waiting=st.integers(1, 40), deadline=seconds)
def test_no_wait_goes_beyond_the_ceilings(
    gap: float, per_row: float, fixed: float, waited: float, waiting: int, deadline: float
) -> None:
    line = Line(per_row, fixed)
    delay = policy.linger(
        LIMITS, waiting=waiting, oldest=5.0, soonest=5.0 + deadline, gap=gap, line=line, now=5.0 + waited
    )
    assert delay >= 0
    assert delay == 0 or waited + delay <= LIMITS.max_wait + 1e-9
    assert delay == 0 or waited + delay <= deadline / 2 + 1e-9
    assert delay == 0 or delay >= policy.TIMER_RESOLUTION


def test_a_full_batch_goes_at_once() -> None:
    assert policy.linger(LIMITS, waiting=31, oldest=0.0, soonest=1e9, gap=0.0, line=Line(0.0, 10.0), now=0.0) > 0
    assert policy.linger(LIMITS, waiting=32, oldest=0.0, soonest=1e9, gap=0.0, line=Line(0.0, 10.0), now=0.0) == 0


def test_max_wait_of_zero_means_never() -> None:
    limits = Limits(batch_size=32, max_wait=0.0, timeout=1.0, queue_size=100)
    assert policy.linger(limits, waiting=1, oldest=0.0, soonest=1e9, gap=0.0, line=HEAVY, now=0.0) == 0.0


@pytest.mark.parametrize(
    ("waiting", "per_run", "expected"), [(100, 0.5, 2), (100, 0.001, 1), (0, 1.0, 1), (1000, 3.2, 100)]
)
def test_retry_after_is_the_time_to_work_the_queue_off(waiting: int, per_run: float, expected: int) -> None:
    assert policy.retry_after(waiting=waiting, batch_size=32, seconds_per_run=per_run) == expected
