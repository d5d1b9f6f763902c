"""Plain JSON values to checked tensors and back: what every JSON protocol here shares.

The policy for numbers that JSON does not have: a bare NaN or Infinity is not JSON and is refused; `null` in a float
tensor is NaN (a missing value), both ways; an infinite output is `null` too. A number beyond the range of the input's
element type is refused, and so is a fraction for an integer input: nothing is rounded or wrapped silently.
"""

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
        raise InvalidInput("body", got=where, expected="a JSON object in UTF-8") from None


def tensor(field: str, value: object, spec: TensorSpec) -> np.ndarray:
    """The (nested) list as an array of the input's element type. Raises `InvalidInput` naming the first bad element."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError):  # lists of unequal length
        array = _REFUSED
    if array.dtype is _FLOAT64 and spec.dtype is _FLOAT32:  # by far the most frequent case, without a further call
        flat = array if array.ndim == 1 else array.ravel()
        if flat.dot(flat) <= _FLOAT32_SQUARED:
            return array.astype(_FLOAT32)
    converted = _CONVERT[spec.dtype.kind](array, value, spec.dtype)
    if converted is None:
        raise _explain(field, value, spec)
    return converted


def plain(value: Any) -> Any:  # noqa: ANN401 - an array, or an element of one
    """What orjson takes for it: itself, or lists where it is an array of objects, or a number where it has no axis."""
    if not isinstance(value, np.ndarray):
        return value
    return value.tolist() if value.dtype.kind == "O" or not value.ndim else value


def dump(document: object) -> bytes:
    """Serialize; arrays are written in the shortest form that reads back as the same element type."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


_LARGEST: Final = {  # of an element type's size: its largest number, and that squared
    np.dtype(each).itemsize: (float(np.finfo(each).max), float(np.finfo(each).max) * float(np.finfo(each).max))
    for each in (np.float16, np.float32, np.float64)
}
_FLOAT64: Final = np.dtype(np.float64)
_FLOAT32: Final = np.dtype(np.float32)
_FLOAT32_SQUARED: Final = _LARGEST[4][1]
_REFUSED: Final = np.empty(0, dtype="V1")
_Converted = np.ndarray | None


def _floats(array: np.ndarray, value: object, dtype: np.dtype[Any]) -> _Converted:
    kind = array.dtype.kind
    if kind != "f":
        array = _with_missing(value) if kind == "O" else array
        if array.dtype.kind not in "fiu":
            return None
        array = array.astype(np.float64)
    largest, squared = _LARGEST[dtype.itemsize]
    flat = array if array.ndim == 1 else array.ravel()
    # One dot product is the cheapest bound on all elements; only where it says nothing does the exact look follow.
    if not flat.dot(flat) <= squared and (np.abs(array) > largest).any():
        return None
    return array.astype(dtype)


def _with_missing(value: object) -> np.ndarray:
    """The list with null as NaN, where all else is a number."""
    array = np.array(value, dtype=object)
    numbers = all(
        each is None or (isinstance(each, (int, float)) and not isinstance(each, bool)) for each in array.flat
    )
    try:
        return array.astype(np.float64) if numbers else _REFUSED
    except OverflowError:  # a whole number beyond every float
        return _REFUSED


def _integers(array: np.ndarray, value: object, dtype: np.dtype[Any]) -> _Converted:
    if array.dtype.kind == "f" and array.size:  # NumPy makes floats of whole numbers on both sides of 2**63
        array = np.array(value, dtype=object)
        if not all(type(each) is int for each in array.flat):
            return None
    elif array.dtype.kind not in "iu":
        return None
    limits = np.iinfo(dtype)
    if array.size and (int(array.min()) < limits.min or int(array.max()) > limits.max):
        return None
    return array.astype(dtype)


def _booleans(array: np.ndarray, _: object, __: np.dtype[Any]) -> _Converted:
    return array if array.dtype.kind == "b" else None


def _strings(array: np.ndarray, value: object, _: np.dtype[Any]) -> _Converted:
    if array.dtype.kind != "U":
        return None
    objects = np.array(value, dtype=object)
    return objects if all(isinstance(each, str) for each in objects.flat) else None


_CONVERT: Final[dict[str, Callable[[np.ndarray, object, np.dtype[Any]], _Converted]]] = {
    "f": _floats,
    "i": _integers,
    "u": _integers,
    "b": _booleans,
    "O": _strings,
}


def _explain(field: str, value: object, spec: TensorSpec) -> InvalidInput:
    """Find the first element that does not fit; slow and exact, on the way to an error only."""
    expected = f"{_KINDS[spec.dtype.kind]} ({spec.describe()})"
    depth = _depth(value)
    if depth > _DEEPEST:
        return InvalidInput(field, got=f"lists {depth} deep", expected=expected)
    found = _first_misfit(field, value, depth, _fits(spec.dtype))
    path, got = found or (field, "no elements")
    return InvalidInput(path, got=got, expected=expected)


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
        largest = float(np.finfo(dtype).max)
        return lambda each: (
            each is None or (isinstance(each, (int, float)) and not isinstance(each, bool) and abs(each) <= largest)
        )
    limits = np.iinfo(dtype)
    return lambda each: isinstance(each, int) and not isinstance(each, bool) and limits.min <= each <= limits.max


def show(value: object) -> str:
    """The value as JSON, short enough for an error; what has no JSON form as Python has it."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    try:
        text = orjson.dumps(value, default=repr).decode()
    except TypeError:  # beyond what JSON holds, from an author's own code: a huge number, half a surrogate pair
        text = f"a Python {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
