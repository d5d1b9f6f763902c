"""Numbers are kept in one buffer of a type that represents all of them exactly, or are declined."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.json.buffers import Numbers, regular

_OF_ONE_KIND: list[list[Any]] = [
    [1, -7],
    [2**63, 3],
    [2**53 + 1],
    [0.5, 1],
    [2.0, 4.0],
    [None, 1],
    [True, False],
    [1e300],
]
_KINDS = st.sampled_from(_OF_ONE_KIND)


def finished(numbers: Numbers, shape: tuple[int, ...]) -> np.ndarray:
    steps = numbers.finish(shape)
    while True:
        try:
            next(steps)
        except StopIteration as stopped:
            return stopped.value  # type: ignore[no-any-return]


def read(values: list[Any]) -> np.ndarray | None:
    return regular(orjson.loads(text := orjson.dumps(values)), text)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "i8"),
        ([[1], [2]], "i8"),
        ([2**63], "u8"),
        ([1, 2**63], "u8"),
        ([0.5, None], "f8"),
        ([[0.5], [None]], "f8"),
        ([2**53, 2.0], "f8"),
        ([2**60, 2.5], "f8"),
        ([True], "?"),
        ([[], []], "f8"),
    ],
)
def test_values_of_one_shape_and_type_are_an_array(values: list[Any], dtype: str) -> None:
    array = read(values)
    assert array is not None
    assert array.dtype == dtype


@pytest.mark.parametrize(
    "values",
    [["1"], [{}], [[1], [1, 2]], [1, [1]], [[1], None], [True, 1], [True, None], [2**53 + 1, 2.0], [-1, 2**63]],
)
def test_other_values_are_none(values: list[Any]) -> None:
    assert read(values) is None


@given(kinds=st.lists(_KINDS.flatmap(lambda kind: st.lists(st.sampled_from(kind), min_size=1, max_size=5)), max_size=6))
def test_appended_numbers_are_exact_or_declined(kinds: list[list[Any]]) -> None:
    numbers, taken = Numbers(room=1000), list[Any]()
    for values in kinds:
        array = read(values)
        if array is not None and numbers.append(array):
            taken += values
    assert numbers.size == len(taken)
    array = finished(numbers, (len(taken),))
    fractional = any(each is None or each % 1 for each in taken)
    for ours, theirs in zip(array.tolist(), taken, strict=True):
        if theirs is None:
            assert np.isnan(ours)
        else:
            assert ours == (float(theirs) if fractional else theirs)


@pytest.mark.parametrize(
    ("first", "second"),
    [([1], [True]), ([2**53 + 1], [2.0]), ([2.0], [2**53 + 1]), ([-1], [2**63]), ([2**63], [-1]), ([True], [0.5])],
)
def test_numbers_without_an_exact_common_type_are_declined_and_change_nothing(
    first: list[Any], second: list[Any]
) -> None:
    numbers, (one, two) = Numbers(room=100), (read(first), read(second))
    assert one is not None
    assert two is not None
    assert numbers.append(one)
    assert not numbers.append(two)
    assert finished(numbers, (1,)).tolist() == first


def test_the_last_rows_are_removed_as_lists() -> None:
    numbers = Numbers(room=100)
    for values in ([1, 2], [[0.5, None], [3, 4]]):
        array = read(values)
        assert array is not None
        numbers.append(array)
    assert numbers.take_back((2, 2)) == [[0.5, None], [3, 4]]
    assert finished(numbers, (2,)).tolist() == [1, 2]


def test_an_empty_buffer_accepts_another_type() -> None:
    numbers = Numbers(room=100)
    numbers.append(np.array([1, 2]))
    assert numbers.take_back((2,)) == [1, 2]
    numbers.append(np.array([True]))
    assert finished(numbers, (1,)).tolist() == [True]


def test_a_finished_array_has_only_the_memory_of_its_elements() -> None:
    numbers = Numbers(room=10_000_000)
    numbers.append(np.array([1.5, 2.5]))
    array = finished(numbers, (2,))
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert owner.nbytes == 16
