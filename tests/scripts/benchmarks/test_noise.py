"""Tests of the noise guard, of wrk's output and of pairs."""

import os
from collections.abc import Callable

import pytest

from scripts.benchmarks import load, noise
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.noise import Disturbance, Guard, Usage, disturbance


class TestLoad:
    def test_the_result_line_is_found_in_wrks_output(self) -> None:
        printed = (
            'Running 2s test\nRESULT {"requests": 30, "microseconds": 1500000, "bad_status": 0, "socket_errors": 0}\n'
        )
        assert load.parse(printed).rate == pytest.approx(20)

    def test_a_missing_result_line_is_an_error_with_wrks_output(self) -> None:
        with pytest.raises(CannotMeasure, match="unable to connect"):
            load.parse("unable to connect to 127.0.0.1:1\n")

    @pytest.mark.parametrize("faults", [{"bad_status": 1}, {"socket_errors": 1}, {"requests": 0}])
    def test_the_rate_is_valid_only_if_all_requests_succeeded(self, faults: dict[str, int]) -> None:
        counted = {"requests": 10, "microseconds": 10, "bad_status": 0, "socket_errors": 0, **faults}
        with pytest.raises(CannotMeasure):
            _ = load.Load(**counted).rate


def usage(at: float, *, everybody: float = 0, us: float = 0, steal: float = 0) -> Usage:
    return Usage(at=at, everybody=everybody, us=us, steal=steal)


class TestNoise:
    def test_foreign_load_excludes_this_process_and_its_children(self) -> None:
        got = disturbance(usage(10, everybody=5, us=3), usage(12, everybody=9, us=6, steal=1))
        assert got == Disturbance(foreign=0.5, steal=0.5)
        assert got.disturbed

    def test_our_own_load_is_no_disturbance(self) -> None:
        assert not disturbance(usage(0), usage(1, everybody=2, us=2)).disturbed

    def test_a_disturbed_measurement_is_repeated_and_the_least_disturbed_one_is_used(self) -> None:
        readings = iter([usage(0), usage(1, steal=0.9), usage(2), usage(3, steal=0.2), usage(4), usage(5, steal=0.5)])
        results = iter(["worst", "best", "middle"])
        got, its_noise = self.guard(lambda: next(readings)).least_disturbed(lambda: next(results))
        assert got == "best"
        assert its_noise.steal == pytest.approx(0.2)

    def test_an_undisturbed_measurement_is_not_repeated(self) -> None:
        calls: list[int] = []
        self.guard(lambda: usage(len(calls))).least_disturbed(lambda: calls.append(1))
        assert calls == [1]

    def test_it_waits_for_a_busy_core_within_its_budget(self) -> None:
        slept: list[float] = []
        guard = Guard(cpus=(0, 1), wait_budget=3, share=lambda cpu: 0.5 if cpu else 1.0, sleep=slept.append)
        guard.wait_for_quiet()
        assert slept == [1, 1, 1]

    def test_waiting_returns_whether_the_condition_ended_in_time(self) -> None:
        busy = iter([True, True, False])
        guard = Guard(cpus=(), wait_budget=3, sleep=lambda _: None)
        assert guard.wait_while(lambda: next(busy))
        assert guard.wait_budget == 1
        assert not guard.wait_while(lambda: True)
        assert guard.wait_budget == 0

    def test_the_busy_loop_restores_the_cpu_affinity(self) -> None:
        before = os.sched_getaffinity(0)
        assert 0 < noise.share_of(min(before)) <= 1.01
        assert os.sched_getaffinity(0) == before

    @staticmethod
    def guard(read: Callable[[], Usage]) -> Guard:
        return Guard(cpus=(0,), wait_budget=60, share=lambda _: 1.0, read=read)


def test_ours_and_the_floor_alternate_in_being_first() -> None:
    order: list[str] = []

    def note(name: str, value: float) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return value

        return measure

    guard = Guard(cpus=(0,), wait_budget=0, share=lambda _: 1.0)
    pairs = measure_pairs(guard, 3, ours=note("ours", 3), floor=note("floor", 4))
    assert order == ["ours", "floor", "floor", "ours", "ours", "floor"]
    assert [pair.ratio for pair in pairs] == [0.75] * 3
