"""What counts as noise, as a load and as a pair."""

import os
from collections.abc import Callable

import pytest

from scripts.benchmarks import load, noise
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.noise import Disturbance, Guard, Usage, disturbance


class TestLoad:
    def test_wrks_line_is_found_among_its_other_words(self) -> None:
        printed = (
            'Running 2s test\nRESULT {"requests": 30, "microseconds": 1500000, "bad_status": 0, "socket_errors": 0}\n'
        )
        assert load.parse(printed).rate == pytest.approx(20)

    def test_no_line_is_a_fault_that_shows_what_wrk_said(self) -> None:
        with pytest.raises(CannotMeasure, match="unable to connect"):
            load.parse("unable to connect to 127.0.0.1:1\n")

    @pytest.mark.parametrize("faults", [{"bad_status": 1}, {"socket_errors": 1}, {"requests": 0}])
    def test_a_rate_counts_only_where_all_were_answered(self, faults: dict[str, int]) -> None:
        counted = {"requests": 10, "microseconds": 10, "bad_status": 0, "socket_errors": 0, **faults}
        with pytest.raises(CannotMeasure):
            _ = load.Load(**counted).rate


def usage(at: float, *, everybody: float = 0, us: float = 0, steal: float = 0) -> Usage:
    return Usage(at=at, everybody=everybody, us=us, steal=steal)


class TestNoise:
    def test_foreign_is_what_neither_we_nor_our_children_used(self) -> None:
        got = disturbance(usage(10, everybody=5, us=3), usage(12, everybody=9, us=6, steal=1))
        assert got == Disturbance(foreign=0.5, steal=0.5)
        assert got.disturbed

    def test_our_own_work_disturbs_nothing(self) -> None:
        assert not disturbance(usage(0), usage(1, everybody=2, us=2)).disturbed

    def test_a_disturbed_measurement_is_made_again_and_the_least_disturbed_kept(self) -> None:
        readings = iter([usage(0), usage(1, steal=0.9), usage(2), usage(3, steal=0.2), usage(4), usage(5, steal=0.5)])
        results = iter(["worst", "best", "middle"])
        got, noise_of_it = self.guard(lambda: next(readings)).calmly(lambda: next(results))
        assert got == "best"
        assert noise_of_it.steal == pytest.approx(0.2)

    def test_a_quiet_measurement_is_made_once(self) -> None:
        calls: list[int] = []
        self.guard(lambda: usage(len(calls))).calmly(lambda: calls.append(1))
        assert calls == [1]

    def test_it_waits_for_a_busy_core_only_as_long_as_patience_lasts(self) -> None:
        slept: list[float] = []
        guard = Guard(cpus=(0, 1), patience=3, share=lambda cpu: 0.5 if cpu else 1.0, sleep=slept.append)
        guard.wait_for_quiet()
        assert slept == [1, 1, 1]

    def test_waiting_tells_whether_it_was_worth_it(self) -> None:
        held = iter([True, True, False])
        guard = Guard(cpus=(), patience=3, sleep=lambda _: None)
        assert guard.wait_while(lambda: next(held))
        assert guard.patience == 1
        assert not guard.wait_while(lambda: True)
        assert guard.patience == 0

    def test_a_busy_loop_is_pinned_only_while_it_runs(self) -> None:
        before = os.sched_getaffinity(0)
        assert 0 < noise.share_of(min(before)) <= 1.01
        assert os.sched_getaffinity(0) == before

    @staticmethod
    def guard(read: Callable[[], Usage]) -> Guard:
        return Guard(cpus=(0,), patience=60, share=lambda _: 1.0, read=read)


def test_ours_and_the_floor_take_turns_in_going_first() -> None:
    order: list[str] = []

    def note(name: str, value: float) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return value

        return measure

    guard = Guard(cpus=(0,), patience=0, share=lambda _: 1.0)
    pairs = in_turns(guard, 3, ours=note("ours", 3), floor=note("floor", 4))
    assert order == ["ours", "floor", "floor", "ours", "ours", "floor"]
    assert [pair.ratio for pair in pairs] == [0.75] * 3
