"""The log's share of the event loop: everything while the thread sleeps, a fixed share while it never does."""

import pytest

from runtime.prediction_log.pace import SHARE, WHOLE, Clocks, Pace, ThreadClocks


def observed(*, cpu: float, waited: float = 0.0) -> Pace:
    """Return the pace after one second with this much CPU time and waiting for a CPU."""
    pace = Pace()
    pace.observe(Clocks(0.0, 0.0, 0.0))
    pace.observe(Clocks(1.0, cpu, waited))
    return pace


def work(pace: Pace, *, seconds: float, step: float = 0.0001) -> float:
    """Work whenever it is allowed, for some seconds after the first one; return the CPU time that was measured."""
    now, used = 1.0, 0.0
    while now < 1.0 + seconds:
        wait = pace.wait(now)
        if wait <= 0:
            pace.spend(step)
            used += step
        now += max(wait, step)
    return used


@pytest.mark.parametrize(("cpu", "waited", "left"), [(0.0, 0.0, 0.9), (0.3, 0.2, 0.4), (0.5, 0.0, 0.4)])
def test_the_log_gets_the_time_in_which_the_thread_would_sleep(cpu: float, waited: float, left: float) -> None:
    used = work(observed(cpu=cpu, waited=waited), seconds=10)
    assert used * WHOLE == pytest.approx(left * 10, rel=0.05)


@pytest.mark.parametrize(("cpu", "waited"), [(1.0, 0.0), (0.5, 0.5)])
def test_a_thread_that_never_sleeps_gives_a_share_of_its_own_cpu_time(cpu: float, waited: float) -> None:
    used = work(observed(cpu=cpu, waited=waited), seconds=10)
    assert used * WHOLE == pytest.approx(SHARE * cpu * 10, rel=0.05)


def test_the_time_of_the_log_itself_does_not_count_as_needed_by_others() -> None:
    pace = Pace()
    pace.observe(Clocks(0.0, 0.0, 0.0))
    pace.spend(0.5 / WHOLE)
    pace.observe(Clocks(1.0, 0.6, 0.0))
    assert work(pace, seconds=10) * WHOLE == pytest.approx(0.8 * 10, rel=0.1)


def test_a_log_that_makes_the_thread_busy_comes_down_to_its_share() -> None:
    """Answers take all the time that the log leaves."""
    pace = Pace()
    pace.observe(Clocks(0.0, 0.0, 0.0))
    now, used = 0.0, 1.0
    for _ in range(20):
        pace.spend(used / WHOLE)
        now += 1.0
        pace.observe(Clocks(now, now, 0.0))
        used = min(1.0, pace._share)
    assert used == pytest.approx(SHARE)


def test_what_is_not_used_is_saved_for_a_short_time_only() -> None:
    pace = observed(cpu=1.0)
    pace.wait(100.0)
    pace.spend(0.06 * SHARE / WHOLE)
    assert 0 < pace.wait(100.0) < 0.1


def test_the_clocks_are_read_some_times_a_second() -> None:
    pace = Pace()
    assert pace.is_due(0.0)
    pace.observe(Clocks(0.0, 0.0, 0.0))
    assert not pace.is_due(0.01)
    assert pace.is_due(0.1)


def test_clocks_only_move_forward() -> None:
    clocks = ThreadClocks()
    before, after = clocks.read(), clocks.read()
    clocks.close()
    assert all(one <= other for one, other in zip(before, after, strict=True))
