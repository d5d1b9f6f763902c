"""The datatypes of the Open Inference Protocol, and its binary form of tensors.

Binary tensors are little endian and row-major. A BOOL is one byte. An element of BYTES is its length as uint32,
followed by the bytes. All supported processors are little endian too. Source: Triton Inference Server, "Binary Tensor
Data Extension".
"""

import math
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import numpy as np

from runtime.errors import InvalidInput
from runtime.http.messages import Buffer
from runtime.protocols.datatypes import NAMES
from runtime.tensors import STRING, TensorSpec

_SMALL: Final = 64 * 1024  # bytes: up to here, a copy costs less than a view
_MAX_STRINGS: Final = 1_000_000  # of one tensor: a Python object takes many times the memory of its text
_LENGTH: Final = struct.Struct("<I")


def datatype(spec: TensorSpec) -> str | None:
    """Return the protocol's name of the element type, also of an optional tensor; None if the protocol has no name."""
    if spec.containers not in ((), ("optional",)):
        return None
    return "BYTES" if spec.dtype == STRING else NAMES.get(spec.dtype.name)


def shaped(field: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array in a shape of the same number of elements.

    Raises `InvalidInput` if NumPy does not support it.
    """
    try:
        return array.reshape(shape)
    except ValueError as error:
        raise _no_shape(field, shape, error) from None


def read(field: str, data: Buffer, shape: tuple[int, ...], spec: TensorSpec) -> np.ndarray:
    """Return the tensor in `data`: a read-only view if its type and alignment allow it, otherwise a copy.

    Raises `InvalidInput` if the number of bytes does not fit the shape, or a string is not UTF-8.
    """
    count = math.prod(shape)
    if spec.dtype == STRING:
        return shaped(field, _read_strings(field, memoryview(data), count), shape)
    if len(data) != count * spec.dtype.itemsize:
        expected = f"{count * spec.dtype.itemsize} bytes for shape {list(shape)} of {datatype(spec)}"
        raise InvalidInput(field, got=f"{len(data)} bytes", expected=expected)
    if spec.dtype == np.bool_:
        flags: np.ndarray = np.frombuffer(data, np.uint8) != 0
        return shaped(field, flags, shape)  # any byte but 0 is true
    try:
        array: np.ndarray = np.ndarray(shape, spec.dtype, data)
    except ValueError as error:
        raise _no_shape(field, shape, error) from None
    return array if array.flags.aligned else array.copy()


def write(array: np.ndarray) -> Buffer:
    """Return the binary form of a tensor: a view of a large one, otherwise a copy."""
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
    """Return the strings as an array of one axis. Raises `InvalidInput` if a string is not UTF-8."""
    found: list[str] = []
    try:
        found.extend(str(value, "utf-8") for value in values)
    except UnicodeDecodeError:
        raise InvalidInput(f"{field}[{len(found)}]", got="bytes that are not UTF-8", expected="UTF-8") from None
    array = np.empty(len(found), object)
    array[:] = found
    return array


def _read_strings(field: str, data: memoryview, count: int) -> np.ndarray:
    """Return the strings as an array of one axis. Raises `InvalidInput`."""
    if count > _MAX_STRINGS:
        raise InvalidInput(field, got=f"{count} strings", expected=f"at most {_MAX_STRINGS} in one tensor")
    array = texts(field, islice(_elements(field, data), count + 1))
    if len(array) != count:
        got = f"{len(array)} elements" if len(array) < count else f"more than {count} elements"
        raise InvalidInput(field, got=got, expected=f"{count}, as its shape states")
    return array


def _elements(field: str, data: memoryview) -> Iterator[memoryview]:
    """Yield the bytes of each string. Raises `InvalidInput` if a length exceeds the data."""
    at = 0
    while at < len(data):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(data, at)[0] if start <= len(data) else start
        if end > len(data):
            raise InvalidInput(field, got=f"{len(data)} bytes", expected=f"at least {end}, as a length prefix states")
        yield data[start:end]
        at = end
