"""The check of requests against the signature, and the properties that decide about shared runs."""

import numpy as np
import pytest
from hypothesis import given

from runtime.errors import InvalidInput
from runtime.model.signature import Signature
from runtime.tensors import Shape, TensorSpec, as_array
from tests import strategies

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)


def spec(*shape: int | str | None, name: str = "x", dtype: np.dtype[np.generic] = F32) -> TensorSpec:
    return TensorSpec(name, dtype, shape)


def signature(inputs: list[Shape | None], outputs: list[Shape | None]) -> Signature:
    return Signature(
        tuple(TensorSpec(f"in{index}", F32, shape) for index, shape in enumerate(inputs)),
        tuple(TensorSpec(f"out{index}", F32, shape) for index, shape in enumerate(outputs)),
    )


@pytest.mark.parametrize(
    ("inputs", "uniform"),
    [
        ([("N", 3, 4)], True),
        ([("N",)], True),
        ([("N", "length")], False),
        ([None], False),
        ([("N", 3), ("N", None)], False),
        ([("unk__1", 3), ("unk__2", 3)], False),  # the numbers of rows may differ
    ],
)
def test_whether_any_two_requests_fit_together(inputs: list[Shape | None], uniform: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert signature(inputs, [("N",)]).uniform is uniform


@given(made=strategies.tensors_of_one_input())
def test_validate_returns_the_number_of_rows(made: tuple[Signature, np.ndarray]) -> None:
    takes, array = made
    assert takes.validate([array]) == len(array)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((1, 3), np.float64), "element type float64"),
        (np.zeros((1, 3), bool), "element type bool"),
        (np.zeros((1, 4), np.float32), r"shape \[1, 4\]"),
        (np.zeros((3,), np.float32), r"shape \[3\]"),
        (np.zeros((1, 3, 1), np.float32), r"shape \[1, 3, 1\]"),
        (np.float32(1), r"shape \[\]"),
    ],
)
def test_an_invalid_tensor_is_reported_with_the_received_and_the_expected_value(array: np.ndarray, got: str) -> None:
    takes = Signature((spec("batch", 3, name="features"),), (spec("batch", 1),))
    with pytest.raises(InvalidInput, match=rf"^inputs\.features: got {got}; expected float32\[batch, 3\]$"):
        takes.validate([array])


def test_a_request_without_rows_runs_alone() -> None:
    assert Signature((spec("batch", 3),), (spec("batch", 1),)).validate([np.zeros((0, 3), np.float32)]) == 0


def test_a_scalar_is_not_a_row_of_a_vector() -> None:
    with pytest.raises(InvalidInput, match=r"got shape \[\]; expected float32\[batch\]"):
        Signature((spec("batch"),), (spec("batch"),)).validate([np.array(1.0, np.float32)])


def test_axes_of_the_same_name_may_differ_in_size() -> None:
    """As in ONNX Runtime: the model rejects an input that it cannot compute on."""
    takes = Signature((spec("N", "width", name="a"), spec("N", "width", name="b")), (spec("N"),))
    assert takes.validate([np.zeros((2, 5), np.float32), np.zeros((2, 5), np.float32)]) == 2
    assert takes.validate([np.zeros((2, 5), np.float32), np.zeros((2, 1), np.float32)]) == 2
    repeated = Signature((spec("N", 3, "?", "?"),), (spec("N", 3, 1, 1),))
    assert repeated.validate([np.zeros((1, 3, 4, 8), np.float32)]) == 1


@pytest.mark.parametrize("axis", [None, "N"])
def test_a_request_with_different_numbers_of_rows_in_its_inputs_runs_alone(axis: str | None) -> None:
    takes = Signature((spec(axis, 2, name="a"), spec(axis, 2, name="b")), (spec(axis),))
    assert takes.validate([np.zeros((1, 2), np.float32), np.zeros((2, 2), np.float32)]) == 0


def test_a_first_axis_that_is_fixed_to_1_allows_several_rows_one_by_one() -> None:
    takes = Signature((spec(1, 3, name="a"), spec(1, name="b")), (spec(1, 2),))
    assert takes.fixed_batch
    assert not takes.batchable
    assert takes.row_outputs == (True,)
    assert takes.validate([np.zeros((1, 3), np.float32), np.zeros(1, np.float32)]) == 1
    assert takes.validate([np.zeros((4, 3), np.float32), np.zeros(4, np.float32)]) == 4
    with pytest.raises(InvalidInput, match=r"got 2 rows in a, 1 rows in b; expected at least one row, as many in each"):
        takes.validate([np.zeros((2, 3), np.float32), np.zeros(1, np.float32)])
    with pytest.raises(InvalidInput, match=r"got 0 rows in a, 0 rows in b; expected at least one row"):
        takes.validate([np.zeros((0, 3), np.float32), np.zeros(0, np.float32)])
    with pytest.raises(InvalidInput, match=r"inputs\.a: got shape \[1, 4\]; expected float32\[1, 3\]"):
        takes.validate([np.zeros((1, 4), np.float32), np.zeros(1, np.float32)])


@pytest.mark.parametrize("outputs", [[(3, 2)], [(1, 2), ("found", 4)], [None]])
def test_with_an_output_that_is_not_fixed_to_1_rows_do_not_run_one_by_one(outputs: list[Shape | None]) -> None:
    takes = signature([(1, 3)], outputs)
    assert not takes.fixed_batch
    assert not any(takes.row_outputs)
    with pytest.raises(InvalidInput, match=r"got shape \[2, 3\]; expected float32\[1, 3\]"):
        takes.validate([np.zeros((2, 3), np.float32)])


def test_an_output_has_rows_if_the_inputs_have_rows_and_its_first_axis_allows_it() -> None:
    assert signature([("N", 3)], [("N", 1), None]).row_outputs == (True, True)
    assert signature([("N", 3)], [("N", 1), (1, 3)]).row_outputs == (True, False)
    assert signature([("N", 3), (5, 3)], [("N", 1)]).row_outputs == (False,)
    label, absent = TensorSpec("label", I64, ("N",)), TensorSpec("absent", F32, None, ("optional",))
    assert Signature((spec("N", 3),), (label, absent)).row_outputs == (True, False)


def test_the_values_of_a_container_are_not_checked_again() -> None:
    takes = Signature((TensorSpec("x", F32, None, ("sequence",)),), (spec(),))
    assert takes.validate([as_array([np.zeros(2, np.float32)])]) == 1


def test_an_input_of_unknown_rank_accepts_any_shape_of_its_type() -> None:
    takes = Signature((TensorSpec("x", F32, None),), (spec("N"),))
    assert [takes.validate([np.zeros(shape, np.float32)]) for shape in ((), (3,), (2, 2))] == [1, 1, 1]
    with pytest.raises(InvalidInput, match=r"float32\[\?\]"):
        takes.validate([np.zeros(3, np.int64)])


def test_axes_with_generated_names_may_differ_in_length() -> None:
    takes = Signature((spec("unk__1", 2, name="a"), spec("unk__2", 2, name="b")), (spec("unk__3", 2),))
    assert takes.validate([np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)]) == 3
    assert takes.validate([np.zeros((1, 2), np.float32), np.zeros((4, 2), np.float32)]) == 0
