"""The tensors of WASI-NN are untrusted: sizes, type and data are checked against each other and against the model."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tensors import STRING, TensorSpec
from runtime.wasi_nn.faults import Code, NnError
from runtime.wasi_nn.tensors import MAX_RANK, Tensor, TensorType, from_array, to_array

DTYPES: dict[TensorType, Any] = {
    TensorType.FP16: np.float16,
    TensorType.FP32: np.float32,
    TensorType.FP64: np.float64,
    TensorType.BF16: ml_dtypes.bfloat16,
    TensorType.U8: np.uint8,
    TensorType.I32: np.int32,
    TensorType.I64: np.int64,
}


def spec_of(dtype: Any, name: str = "x") -> TensorSpec:  # noqa: ANN401 - whatever NumPy accepts
    return TensorSpec(name, np.dtype(dtype), None)


@pytest.mark.parametrize("kind", TensorType, ids=lambda each: each.name)
@given(data=st.data())
def test_a_tensor_is_the_same_after_it_was_an_array(kind: TensorType, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 4), max_size=4))
    count = math.prod(sizes) * kind.size
    tensor = Tensor(tuple(sizes), kind, data.draw(st.binary(min_size=count, max_size=count)))
    array = to_array(tensor, spec_of(DTYPES[kind]))
    assert (array.shape, array.dtype) == (tuple(sizes), np.dtype(DTYPES[kind]))
    assert from_array(array, "y") == tensor


@given(
    sizes=st.lists(st.integers(0, 2**32 - 1), max_size=70),
    kind=st.sampled_from(TensorType),
    data=st.binary(max_size=64),
    wanted=st.sampled_from([*DTYPES.values(), np.bool_, np.int8, np.object_]),
)
def test_whatever_a_guest_passes_is_an_array_or_an_error_for_the_guest(
    sizes: list[int],
    kind: TensorType,
    data: bytes,
    wanted: Any,  # noqa: ANN401 - as above
) -> None:
    try:
        array = to_array(Tensor(tuple(sizes), kind, data), spec_of(wanted))
    except NnError as error:
        assert error.code in {Code.INVALID_ARGUMENT, Code.UNSUPPORTED_OPERATION}  # noqa: PT017 - either is right
    else:
        assert (list(array.shape), array.tobytes()) == (sizes, data)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor((2,), TensorType.FP32, b"1234567"), r"got 7 bytes of data; expected 8 for \[2\] of FP32"),
        (Tensor((2**32 - 1,) * 4, TensorType.FP32, b""), "got 0 bytes of data; expected"),
        (Tensor((1,) * 65, TensorType.FP32, b"1234"), f"got 65 dimensions; expected at most {MAX_RANK}"),
        (Tensor((1,), TensorType.I32, b"1234"), r"got a tensor of I32; expected FP32 \(float32"),
        (
            Tensor((0, *[2**32 - 1] * 9), TensorType.FP32, b""),
            r"got the dimensions \[0, .*, \.\.\.\]; expected",
        ),
    ],
)
def test_the_error_names_what_is_wrong(tensor: Tensor, message: str) -> None:
    with pytest.raises(NnError, match=f"input 'x': {message}") as caught:
        to_array(tensor, spec_of(np.float32))
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_bool_is_carried_as_bytes_of_0_and_1() -> None:
    array = to_array(Tensor((2,), TensorType.U8, b"\0\1"), spec_of(np.bool_))
    assert array.tolist() == [False, True]
    assert from_array(array, "y") == Tensor((2,), TensorType.U8, b"\0\1")
    with pytest.raises(NnError, match="got an element above 1; expected 0 or 1 in each element"):
        to_array(Tensor((2,), TensorType.U8, b"\0\2"), spec_of(np.bool_))


@pytest.mark.parametrize(
    "spec",
    [spec_of(STRING), spec_of(np.int8), TensorSpec("x", np.dtype(np.float32), None, ("sequence",))],
    ids=["string", "int8", "sequence"],
)
def test_other_inputs_cannot_be_carried(spec: TensorSpec) -> None:
    with pytest.raises(NnError, match="no tensor of WASI-NN can carry") as caught:
        to_array(Tensor((1,), TensorType.U8, b"a"), spec)
    assert caught.value.code is Code.UNSUPPORTED_OPERATION


@pytest.mark.parametrize(("array", "name"), [(np.array(["a"], dtype=object), "string"), (np.zeros(1, np.int8), "int8")])
def test_other_outputs_cannot_be_carried(array: np.ndarray, name: str) -> None:
    with pytest.raises(NnError, match=f"output 'y' has the type {name}") as caught:
        from_array(array, "y")
    assert caught.value.code is Code.UNSUPPORTED_OPERATION
