"""The types of an inference: each type of a model has a description."""

import numpy as np
import pytest

from runtime.tensors import STRING, Shape, TensorSpec, as_array

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)


def spec(*shape: int | str | None, dtype: np.dtype[np.generic] = F32) -> TensorSpec:
    return TensorSpec("x", dtype, shape)


@pytest.mark.parametrize(
    ("tensor", "kind", "words"),
    [
        (spec("batch", 30), "tensor", "float32[batch, 30]"),
        (spec(None, 3, dtype=I64), "tensor", "int64[dynamic, 3]"),
        (spec("N", dtype=STRING), "tensor", "string[N]"),
        (spec(), "tensor", "float32[]"),
        (TensorSpec("x", np.dtype(np.bool_), None), "tensor", "bool[?]"),
        (TensorSpec("x", STRING, None, ("sequence",)), "sequence", "sequence(string)"),
        (TensorSpec("x", F32, None, ("sequence", "map of int64")), "sequence", "sequence(map(int64, float32))"),
        (TensorSpec("x", I64, None, ("map of string",)), "map", "map(string, int64)"),
        (TensorSpec("x", F32, None, ("optional", "sequence")), "optional", "optional(sequence(float32))"),
    ],
)
def test_the_description_of_a_type(tensor: TensorSpec, kind: str, words: str) -> None:
    assert (tensor.kind, tensor.describe()) == (kind, words)
    assert words.startswith(tensor.datatype)


@pytest.mark.parametrize(
    ("shape", "row"), [(("N", 3, 4), (3, 4)), (("N",), ()), (("N", "length"), None), ((), None), (None, None)]
)
def test_the_shape_of_a_row(shape: Shape | None, row: tuple[int, ...] | None) -> None:
    assert TensorSpec("x", F32, shape).row_shape == row


@pytest.mark.parametrize(
    ("shape", "holds"), [(("N", 3), True), ((None,), True), ((1, 3), True), ((2, 3), False), ((), False), (None, False)]
)
def test_a_first_axis_that_is_dynamic_or_one_holds_rows(shape: Shape | None, holds: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert TensorSpec("x", F32, shape).holds_rows is holds


def test_a_value_that_is_not_a_tensor_is_an_array_of_objects() -> None:
    items = as_array([np.zeros(2), np.ones(2)])
    assert (items.shape, items.dtype) == ((2,), STRING)
    np.testing.assert_array_equal(items[1], [1, 1])
    assert as_array([]).shape == (0,)
    for value in ({"a": 1.0}, None):
        assert (as_array(value).shape, as_array(value).item()) == ((), value)
    tensor = np.zeros((2, 2))
    assert as_array(tensor) is tensor
