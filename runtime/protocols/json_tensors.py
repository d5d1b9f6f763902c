"""Plain JSON values to checked tensors and back: what every JSON protocol here shares.

The policy for numbers that JSON does not have: a bare NaN or Infinity is not JSON and is refused; `null` in a float
tensor is NaN (a missing value), both ways; an infinite output is `null` too. A number beyond the range of the input's
element type is refused, and so is a fraction for an integer input: nothing is rounded or wrapped silently.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import orjson

from runtime.errors import InvalidInput
from runtime.model.signature import STRING, TensorSpec

_SHOWN: Final = 60  # characters of a value that an error repeats
_DEEPEST: Final = 64  # NumPy's own limit
_KINDS: Final = {
    "f": "a number or null",
    "i": "a whole number",
    "u": "a whole number",
    "b": "true or false",
    "O": "a string",
}


def load(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a body. Raises `InvalidInput` saying where it stops being JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = (
            f"{error.msg} at byte {len(error.doc[: error.pos].encode(errors='replace'))}" if body else "an empty body"
        )
        if body.startswith(_GZIP):
            where = "a gzip-compressed body"
        unknown = b"NaN" in body or b"Infinity" in body
        expected = "a JSON object in UTF-8" + (", with null for NaN and no infinity" if unknown else "")
        raise InvalidInput("body", got=where, expected=expected) from None


def numbers_only(body: bytes) -> bool:
    """Whether all values of this JSON are numbers, in lists and objects: no string, true, false or null among them."""
    return _KEYS.fullmatch(body.translate(None, _NUMERIC)) is not None


def tensor(field: str, value: object, spec: TensorSpec, *, numbers_only: bool = False) -> np.ndarray:
    """The (nested) list as an array of the input's element type. Raises `InvalidInput` naming the first bad element.

    `numbers_only` says that `value` is known to hold nothing else. NumPy may then look at it directly; of other values
    it makes what they are not: a float of true, and of a thousand strings the room of the longest a thousand times.
    """
    array = _quick(value, spec.dtype) if numbers_only else None
    if array is None:
        array = _exact(value, spec.dtype)
    if array is None:
        raise _explain(field, value, spec)
    return array


def plain(value: Any) -> Any:  # noqa: ANN401 - an array, or an element of one
    """What orjson takes for it: itself, or lists where it is an array of objects, or a number where it has no axis."""
    if isinstance(value, np.integer):  # orjson knows some of NumPy's whole numbers, and not ONNX Runtime's int64
        return int(value)
    if not isinstance(value, np.ndarray):
        return value
    return value.tolist() if value.dtype.kind == "O" or not value.ndim else value


def dump(document: object) -> bytes:
    """Serialize; arrays are written in the shortest form that reads back as the same element type."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


_GZIP: Final = b"\x1f\x8b"
_NUMERIC: Final = b"0123456789+-.eE,[] \t\r\n"
_KEYS: Final = re.compile(rb'(?:[{}]|"[^"\\]*":)*')
_FLOAT64: Final = np.dtype(np.float64)
_FLOAT32: Final = np.dtype(np.float32)
_WIDER_THAN_INT64: Final = (_FLOAT32, _FLOAT64)
_SQUARED: Final = {  # of an element type: its largest number, squared
    np.dtype(each): float(np.finfo(each).max) ** 2 for each in (np.float16, np.float32)
} | {_FLOAT64: math.inf}


def _quick(value: object, dtype: np.dtype[Any]) -> np.ndarray | None:
    """What NumPy makes of a list of numbers, or None where only the exact look can tell."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError):  # lists of unequal length
        return None
    if array.dtype is _FLOAT64 and dtype.kind == "f":
        # The cheapest bound on all elements. np.dot would report the overflow that it is asked to find.
        return array.astype(dtype) if np.vdot(array, array) <= _SQUARED[dtype] else None
    if array.dtype.kind == "i" and dtype in _WIDER_THAN_INT64:
        return array.astype(dtype)
    if array.dtype.kind == "i" and dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        return array.astype(dtype) if array.min() >= limits.min and array.max() <= limits.max else None
    return None


def _exact(value: object, dtype: np.dtype[Any]) -> np.ndarray | None:
    """Look at every element; None where one does not fit."""
    try:
        objects = np.array(value, dtype=object)
    except ValueError:  # lists that NumPy cannot bring into one shape
        return None
    fits = _fits(dtype)
    if not all(fits(each) for each in objects.ravel().tolist()):
        return None
    return objects if dtype == STRING else objects.astype(dtype)


def _explain(field: str, value: object, spec: TensorSpec) -> InvalidInput:
    """Find the first element that does not fit; slow and exact, on the way to an error only."""
    expected = f"{_KINDS[spec.dtype.kind]} ({spec.describe()})"
    depth = _depth(value)
    if depth > _DEEPEST:
        return InvalidInput(field, got=f"lists {depth} deep", expected=expected)
    found = _first_misfit(field, value, depth, _fits(spec.dtype))
    path, got = found or (field, "no elements")
    if got[0] in "-0123456789":  # a number, so that its size or its fraction must be wrong
        expected = f"{_KINDS[spec.dtype.kind]}{_range(spec.dtype)} ({spec.describe()})"
    return InvalidInput(path, got=got, expected=expected)


def _range(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return f" within ±{np.finfo(dtype).max:.3g}"
    if dtype.kind in "iu":
        return f" from {np.iinfo(dtype).min} to {np.iinfo(dtype).max}"
    return ""


def _depth(value: object) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def _first_misfit(path: str, value: object, depth: int, fits: Callable[[object], bool]) -> tuple[str, str] | None:
    if not isinstance(value, list):
        return None if depth == 0 and fits(value) else (path, show(value))
    if depth == 0:
        return path, "a list"
    lengths = {len(each) for each in value if isinstance(each, list)}
    for index, each in enumerate(value):
        if found := _first_misfit(f"{path}[{index}]", each, depth - 1, fits):
            return found
        if len(lengths) > 1 and isinstance(each, list) and len(each) != len(value[0]):
            return f"{path}[{index}]", f"{len(each)} elements where {path}[0] has {len(value[0])}"
    return None


def _fits(dtype: np.dtype[Any]) -> Callable[[object], bool]:
    if dtype == STRING:
        return lambda each: isinstance(each, str)
    if dtype.kind == "b":
        return lambda each: isinstance(each, bool)
    if dtype.kind == "f":
        beyond = _beyond(dtype)
        return lambda each: (
            each is None or (isinstance(each, (int, float)) and not isinstance(each, bool) and abs(each) < beyond)
        )
    limits = np.iinfo(dtype)
    return lambda each: isinstance(each, int) and not isinstance(each, bool) and limits.min <= each <= limits.max


def _beyond(dtype: np.dtype[Any]) -> float | int:
    """The least number that is rounded to infinity: half a step above the largest of the element type."""
    largest = np.finfo(dtype).max
    step = int(largest) - int(np.nextafter(largest, dtype.type(0)))
    return int(largest) + step // 2


def show(value: object) -> str:
    """The value as JSON, short enough for an error; what has no JSON form as Python has it."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    try:
        text = orjson.dumps(value, default=repr).decode()
    except TypeError:  # beyond what JSON holds, from an author's own code: a huge number, half a surrogate pair
        text = f"a Python {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
