"""A bad request fails alone, and finding it needs few runs."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.batching.isolation import run_isolating
from runtime.batching.stacking import NotABatchAxis, Tensors
from runtime.errors import RejectedByModel, RunTimeout, ShuttingDown

BAD = -1.0


class Doubler:
    """A model that fails on `BAD` and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, tensors: Tensors) -> Tensors:
        self.runs += 1
        if (tensors[0] == BAD).any():
            raise RejectedByModel("doubler", "bad value")
        return [tensors[0] * 2]


def isolate(values: Sequence[float], rows: Sequence[int]) -> tuple[list[object], int]:
    """Return the outcome of each request (a number, or an error's class), and the number of runs."""
    model = Doubler()
    requests = [[np.full((count, 1), value)] for value, count in zip(values, rows, strict=True)]
    outcomes = run_isolating(model, requests, rows)
    results: list[object] = []
    for outcome, count in zip(outcomes, rows, strict=True):
        if isinstance(outcome, list):
            assert outcome[0].shape == (count, 1)
            results.append(float(outcome[0][0, 0]))
        else:
            results.append(type(outcome))
    return results, model.runs


@given(position=st.integers(0, 31), sizes=st.lists(st.integers(1, 3), min_size=32, max_size=32))
def test_one_bad_request_among_32_costs_at_most_11_runs(position: int, sizes: list[int]) -> None:
    values = [BAD if index == position else float(index) for index in range(32)]
    outcomes, runs = isolate(values, sizes)
    assert outcomes == [RejectedByModel if value == BAD else value * 2 for value in values]
    assert runs <= 11


@given(is_bad=st.lists(st.booleans(), min_size=1, max_size=40))
def test_any_number_of_bad_requests_fail_alone(is_bad: list[bool]) -> None:
    values = [BAD if bad else float(index) for index, bad in enumerate(is_bad)]
    outcomes, runs = isolate(values, [1] * len(values))
    assert outcomes == [RejectedByModel if bad else index * 2.0 for index, bad in enumerate(is_bad)]
    assert runs <= 2 * len(values) - 1


def test_without_a_bad_request_there_is_one_run() -> None:
    assert isolate([1.0, 2.0, 3.0], [1, 2, 1]) == ([2.0, 4.0, 6.0], 1)


def test_a_false_batch_axis_is_an_error_even_if_only_a_half_shows_it() -> None:
    def shrinking(tensors: Tensors) -> Tensors:
        if len(tensors[0]) > 2:
            raise RejectedByModel("shrinking", "too many")
        return [tensors[0].sum(axis=0, keepdims=True)]

    with pytest.raises(NotABatchAxis):
        run_isolating(shrinking, [[np.ones((2, 1))]] * 2, [2, 2])


def test_a_stopped_run_of_several_requests_is_not_halved() -> None:
    runs = []

    def stopped(tensors: Tensors) -> Tensors:
        runs.append(len(tensors[0]))
        raise RunTimeout("m", 1.0)

    with pytest.raises(RunTimeout):
        run_isolating(stopped, [[np.ones((1, 1))]] * 4, [1] * 4)
    assert runs == [4]
    (outcome,) = run_isolating(stopped, [[np.ones((1, 1))]], [1])
    assert isinstance(outcome, RunTimeout)


def test_a_run_stopped_by_the_shutdown_fails_all_its_requests() -> None:
    def ending(tensors: Tensors) -> Tensors:
        raise ShuttingDown

    outcomes = run_isolating(ending, [[np.ones((1, 1))]] * 3, [1] * 3)
    assert [type(each) for each in outcomes] == [ShuttingDown] * 3
