"""Plain JSON values to checked tensors and back: what every JSON protocol here shares.

    body -> load -> a JSON value -> tensor: NumPy's quick look, or lists (shape) and elements (range) -> array

The policy for numbers that JSON does not have: a bare NaN or Infinity is not JSON and is refused; `null` in a float
tensor is NaN (a missing value), both ways; an infinite output is `null` too. A number beyond the range of the input's
element type is refused, and so is a fraction for an integer input: nothing is rounded or wrapped silently. (`1.0` and
`1e2` are whole numbers.)

Every look at a value is linear and ends at the first element that does not fit.
"""

import math
from typing import Any, Final

import numpy as np
import orjson

from runtime.errors import InvalidInput
from runtime.model import elements
from runtime.protocols.json import elements as json_elements
from runtime.protocols.json.lists import Place, flatten
from runtime.tensors import STRING, TensorSpec

_GZIP: Final = b"\x1f\x8b"
_FLOAT64: Final = np.dtype(np.float64)
_LARGEST: Final = {np.dtype(each): float(np.finfo(each).max) for each in (np.float16, np.float32, np.float64)}
_FIRST_OF_OTHERS: Final = 256  # NumPy's own types have lower numbers than those that it has from elsewhere


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


def numbers_only(body: bytes, *, keys: int) -> bool:
    """Whether no value of this JSON is a string, true or false, where its objects have that many keys.

    Each string has two quotation marks or more. "true" and "false" have an e, which few numbers have.
    """
    if body.count(b'"') != 2 * keys:
        return False
    return b"e" not in body or (b"true" not in body and b"false" not in body)


def tensor(
    field: str, value: object, spec: TensorSpec, *, numbers_only: bool = False, behind_first: str = ""
) -> np.ndarray:
    """The (nested) list, or array, as an array of the input's element type.

    Raises `InvalidInput` naming the first element that does not fit, such as `field[0]behind_first[3]`. `numbers_only`
    says that `value` is known to hold nothing else (or null). NumPy may then look at it directly; of other values it
    makes what they are not: a float of true, and of a thousand strings the room of the longest a thousand times.
    """
    if numbers_only and (array := _quick(value, spec.dtype)) is not None:
        return array
    place = Place(field, behind_first)
    if isinstance(value, np.ndarray) and value.dtype != STRING:  # of a body that was parsed in slices
        return json_elements.fitted(value, spec, place)
    flat, shape = flatten(value, spec, place)
    return json_elements.fitted(json_elements.natural(flat, shape, spec, place), spec, place)


def plain(value: Any) -> Any:  # noqa: ANN401 - an array, or an element of one
    """What orjson takes for it: itself, or lists where it is an array of objects, or a number where it has no axis."""
    if isinstance(value, np.ndarray):
        dtype = value.dtype
        if dtype == STRING:
            return _plain_items(value.tolist())
        if dtype.num >= _FIRST_OF_OTHERS:
            value = value.astype(np.float32 if elements.kind(dtype) == "f" else np.int8)
        return value if value.ndim else plain(value[()])
    if isinstance(value, np.generic):
        return _plain_number(value)
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def _plain_number(value: np.generic) -> Any:  # noqa: ANN401 - what orjson takes
    """Orjson knows some of NumPy's whole numbers, and not ONNX Runtime's int64, nor what ml_dtypes adds."""
    if isinstance(value, np.integer):
        return int(value)
    return value if value.dtype.num < _FIRST_OF_OTHERS else plain(np.asarray(value))


def dump(document: object) -> bytes:
    """Serialize; arrays are written in the shortest form that reads back as the same element type."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _plain_items(items: Any) -> Any:  # noqa: ANN401 - (nested) lists of strings, or of what a sequence holds
    if not isinstance(items, list):
        return plain(items)
    if items and isinstance(items[0], str):  # a tensor of strings holds nothing else
        return items
    return [_plain_items(each) for each in items]


def _quick(value: Any, dtype: np.dtype[Any]) -> np.ndarray | None:  # noqa: ANN401 - any JSON value
    """What NumPy makes of a list of numbers, or None where only the exact look can tell.

    The root of the squares' sum is at least the largest of the numbers, and the cheapest bound on all of them.
    """
    try:
        if (largest := _LARGEST.get(dtype)) is None:
            return _quick_whole(value, dtype)
        if type(value) is list and value and type(value[0]) is not list:
            return np.array(value, dtype) if math.hypot(*value) <= largest else None
    except (ValueError, TypeError, OverflowError):  # not numbers alone, or lists of unequal length
        pass
    return _quick_floats(value, dtype, largest) if largest else None


def _quick_floats(value: Any, dtype: np.dtype[Any], largest: float) -> np.ndarray | None:  # noqa: ANN401 - any JSON value
    """Lists of lists, and numbers with null among them."""
    try:
        array = np.array(value, _FLOAT64)
    except (ValueError, TypeError, OverflowError):
        return None
    squares = np.vdot(array, array)  # np.dot would report the overflow that it is asked to find
    if squares != squares:  # noqa: PLR0124 - NaN, as there is a null
        return array.astype(dtype) if np.fmax.reduce(np.abs(array), axis=None) <= largest else None
    return array.astype(dtype) if squares <= largest * largest else None


def _quick_whole(value: Any, dtype: np.dtype[Any]) -> np.ndarray | None:  # noqa: ANN401 - any JSON value
    array = np.array(value)
    if array.dtype.kind != "i" or dtype.kind not in "iu":
        return None
    if array.dtype == dtype:
        return array
    limits = np.iinfo(dtype)
    return array.astype(dtype) if array.min() >= limits.min and array.max() <= limits.max else None
