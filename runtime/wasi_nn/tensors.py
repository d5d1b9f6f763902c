"""The tensors of WASI-NN: sizes, element type and bytes in row-major order, and their conversion to arrays. Pure.

WASI-NN has seven element types. ONNX's bool is carried as U8, with one byte of 0 or 1 for each element. A tensor of
another type (string, int8, uint32, ...), a sequence and a map cannot be carried.
"""

import math
from enum import Enum
from typing import Final, NamedTuple

import numpy as np

from runtime.tensors import TensorSpec
from runtime.wasi_nn.faults import Code, NnError

MAX_RANK: Final = 64  # of NumPy
_SHOWN: Final = 8  # sizes in a message


class TensorType(Enum):
    """The element types, by their names in WIT: the name in NumPy, and the bytes of one element."""

    FP16 = ("float16", 2)
    FP32 = ("float32", 4)
    FP64 = ("float64", 8)
    BF16 = ("bfloat16", 2)
    U8 = ("uint8", 1)
    I32 = ("int32", 4)
    I64 = ("int64", 8)

    @property
    def numpy_name(self) -> str:
        """The name of the type in NumPy."""
        return self.value[0]

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return self.value[1]


_BY_NUMPY_NAME: Final = {each.numpy_name: each for each in TensorType} | {"bool": TensorType.U8}


class Tensor(NamedTuple):
    """A tensor as a guest passes it; nothing of it is checked."""

    dimensions: tuple[int, ...]
    type: TensorType
    data: bytes | bytearray


def type_of(dtype: np.dtype[np.generic]) -> TensorType | None:
    """Return the element type that carries this type of NumPy, or None."""
    return _BY_NUMPY_NAME.get(dtype.name)


def to_array(tensor: Tensor, spec: TensorSpec) -> np.ndarray:
    """Return the tensor as an array of the element type of the input `spec`, which shares the memory of its data.

    Raises `NnError` (invalid-argument) if its type is not that of the input, or its data do not fill its dimensions.
    """
    wanted = None if spec.containers else type_of(spec.dtype)
    if wanted is None:
        raise NnError(
            Code.UNSUPPORTED_OPERATION,
            f"input {spec.name!r} is {spec.describe()}, which no tensor of WASI-NN can carry",
        )
    if tensor.type is not wanted:
        raise _invalid(spec, f"a tensor of {tensor.type.name}", f"{wanted.name} ({spec.describe()})")
    check_size(tensor, what=f"input {spec.name!r}")
    if spec.dtype == np.bool_ and bytes(tensor.data).translate(None, b"\0\1"):
        raise _invalid(spec, "an element above 1", "0 or 1 in each element")
    try:
        return np.frombuffer(tensor.data, spec.dtype).reshape(tensor.dimensions)
    except ValueError as error:  # an empty tensor whose other sizes are too large for NumPy
        raise _invalid(spec, f"the dimensions {_shown(tensor.dimensions)}", "sizes that an array can have") from error


def check_size(tensor: Tensor, *, what: str) -> None:
    """Raise `NnError` (invalid-argument) if the data do not have the size that the dimensions and the type state."""
    if len(tensor.dimensions) > MAX_RANK:
        got = f"{what}: got {len(tensor.dimensions)} dimensions"
        raise NnError(Code.INVALID_ARGUMENT, f"{got}; expected at most {MAX_RANK}")
    stated = math.prod(tensor.dimensions) * tensor.type.size
    if stated != len(tensor.data):
        shown = f"{_shown(tensor.dimensions)} of {tensor.type.name}"
        message = f"{what}: got {len(tensor.data)} bytes of data; expected {stated} for {shown}"
        raise NnError(Code.INVALID_ARGUMENT, message)


def from_array(array: np.ndarray, name: str) -> Tensor:
    """Return an output of the model as a tensor. Raises `NnError` (unsupported-operation) for another element type."""
    kind = type_of(array.dtype)
    if kind is None:
        described = "string" if array.dtype == object else array.dtype.name
        message = f"output {name!r} has the type {described}, which no tensor of WASI-NN can carry"
        raise NnError(Code.UNSUPPORTED_OPERATION, message)
    return Tensor(array.shape, kind, array.tobytes())


def _invalid(spec: TensorSpec, got: str, expected: str) -> NnError:
    return NnError(Code.INVALID_ARGUMENT, f"input {spec.name!r}: got {got}; expected {expected}")


def _shown(dimensions: tuple[int, ...]) -> str:
    sizes = ", ".join(map(str, dimensions[:_SHOWN]))
    return f"[{sizes}{', ...' if len(dimensions) > _SHOWN else ''}]"
