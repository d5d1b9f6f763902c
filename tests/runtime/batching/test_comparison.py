"""The comparison of answers: exact for exact types, relative to the row's largest value for floats."""

import ml_dtypes
import numpy as np
import pytest

from runtime.batching.comparison import difference, rows_in

F16, F32, F64 = np.float16, np.float32, np.float64


@pytest.mark.parametrize(
    ("alone", "together", "same"),
    [
        (np.array([[1, 1000]], F32), np.array([[1.09, 1000]], F32), True),
        (np.array([[1, 1000]], F32), np.array([[1.2, 1000]], F32), False),
        (np.array([[1, 1]], F64), np.array([[1, 1.0002]], F64), False),
        (np.array([[1, 1]], F16), np.array([[1, 1.005]], F16), True),
        (np.array([[1, 1]], F16), np.array([[1, 1.02]], F16), False),
        (np.array([[1, 1]], ml_dtypes.bfloat16), np.array([[1, 1.0078125]], ml_dtypes.bfloat16), True),
        (np.array([[1, 1]], ml_dtypes.bfloat16), np.array([[1, 1.02]], ml_dtypes.bfloat16), False),
        (np.array([[np.nan, np.inf]], F32), np.array([[np.nan, np.inf]], F32), True),
        (np.array([[np.nan, 1]], F32), np.array([[1, 1]], F32), False),
        (np.array([[np.inf, 1]], F32), np.array([[-np.inf, 1]], F32), False),
        (np.zeros((1, 0), F32), np.zeros((1, 0), F32), True),
        (np.array([[100]]), np.array([[101]]), False),
        (np.array([[100]]), np.array([[100]]), True),
        (np.array([[True]]), np.array([[False]]), False),
        (np.array([["a"]], object), np.array([["b"]], object), False),
        (np.array([["a"]], object), np.array([["a"]], object), True),
        (np.array([[1]], F32), np.array([[1]], F64), False),
        (np.zeros((1, 2), F32), np.zeros((1, 3), F32), False),
        ([{"no": 0.25, "yes": 0.75}], [{"no": 0.25000001, "yes": 0.75}], True),
        ([{"no": 0.25, "yes": 0.75}], [{"no": 0.26, "yes": 0.74}], False),
        ([{"no": 1.0}], [{"yes": 1.0}], False),
        ([{1: 0.0}], [{1: 1e-9}], False),
        ([{1: "a"}], [{1: "a"}], True),
        ([np.array([1, 2])], [np.array([1, 3])], False),
        ([np.array([1, 2])], [np.array([1, 2])], True),
        ([1.0, "a", float("nan")], [1.00001, "a", float("nan")], True),
        ([1, 2], [1], False),
        (None, None, True),
        ([1], [1.0], False),
    ],
)
def test_whether_the_answer_of_a_row_is_the_same(alone: object, together: object, same: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert (difference(alone, together, step=None) is None) is same


def test_a_difference_of_one_quantization_step_is_allowed_and_of_two_is_not() -> None:
    one, other, far = (np.array([[each]], F32) for each in (0.0, 0.125, 0.25))
    assert difference(one, other, step=0.125) is None
    assert difference(one, far, step=0.125) is not None
    assert difference(one.astype(int), np.array([[1]]), step=5.0) is not None


@pytest.mark.parametrize(("other", "rounding"), [(1e-3 + 6e-7, True), (1e-3 + 2e-6, False)])
def test_differences_that_rounding_can_cause_are_marked(other: float, rounding: bool) -> None:  # noqa: FBT001 - a parameter of the table
    found = difference(np.array([[1e-3]], F32), np.array([[other]], F32), step=None)
    assert found is not None
    assert found.rounding is rounding


def test_a_difference_contains_the_received_type_and_shape() -> None:
    found = difference(np.zeros((1, 2), F32), np.zeros((1, 3), F64), step=None)
    assert found is not None
    assert found.text == "float64[1, 3] instead of float32[1, 2]"


@pytest.mark.parametrize(
    ("output", "rows"),
    [(np.zeros((3, 2)), 3), (np.array(1.0), None), ([{}, {}], 2), ([], 0), (None, None), ("ab", None)],
)
def test_the_number_of_rows_of_an_output(output: object, rows: int | None) -> None:
    assert rows_in(output) == rows
