"""NumPy's file format for one array, as `numpy.save` writes it; never with pickled objects. Pure.

The header is looked at before anything is made of it: it states a shape and an element type, and the bytes behind it
have to be as many as these take. Source: NumPy, numpy.lib.format (NEP 1).
"""

import math
from io import BytesIO
from typing import Final

import numpy as np

from runtime.errors import InvalidInput

MAGIC: Final = b"\x93NUMPY"
_HEAD: Final = 64 * 1024  # bytes that are looked at for the header
_LONGEST: Final = 10_000  # bytes of a header; NumPy's own limit
_KINDS: Final = "biufUS"  # NumPy's kinds of elements: no objects, records, dates or complex numbers


def read(field: str, data: memoryview) -> np.ndarray:
    """The array: a read-only view of `data`, in the byte order that it came in.

    Raises `InvalidInput` where `data` is no such file, or holds objects, records, dates or complex numbers.
    """
    head = BytesIO(data[:_HEAD])
    shape, fortran, dtype = _header(field, head)
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise InvalidInput(field, got=f"a NumPy array of {dtype}", expected="numbers, booleans or strings")
    content = data[head.tell() :]
    needed = math.prod(shape) * dtype.itemsize
    if len(content) != needed:
        got = f"{len(content)} bytes behind the header of a NumPy array"
        raise InvalidInput(field, got=got, expected=f"{needed}, for {dtype} in shape {list(shape)}")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _header(field: str, head: BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(head)
        if version not in {(1, 0), (2, 0)}:  # 3.0 differs in the names of records alone
            raise ValueError(f"version {version[0]}.{version[1]} of the format")  # noqa: TRY301 - told below, as NumPy's
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = reader(head, max_header_size=_LONGEST)
    except Exception as error:  # noqa: BLE001 - a header is Python text, which fails in many ways
        got = f"a NumPy array that cannot be read ({_short(error)})"
        raise InvalidInput(field, got=got, expected="what numpy.save writes") from None
    if any(type(size) is not int or size < 0 for size in shape):  # NumPy's reader takes True for a size
        raise InvalidInput(field, got=f"a NumPy array of shape {list(shape)}", expected="sizes from 0")
    return shape, fortran, dtype


def _short(error: Exception) -> str:
    text = str(error).partition("\n")[0].encode("ascii", "backslashreplace").decode()
    return text[:120] or type(error).__name__
