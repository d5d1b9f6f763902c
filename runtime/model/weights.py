"""The search for NaN in the weights of a model file, in blocks, so that memory use does not depend on the file's size.

A weight that is NaN makes answers NaN; it comes from a training that diverged. Infinity is valid, as in masks. Only the
initializers of the main graph are read. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.model.graph import is_ort_format
from runtime.model.header import initializers, text_of
from runtime.protobuf import Buffer, Field, length_delimited, number

_DATA_TYPE, _FLOATS, _NAME, _RAW, _DOUBLES, _EXTERNAL = 2, 4, 8, 9, 10, 13  # of Tensor
_KEY, _VALUE = 1, 2  # of an entry of external data
_BLOCK: Final = 2**22  # bytes; a multiple of all element sizes
_BFLOAT16: Final = 16
_TYPES: Final[dict[int, np.dtype[Any]]] = {  # TensorProto.DataType
    1: np.dtype("<f4"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
    _BFLOAT16: np.dtype("<u2"),
}


class _Bytes(NamedTuple):
    """Where the elements of a tensor are."""

    location: str  # of the external data; "": in the model's file
    start: int
    end: int | None  # None: the end of the file


def weight_with_nan(path: Path) -> str | None:
    """Return the name of a weight that contains NaN; None: there is none, or the format cannot be read here.

    External data is read beside the model; the caller has checked its locations. Raises OSError.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return next(_with_nan(buffer, path), None)
    except ValueError:  # ONNX Runtime reports what is wrong with the file
        return None


def _with_nan(buffer: Buffer, path: Path) -> Iterator[str]:
    for tensor in () if is_ort_format(buffer) else initializers(buffer):
        kind = number(buffer, tensor.start, tensor.end, _DATA_TYPE) or 0
        for place in _places(buffer, tensor) if kind in _TYPES else ():
            file = path.parent / place.location if place.location else path
            if any(_has_nan(block, kind) for block in _blocks(file, place, _TYPES[kind].itemsize)):
                yield _text(buffer, tensor, _NAME)


def _places(buffer: Buffer, tensor: Field) -> Iterator[_Bytes]:
    """Yield the spans of the elements; numbers that are not packed, and those of 16 bits in varints, are left out."""
    external: dict[str, str] = {}
    for part in length_delimited(buffer, tensor.start, tensor.end):
        if part.number in {_FLOATS, _RAW, _DOUBLES}:
            yield _Bytes("", part.start, part.end)
        elif part.number == _EXTERNAL:
            external[_text(buffer, part, _KEY)] = _text(buffer, part, _VALUE)
    if "location" in external:
        start = int(external.get("offset", 0))
        length = external.get("length")
        yield _Bytes(external["location"], start, None if length is None else start + int(length))


def _blocks(path: Path, place: _Bytes, item: int) -> Iterator[bytes]:
    """Yield the bytes of whole elements."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        end = size if place.end is None else min(place.end, size)
        for start in range(place.start, end, _BLOCK):
            block = os.pread(file.fileno(), min(_BLOCK, end - start), start)
            yield block[: len(block) // item * item]


def _has_nan(block: bytes, kind: int) -> bool:
    values = np.frombuffer(block, _TYPES[kind])
    if kind == _BFLOAT16:
        return bool(np.any(values & 0x7FFF > 0x7F80))  # noqa: PLR2004 - above infinity, without the sign
    return bool(np.isnan(values).any())


def _text(buffer: Buffer, place: Field, field: int) -> str:
    parts = length_delimited(buffer, place.start, place.end)
    found = next((part for part in parts if part.number == field), None)
    return text_of(buffer, found) if found else ""
