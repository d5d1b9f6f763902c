"""The datatypes of the Open Inference Protocol, and its binary form of tensors.

Binary tensors are little endian and row major. BOOL takes one byte. BYTES takes, for each element, its length as
uint32 and then the bytes.
Every processor that this runs on is little endian too. Source: Triton Inference Server, "Binary Tensor Data Extension".
"""

import math
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import numpy as np

from runtime.errors import InvalidInput
from runtime.http.messages import Buffer
from runtime.tensors import STRING, TensorSpec

_NAMES: Final = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_SMALL: Final = 64 * 1024  # bytes: a copy costs less than a view
_MOST: Final = 1_000_000  # strings of one tensor: each is a Python object, which takes many times its text
_LENGTH: Final = struct.Struct("<I")


def datatype(spec: TensorSpec) -> str | None:
    """The protocol's name of the element type, or None where the protocol has none.

    An optional tensor has that of its tensor.
    """
    if spec.containers not in ((), ("optional",)):
        return None
    return "BYTES" if spec.dtype == STRING else _NAMES.get(spec.dtype.name)


def shaped(field: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array in a shape of as many elements. Raises `InvalidInput` where NumPy has no array of that shape."""
    try:
        return array.reshape(shape)
    except ValueError as error:
        raise _no_shape(field, shape, error) from None


def read(field: str, data: Buffer, shape: tuple[int, ...], spec: TensorSpec) -> np.ndarray:
    """The tensor in `data`: a view of it where its type and alignment allow, read-only.

    Raises `InvalidInput` where the number of bytes does not fit the shape, or a string is not UTF-8.
    """
    count = math.prod(shape)
    if spec.dtype == STRING:
        return shaped(field, _read_strings(field, memoryview(data), count), shape)
    if len(data) != count * spec.dtype.itemsize:
        expected = f"{count * spec.dtype.itemsize} bytes for shape {list(shape)} of {datatype(spec)}"
        raise InvalidInput(field, got=f"{len(data)} bytes", expected=expected)
    if spec.dtype == np.bool_:
        flags: np.ndarray = np.frombuffer(data, np.uint8) != 0
        return shaped(field, flags, shape)  # a byte may hold more than 0 and 1
    try:
        array: np.ndarray = np.ndarray(shape, spec.dtype, data)
    except ValueError as error:
        raise _no_shape(field, shape, error) from None
    return array if array.flags.aligned else array.copy()


def write(array: np.ndarray) -> Buffer:
    """The binary form of a tensor: a view of it where it is large."""
    if array.dtype != STRING:
        if array.nbytes <= _SMALL:
            return array.tobytes()
        flat = np.ascontiguousarray(array).reshape(-1)
        return memoryview(flat.view(np.uint8))  # type: ignore[arg-type] # arrays are buffers
    pieces: list[bytes] = []
    for text in array.reshape(-1):
        encoded = text.encode()
        pieces += (_LENGTH.pack(len(encoded)), encoded)
    return b"".join(pieces)


def _no_shape(field: str, shape: tuple[int, ...], error: ValueError) -> InvalidInput:
    return InvalidInput(f"{field}.shape", got=str(list(shape)), expected=f"another shape ({error})")


def texts(field: str, values: Iterable[Buffer]) -> np.ndarray:
    """The strings, on one axis. Raises `InvalidInput` where one is not UTF-8."""
    found: list[str] = []
    try:
        found.extend(str(value, "utf-8") for value in values)
    except UnicodeDecodeError:
        raise InvalidInput(f"{field}[{len(found)}]", got="bytes that are not UTF-8", expected="UTF-8") from None
    array = np.empty(len(found), object)
    array[:] = found
    return array


def _read_strings(field: str, data: memoryview, count: int) -> np.ndarray:
    """The strings, on one axis. Raises `InvalidInput`."""
    if count > _MOST:
        raise InvalidInput(field, got=f"{count} strings", expected=f"at most {_MOST} in one tensor")
    array = texts(field, islice(_elements(field, data), count + 1))
    if len(array) != count:
        got = f"{len(array)} elements" if len(array) < count else f"more than {count} elements"
        raise InvalidInput(field, got=got, expected=f"{count}, as its shape states")
    return array


def _elements(field: str, data: memoryview) -> Iterator[memoryview]:
    """What the lengths part. Raises `InvalidInput` where one leads beyond the end."""
    at = 0
    while at < len(data):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(data, at)[0] if start <= len(data) else start
        if end > len(data):
            raise InvalidInput(field, got=f"{len(data)} bytes", expected=f"at least {end}, as a length in them states")
        yield data[start:end]
        at = end
