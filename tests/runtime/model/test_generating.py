"""Generated inputs, and the comparison of outputs bit by bit."""

import ml_dtypes
import numpy as np
import pytest

from runtime.model import generating
from runtime.tensors import STRING, TensorSpec, as_array


def spec(name: str, dtype: object, shape: tuple[int | str | None, ...] | None) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)  # type: ignore[call-overload] # any type that NumPy accepts


def floats(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_dynamic_axes_have_one_and_three_elements() -> None:
    found = generating.inputs([spec("a", "f4", ("batch", 4)), spec("b", "i8", ("batch", None))])
    assert [[each.shape for each in arrays] for arrays in found] == [[(1, 4), (1, 1)], [(3, 4), (3, 3)]]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16, np.int8, np.uint64, np.bool_, object])
def test_an_input_has_its_element_type(dtype: type) -> None:
    for (array,) in generating.inputs([spec("x", dtype, ("n", 8))]):
        assert array.dtype == np.dtype(dtype)
    assert len({str(each) for each in array.ravel().tolist()}) > 1  # not all the same


def test_integers_are_valid_indices_of_any_table() -> None:
    for (array,) in generating.inputs([spec("x", np.int64, ("n", 50))]):
        assert set(array.ravel().tolist()) == {0, 1}


def test_inputs_are_the_same_in_each_call() -> None:
    specs = [spec("x", np.float32, ("n", 8)), spec("s", STRING, ("n",))]
    for first, second in zip(generating.inputs(specs), generating.inputs(specs), strict=True):
        assert all(map(generating.same, first, second))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (floats(1, np.nan), floats(1, np.nan), True),
        (floats(1), np.nextafter(floats(1), floats(2)), False),
        (floats(0.0), floats(-0.0), False),
        (floats(1), floats(1).astype(np.float64), False),
        (floats(1), floats(1)[None], False),
        (as_array(["a", "b"]), as_array(["a", "b"]), True),
        (as_array(["a", "b"]), as_array(["a", "c"]), False),
        (as_array([{"a": 0.5}]), as_array([{"a": 0.5}]), True),
        (as_array([{"a": 0.5}]), as_array([{"a": 0.25}]), False),
        (as_array([{"a": 0.5}]), as_array([{"b": 0.5}]), False),
        (as_array([[floats(1)]]), as_array([[floats(1)]]), True),
        (as_array([[floats(1)]]), as_array([[floats(2)]]), False),
        (as_array(None), as_array(None), True),
        (as_array([1]), as_array([1.0]), False),
    ],
)
def test_outputs_are_equal_only_bit_by_bit(one: np.ndarray, other: np.ndarray, equal: bool) -> None:  # noqa: FBT001
    assert generating.same(one, other) is equal
