"""A poisoned request fails alone, and finding it costs few runs."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.batching.isolation import run_isolating
from runtime.batching.stacking import NotABatchAxis, Tensors
from runtime.errors import RejectedByModel, RunTimeout, ShuttingDown

POISON = -1.0


class Doubler:
    """A model that cannot compute on `POISON`, and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, tensors: Tensors) -> Tensors:
        self.runs += 1
        if (tensors[0] == POISON).any():
            raise RejectedByModel("doubler", "poison")
        return [tensors[0] * 2]


def isolate(values: Sequence[float], rows: Sequence[int]) -> tuple[list[object], int]:
    """What each request got (a number, or an error's class), and the runs that it took."""
    model = Doubler()
    requests = [[np.full((count, 1), value)] for value, count in zip(values, rows, strict=True)]
    outcomes = run_isolating(model, requests, rows)
    told: list[object] = []
    for outcome, count in zip(outcomes, rows, strict=True):
        if isinstance(outcome, list):
            assert outcome[0].shape == (count, 1)
            told.append(float(outcome[0][0, 0]))
        else:
            told.append(type(outcome))
    return told, model.runs


@given(position=st.integers(0, 31), sizes=st.lists(st.integers(1, 3), min_size=32, max_size=32))
def test_one_poisoned_among_32_gives_31_answers_in_at_most_11_runs(position: int, sizes: list[int]) -> None:
    values = [POISON if index == position else float(index) for index in range(32)]
    told, runs = isolate(values, sizes)
    assert told == [RejectedByModel if value == POISON else value * 2 for value in values]
    assert runs <= 11


@given(poisoned=st.lists(st.booleans(), min_size=1, max_size=40))
def test_any_number_of_poisoned_requests_fail_alone(poisoned: list[bool]) -> None:
    values = [POISON if bad else float(index) for index, bad in enumerate(poisoned)]
    told, runs = isolate(values, [1] * len(values))
    assert told == [RejectedByModel if bad else index * 2.0 for index, bad in enumerate(poisoned)]
    assert runs <= 2 * len(values) - 1


def test_without_poison_all_run_at_once() -> None:
    assert isolate([1.0, 2.0, 3.0], [1, 2, 1]) == ([2.0, 4.0, 6.0], 1)


def test_a_false_batch_axis_is_told_even_where_a_half_shows_it_first() -> None:
    def shrinking(tensors: Tensors) -> Tensors:
        if len(tensors[0]) > 2:
            raise RejectedByModel("shrinking", "too many")
        return [tensors[0].sum(axis=0, keepdims=True)]

    with pytest.raises(NotABatchAxis):
        run_isolating(shrinking, [[np.ones((2, 1))]] * 2, [2, 2])


def test_a_stopped_run_of_several_is_not_halved() -> None:
    runs = []

    def stopped(tensors: Tensors) -> Tensors:
        runs.append(len(tensors[0]))
        raise RunTimeout("m", 1.0)

    with pytest.raises(RunTimeout):
        run_isolating(stopped, [[np.ones((1, 1))]] * 4, [1] * 4)
    assert runs == [4]
    (told,) = run_isolating(stopped, [[np.ones((1, 1))]], [1])
    assert isinstance(told, RunTimeout)


def test_all_are_told_of_a_run_that_the_end_of_the_process_stopped() -> None:
    def ending(tensors: Tensors) -> Tensors:
        raise ShuttingDown

    told = run_isolating(ending, [[np.ones((1, 1))]] * 3, [1] * 3)
    assert [type(each) for each in told] == [ShuttingDown] * 3
