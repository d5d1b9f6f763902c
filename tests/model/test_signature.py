"""What a model takes is checked before anything can reach a batch, and what may share a run is told from its axes."""

import numpy as np
import pytest
from hypothesis import given

from runtime.errors import InvalidInput
from runtime.model.signature import STRING, Shape, Signature, TensorSpec
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
        ([("unk__1", 3), ("unk__2", 3)], False),  # their numbers of rows may differ
    ],
)
def test_whether_any_two_rows_fit_together(inputs: list[Shape | None], uniform: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert signature(inputs, [("N",)]).uniform is uniform


@given(made=strategies.tensors_of_one_input())
def test_what_fits_is_counted(made: tuple[Signature, np.ndarray]) -> None:
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
def test_what_does_not_fit_is_named_with_what_came_and_what_would_be_right(array: np.ndarray, got: str) -> None:
    takes = Signature((spec("batch", 3, name="features"),), (spec("batch", 1),))
    with pytest.raises(InvalidInput, match=rf"^inputs\.features: got {got}; expected float32\[batch, 3\]$"):
        takes.validate([array])


def test_a_request_without_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="inputs: got no rows; expected at least one row"):
        Signature((spec("batch", 3),), (spec("batch", 1),)).validate([np.zeros((0, 3), np.float32)])


def test_a_scalar_is_no_row_of_a_vector() -> None:
    with pytest.raises(InvalidInput, match=r"got shape \[\]; expected float32\[batch\]"):
        Signature((spec("batch"),), (spec("batch"),)).validate([np.array(1.0, np.float32)])


def test_axes_of_one_name_have_one_size() -> None:
    takes = Signature((spec("N", "width", name="a"), spec("N", "width", name="b")), (spec("N"),))
    assert takes.validate([np.zeros((2, 5), np.float32), np.zeros((2, 5), np.float32)]) == 2
    with pytest.raises(InvalidInput, match=r"inputs\.b: .*\[2, 6\].*, where width is 5"):
        takes.validate([np.zeros((2, 5), np.float32), np.zeros((2, 6), np.float32)])
    with pytest.raises(InvalidInput, match=r"inputs\.b: .*\[3, 5\].*, where N is 2"):
        takes.validate([np.zeros((2, 5), np.float32), np.zeros((3, 5), np.float32)])


def test_every_input_has_as_many_rows_where_axes_have_no_names() -> None:
    takes = Signature((spec(None, 2, name="a"), spec(None, 2, name="b")), (spec(None),))
    with pytest.raises(InvalidInput, match=r"different numbers of rows \(a: 1, b: 2\); expected as many rows in each"):
        takes.validate([np.zeros((1, 2), np.float32), np.zeros((2, 2), np.float32)])


def test_an_input_of_unknown_rank_takes_any_shape_of_its_type() -> None:
    takes = Signature((TensorSpec("x", F32, None),), (spec("N"),))
    assert [takes.validate([np.zeros(shape, np.float32)]) for shape in ((), (3,), (2, 2))] == [1, 1, 1]
    with pytest.raises(InvalidInput, match=r"float32\[\?\]"):
        takes.validate([np.zeros(3, np.int64)])


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (spec("batch", 30), "float32[batch, 30]"),
        (spec(None, 3, dtype=I64), "int64[dynamic, 3]"),
        (spec("N", dtype=STRING), "string[N]"),
        (TensorSpec("x", np.dtype(np.bool_), None), "bool[?]"),
    ],
)
def test_a_tensor_in_words(tensor: TensorSpec, words: str) -> None:
    assert tensor.describe() == words


def test_the_shape_of_a_row() -> None:
    assert spec("N", 3, 4).row_shape == (3, 4)
    assert spec("N").row_shape == ()
    assert spec("N", "length").row_shape is None
    assert TensorSpec("x", F32, None).row_shape is None


def test_axes_that_an_exporter_named_may_differ_in_length() -> None:
    takes = Signature((spec("unk__1", 2, name="a"), spec("unk__2", 2, name="b")), (spec("unk__3", 2),))
    assert takes.validate([np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)]) == 3
    assert takes.validate([np.zeros((1, 2), np.float32), np.zeros((4, 2), np.float32)]) == 1


def test_a_first_axis_that_is_fixed_to_one_takes_several_rows() -> None:
    takes = Signature((spec(1, 3, name="x"),), (spec(1, 3),))
    assert takes.fixed_batch
    assert takes.validate([np.zeros((4, 3), np.float32)]) == 4
    with pytest.raises(InvalidInput, match="shape"):
        takes.validate([np.zeros((4, 2), np.float32)])
