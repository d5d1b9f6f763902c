"""ONNX's element types and containers: each has a NumPy type, or is rejected with the next step."""

import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidModel
from runtime.model import elements
from runtime.tensors import STRING, TensorSpec

BFLOAT16, FLOAT8 = np.dtype(ml_dtypes.bfloat16), np.dtype(ml_dtypes.float8_e4m3fn)
INT4, UINT4 = np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.uint4)
INT2, UINT2, FLOAT4 = np.dtype(ml_dtypes.int2), np.dtype(ml_dtypes.uint2), np.dtype(ml_dtypes.float4_e2m1fn)
SHARING = {INT4: (-8, 7), UINT4: (0, 15), INT2: (-2, 1), UINT2: (0, 3)}  # types whose elements share bytes


def described(type_name: str, *, shape: tuple[int | str | None, ...] = (), scalar: bool = False) -> TensorSpec:
    return elements.spec_of("x", type_name, list(shape), scalar=scalar, uri="m.onnx")


@pytest.mark.parametrize(
    ("type_name", "dtype", "containers"),
    [
        ("tensor(float)", np.dtype("f4"), ()),
        ("tensor(string)", STRING, ()),
        ("tensor(bfloat16)", BFLOAT16, ()),
        ("tensor(int4)", INT4, ()),
        ("seq(tensor(string))", STRING, ("sequence",)),
        ("seq(map(int64,tensor(float)))", np.dtype("f4"), ("sequence", "map of int64")),
        ("map(string,tensor(double))", np.dtype("f8"), ("map of string",)),
        ("optional(seq(tensor(int64)))", np.dtype("i8"), ("optional", "sequence")),
    ],
)
def test_a_type_is_converted_to_its_elements_and_containers(
    type_name: str, dtype: np.dtype[np.generic], containers: tuple[str, ...]
) -> None:
    shape = None if containers else ("n",)
    assert described(type_name, shape=("n",)) == TensorSpec("x", dtype, shape, containers)


def test_a_scalar_and_an_unknown_rank_are_distinguished() -> None:
    assert described("tensor(float)", scalar=True).shape == ()
    assert described("tensor(float)").shape is None


@pytest.mark.parametrize("type_name", ["tensor(complex64)", "seq(tensor(float8e8m0))"])
def test_an_unsupported_element_type_is_rejected_with_a_cast_as_the_next_step(type_name: str) -> None:
    with pytest.raises(
        InvalidModel, match=r"m\.onnx: 'x' has the type .*, which is not supported; export the model with a Cast"
    ):
        described(type_name)


def test_a_narrow_type_is_rejected_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(InvalidModel, match="export the model with a Cast"):
        described("tensor(bfloat16)")


def test_an_unknown_container_is_rejected() -> None:
    with pytest.raises(InvalidModel, match=r"type sparse_tensor\(float\); expected tensors, sequences, maps"):
        described("sparse_tensor(float)")


@pytest.mark.parametrize(
    ("dtype", "kind", "is_narrow"),
    [
        (np.dtype("f4"), "f", False),
        (np.dtype("u8"), "u", False),
        (np.dtype(np.longlong), "i", False),
        (np.dtype(np.bool_), "b", False),
        (STRING, "O", False),
        (BFLOAT16, "f", True),
        (FLOAT8, "f", True),
        (np.dtype(ml_dtypes.float8_e5m2), "f", True),
        (INT4, "i", True),
        (UINT2, "u", True),
    ],
)
def test_the_kind_of_each_element_type(dtype: np.dtype[np.generic], kind: str, is_narrow: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert elements.kind(dtype) == kind
    assert (elements.narrow(dtype) is not None) is is_narrow


@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [(np.dtype("i1"), -128, 127), (np.dtype("u8"), 0, 2**64 - 1), *((each, *SHARING[each]) for each in SHARING)],
)
def test_the_range_of_integer_types(dtype: np.dtype[np.generic], least: int, most: int) -> None:
    assert elements.whole_range(dtype) == (least, most)


@pytest.mark.parametrize("dtype", [np.dtype("f2"), np.dtype("f4"), BFLOAT16, FLOAT8])
def test_a_number_below_the_bound_of_a_float_type_rounds_to_a_finite_number_and_the_bound_does_not(
    dtype: np.dtype[np.generic],
) -> None:
    largest, beyond = elements.float_range(dtype)
    below = np.nextafter(beyond, 0.0)
    with np.errstate(over="ignore"):
        assert float(np.float64(below).astype(dtype)) == largest
        assert not np.isfinite(float(np.float64(beyond * (1 + 1e-6)).astype(dtype)))


def test_all_numbers_of_json_are_below_the_bound_of_float64() -> None:
    assert elements.float_range(np.dtype("f8")) == (sys.float_info.max, np.inf)


@given(st.data())
def test_unpack_after_pack_returns_the_same_array(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([*SHARING, FLOAT4, FLOAT8, BFLOAT16]))
    least, most = SHARING.get(dtype, (-4, 4))
    shape = data.draw(st.sampled_from([(), (0,), (1,), (2, 3), (5,), (2, 1, 4)]))
    size = int(np.prod(shape))
    numbers = data.draw(st.lists(st.integers(least, most), min_size=size, max_size=size))
    array = np.array(numbers, np.float32).astype(dtype).reshape(shape)
    packed = elements.packed(array)
    assert len(packed) == -(-size * elements._BY_NAME[dtype.name].bits // 8)
    np.testing.assert_array_equal(elements.unpacked(packed, dtype, list(shape)).astype("f4"), array.astype("f4"))


def test_the_first_of_two_elements_in_a_byte_is_in_the_low_bits() -> None:
    """As onnx.proto defines for INT4 in `raw_data`."""
    assert elements.packed(np.array([1, -2, 3], np.int8).astype(INT4)) == bytes([0xE1, 0x03])
