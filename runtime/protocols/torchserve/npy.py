"""NumPy's file format for one array, as `numpy.save` writes it, without pickled objects. Pure.

The header states a shape and an element type. They are checked before an array is made: the number of bytes after the
header must be the size of that array. Source: NumPy, numpy.lib.format (NEP 1).
"""

import math
from io import BytesIO
from typing import Final

import numpy as np

from runtime.errors import InvalidInput

MAGIC: Final = b"\x93NUMPY"
_HEAD: Final = 64 * 1024  # bytes that are parsed for the header
_MAX_HEADER: Final = 10_000  # bytes; NumPy's own limit
_KINDS: Final = "biufUS"  # NumPy's kinds of elements: no objects, records, dates or complex numbers


def read(field: str, data: memoryview) -> np.ndarray:
    """Return the array: a read-only view of `data`, in the byte order of the file.

    Raises `InvalidInput` if `data` is not such a file, or has objects, records, dates or complex numbers.
    """
    head = BytesIO(data[:_HEAD])
    shape, fortran, dtype = _header(field, head)
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise InvalidInput(field, got=f"a NumPy array of {dtype}", expected="numbers, booleans or strings")
    content = data[head.tell() :]
    needed = math.prod(shape) * dtype.itemsize
    if len(content) != needed:
        got = f"{len(content)} bytes after the header of a NumPy array"
        raise InvalidInput(field, got=got, expected=f"{needed}, for {dtype} in shape {list(shape)}")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _header(field: str, head: BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(head)
        if version not in {(1, 0), (2, 0)}:  # 3.0 differs only in the names of records
            raise ValueError(f"version {version[0]}.{version[1]} of the format")  # noqa: TRY301 - handled with NumPy's errors
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = reader(head, max_header_size=_MAX_HEADER)
    except Exception as error:  # noqa: BLE001 - a header is Python text; parsing it can raise many errors
        got = f"an invalid NumPy array ({_short(error)})"
        raise InvalidInput(field, got=got, expected="a file that numpy.save writes") from None
    if any(type(size) is not int or size < 0 for size in shape):  # NumPy's parser accepts True as a size
        raise InvalidInput(field, got=f"a NumPy array of shape {list(shape)}", expected="sizes from 0")
    return shape, fortran, dtype


def _short(error: Exception) -> str:
    text = str(error).partition("\n")[0].encode("ascii", "backslashreplace").decode()
    return text[:120] or type(error).__name__
