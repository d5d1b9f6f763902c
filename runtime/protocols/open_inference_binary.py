"""The datatypes of the Open Inference Protocol, and its binary form of tensors.

Binary tensors are little endian and row major. BOOL takes one byte. BYTES takes, for each element, its length as
uint32 and then the bytes.
Every processor that this runs on is little endian too. Source: Triton Inference Server, "Binary Tensor Data Extension".
"""

import math
import struct
from typing import Final

import numpy as np

from runtime.errors import InvalidInput
from runtime.tensors import STRING, TensorSpec

_NAMES: Final = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_LENGTH: Final = struct.Struct("<I")


def datatype(spec: TensorSpec) -> str | None:
    """The protocol's name of the element type, or None where the protocol has none."""
    if spec.containers:
        return None
    return "BYTES" if spec.dtype == STRING else _NAMES.get(spec.dtype.name)


def read(field: str, data: memoryview, shape: tuple[int, ...], spec: TensorSpec) -> np.ndarray:
    """The tensor in `data`: a view of it where its type and alignment allow, read-only.

    Raises `InvalidInput` where the number of bytes does not fit the shape, or a string is not UTF-8.
    """
    count = math.prod(shape)
    if spec.dtype == STRING:
        return _read_strings(field, data, count).reshape(shape)
    if len(data) != count * spec.dtype.itemsize:
        expected = f"{count * spec.dtype.itemsize} bytes for shape {list(shape)} of {datatype(spec)}"
        raise InvalidInput(field, got=f"{len(data)} bytes", expected=expected)
    if spec.dtype == np.bool_:
        flags: np.ndarray = np.frombuffer(data, np.uint8) != 0
        return flags.reshape(shape)  # a byte may hold more than 0 and 1
    array = np.frombuffer(data, spec.dtype)
    aligned: np.ndarray = np.require(array, requirements="A")
    return aligned.reshape(shape)


def write(array: np.ndarray) -> bytes:
    """The binary form of a tensor."""
    if array.dtype != STRING:
        return array.tobytes()
    pieces: list[bytes] = []
    for text in array.reshape(-1):
        encoded = text.encode()
        pieces += (_LENGTH.pack(len(encoded)), encoded)
    return b"".join(pieces)


def _read_strings(field: str, data: memoryview, count: int) -> np.ndarray:
    texts: list[str] = []
    at = 0
    while at < len(data):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(data, at)[0] if start <= len(data) else start
        if end > len(data):
            raise InvalidInput(field, got=f"{len(data)} bytes", expected=f"at least {end}, as a length in them states")
        try:
            texts.append(str(data[start:end], "utf-8"))
        except UnicodeDecodeError:
            raise InvalidInput(f"{field}[{len(texts)}]", got="bytes that are not UTF-8", expected="UTF-8") from None
        at = end
    if len(texts) != count:
        raise InvalidInput(field, got=f"{len(texts)} elements", expected=f"{count}, as its shape states")
    array = np.empty(count, object)
    array[:] = texts
    return array
