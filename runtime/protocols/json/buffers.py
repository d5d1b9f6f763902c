"""Numbers of a large JSON list in one flat NumPy buffer, instead of one Python object per number.

The element type is int64; uint64 if a number is beyond int64; float64 if a number has a fraction or an exponent, or is
null; bool for true and false. If no single type represents all values exactly, they stay Python objects. There is one
exception: in a list with a fraction or a null, integers beyond 2**53 are rounded to float64, because no integer input
accepts such a list. JSON has no NaN, so a NaN in an array means null.
"""

import math
from collections.abc import Generator, Iterator
from typing import Any, Final, cast

import numpy as np

_EXACT: Final = 2**53  # float64 represents every integer up to here
_INT64: Final = np.dtype(np.int64)
_UINT64: Final = np.dtype(np.uint64)
_FLOAT64: Final = np.dtype(np.float64)
_BOOL: Final = np.dtype(np.bool_)
_MIN_BYTES: Final = 2  # of a number and its comma
_BLOCK: Final = 65536  # elements that are converted in one step


def regular(values: list[Any], text: bytes) -> np.ndarray | None:
    """Return the values as an array of any rank, or None if they do not have one shape and one exact type.

    `text` is the JSON of the values: to search it for characters is faster than to check the type of each value.
    """
    if b'"' in text or b"{" in text:
        return None
    of_bool = b"t" in text or b"f" in text
    of_floats = not of_bool and (b"." in text or b"e" in text or b"E" in text or b"n" in text)
    try:
        array = np.array(values, np.float64) if of_floats else np.array(values)
    except (TypeError, ValueError):  # lists of unequal length, or null among lists
        return None
    if of_bool:
        return array if array.dtype == _BOOL else None
    return array if array.dtype != _FLOAT64 or _is_exact(array, values) else _unsigned(values)


class Numbers:
    """A flat buffer that grows at its end. `room` is the number of JSON bytes that can still contain numbers.

    The elements keep the type in which they were added until the list ends. One 1.5 after ten million integers changes
    the type of all, and this conversion must be done in steps.
    """

    __slots__ = ("_dtype", "_fractional", "_limits", "_memory", "_room", "_runs", "size")

    def __init__(self, room: int) -> None:
        self.size = 0
        self._room = room
        self._memory = np.empty(0, _INT64)
        self._dtype = _INT64
        self._runs: list[tuple[int, np.dtype[Any]]] = [(0, _INT64)]  # the index at which elements of a type begin
        self._fractional = False  # whether an element has a fraction or is null
        self._limits = (0, 0)  # the smallest and the largest of 0 and all integers

    def append(self, array: np.ndarray) -> bool:
        """Add the elements. If no element type represents all of them exactly, add nothing and return False."""
        limits = _joined(self._limits, array)
        fractional = self._fractional or (array.dtype == _FLOAT64 and _is_fractional(array))
        if not self.size:
            # The buffer has room for all numbers from the start: only pages that are written to use memory.
            self._memory = np.empty(self._room // _MIN_BYTES + 1, _BOOL if array.dtype == _BOOL else _INT64)
            self._runs = [(0, array.dtype)]
        exact = fractional or -_EXACT <= limits[0] <= limits[1] <= _EXACT
        dtype = _common(self._dtype, array.dtype, exact=exact, signed=limits[0] < 0) if self.size else array.dtype
        if dtype is None:
            return False
        if self._runs[-1][1] != array.dtype:
            self._runs.append((self.size, array.dtype))
        end = self.size + array.size
        self._memory.view(array.dtype)[self.size : end] = array.reshape(-1)
        self.size, self._dtype, self._limits, self._fractional = end, dtype, limits, fractional
        return True

    def finish(self, shape: tuple[int, ...]) -> Generator[None, None, np.ndarray]:
        """Return the array of all elements, in steps; free the rest of the buffer."""
        yield from self._unify()
        self._memory.resize(self.size, refcheck=False)  # there is no other view of it
        return self._memory.view(self._dtype).reshape(shape)

    def take_back(self, shape: tuple[int, ...]) -> list[Any]:
        """Remove the last elements, and return them as the lists that orjson would return."""
        for _ in self._unify():
            pass
        begin = self.size - math.prod(shape)
        array = self._memory.view(self._dtype)[begin : self.size].reshape(shape)
        self.size = begin
        objects = array.astype(object)
        if self._dtype == _FLOAT64:
            objects[np.isnan(array)] = None
        return cast("list[Any]", objects.tolist())

    def _unify(self) -> Iterator[None]:
        """Convert all elements to one type in place. Every type has eight bytes, except for bool, which never mixes."""
        ends = [begin for begin, _ in self._runs[1:]] + [self.size]
        for (start, dtype), end in zip(self._runs, ends, strict=True):
            if dtype == self._dtype:
                continue
            for begin in range(start, end, _BLOCK):
                block = slice(begin, min(begin + _BLOCK, end))
                self._memory.view(self._dtype)[block] = self._memory.view(dtype)[block].astype(self._dtype)
                yield
        self._runs[:] = [(0, self._dtype)]


def _joined(limits: tuple[int, int], array: np.ndarray) -> tuple[int, int]:
    """Return the limits, extended by the integers of the array."""
    if array.dtype.kind not in "iu" or not array.size:
        return limits
    return min(limits[0], int(array.min())), max(limits[1], int(array.max()))


def _common(ours: np.dtype[Any], theirs: np.dtype[Any], *, exact: bool, signed: bool) -> np.dtype[Any] | None:
    """Return the element type for both, or None. `exact`: all integers are exact in float64.

    `signed`: one is negative.
    """
    if ours == theirs:
        return ours
    if _BOOL in (ours, theirs):
        return None
    if _FLOAT64 in (ours, theirs):
        return _FLOAT64 if exact else None
    return None if signed else _UINT64


def _is_fractional(array: np.ndarray) -> bool:
    return bool((array != np.trunc(array)).any())  # NaN is not equal to itself


def _is_exact(array: np.ndarray, values: list[Any]) -> bool:
    """Return whether no integer of the values was rounded to a float, or the values have a fraction or a null."""
    large = np.abs(array) >= _EXACT
    if not large.any() or _is_fractional(array):
        return True
    return all(isinstance(each, float) or abs(each) <= _EXACT for each in np.array(values, object)[large])


def _unsigned(values: list[Any]) -> np.ndarray | None:
    """Return the values as uint64 if all are such integers, otherwise None: NumPy converts [1, 2**63] to floats."""
    objects = np.array(values, object)
    if not all(isinstance(each, int) and each >= 0 for each in objects.flat):
        return None
    return objects.astype(_UINT64)
