"""Numbers of a large JSON list, kept in one flat NumPy buffer instead of one Python object each.

The element types are int64, uint64 where a number is beyond int64, float64 where one has a fraction or an exponent or
is null, and bool for true and false. What no single type holds exactly is declined, and stays Python objects. Only
beside a fraction or a null an integer beyond 2**53 is rounded to float64: no input of integers takes such a list.
JSON has no NaN, so a NaN in an array is a null.
"""

import math
from collections.abc import Generator, Iterator
from typing import Any, Final, cast

import numpy as np

_EXACT: Final = 2**53  # float64 holds every integer up to here
_INT64: Final = np.dtype(np.int64)
_UINT64: Final = np.dtype(np.uint64)
_FLOAT64: Final = np.dtype(np.float64)
_BOOL: Final = np.dtype(np.bool_)
_SHORTEST: Final = 2  # bytes of a number and its comma
_BLOCK: Final = 65536  # elements that are converted at once


def regular(values: list[Any], text: bytes) -> np.ndarray | None:
    """The values as an array of any rank, or None where they are not of one shape and one exact type.

    `text` is the JSON that they come from; its characters tell the types sooner than the values do.
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
    """A flat buffer that grows at its end. `room` is the number of JSON bytes that can still bring numbers.

    Elements lie in the buffer in the type that they came in, until all are there: one 1.5 behind ten million integers
    changes the type of all, and that must be done in steps.
    """

    __slots__ = ("_dtype", "_fractional", "_limits", "_memory", "_room", "_runs", "size")

    def __init__(self, room: int) -> None:
        self.size = 0
        self._room = room
        self._memory = np.empty(0, _INT64)
        self._dtype = _INT64
        self._runs: list[tuple[int, np.dtype[Any]]] = [(0, _INT64)]  # where elements of another type begin
        self._fractional = False  # whether there is a fraction or a null
        self._limits = (0, 0)  # the least and the greatest integer, with 0 among them

    def append(self, array: np.ndarray) -> bool:
        """Add the elements; False, and nothing added, where one element type cannot hold all of them exactly."""
        limits = _joined(self._limits, array)
        fractional = self._fractional or (array.dtype == _FLOAT64 and _is_fractional(array))
        if not self.size:
            # Only the pages that numbers are written to take memory, so the buffer has room for all from the start.
            self._memory = np.empty(self._room // _SHORTEST + 1, _BOOL if array.dtype == _BOOL else _INT64)
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
        """The array of all elements, in steps; the room that is left is given back."""
        yield from self._unify()
        self._memory.resize(self.size, refcheck=False)  # no view of it is left
        return self._memory.view(self._dtype).reshape(shape)

    def take_back(self, shape: tuple[int, ...]) -> list[Any]:
        """Remove the last elements, and give them as the lists that orjson makes of them."""
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
        """Bring all elements to the one type, in place: all types but bool, which stays alone, have eight bytes."""
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
    """The least and the greatest integer so far, with those of the array."""
    if array.dtype.kind not in "iu" or not array.size:
        return limits
    return min(limits[0], int(array.min())), max(limits[1], int(array.max()))


def _common(ours: np.dtype[Any], theirs: np.dtype[Any], *, exact: bool, signed: bool) -> np.dtype[Any] | None:
    """The element type that holds both: whether their integers are `exact` in float64, and some of them negative."""
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
    """Whether no integer among the values was rounded when it became a float, or none need be exact."""
    large = np.abs(array) >= _EXACT
    if not large.any() or _is_fractional(array):
        return True
    return all(isinstance(each, float) or abs(each) <= _EXACT for each in np.array(values, object)[large])


def _unsigned(values: list[Any]) -> np.ndarray | None:
    """The values as uint64, where each is such an integer: NumPy makes floats of [1, 2**63]."""
    objects = np.array(values, object)
    if not all(isinstance(each, int) and each >= 0 for each in objects.flat):
        return None
    return objects.astype(_UINT64)
