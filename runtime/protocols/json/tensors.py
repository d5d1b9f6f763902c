"""JSON values to checked tensors and back, for every JSON protocol.

    body -> load -> a JSON value -> tensor: NumPy's fast path, or lists (shape) and elements (range) -> array

Numbers that JSON does not have: a bare NaN or Infinity is not JSON and is refused; `null` in a float tensor is NaN (a
missing value), in requests and answers; an infinite output is `null` too. A number beyond the range of the input's
element type is refused, and so is a fraction for an integer input: nothing is truncated or wrapped silently. (`1.0` and
`1e2` are whole numbers.)

Every check of a value takes linear time and ends at the first element that does not fit.
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
_FIRST_CUSTOM: Final = 256  # the type numbers of NumPy's own types are below, those of other packages from here on


def load(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a body. Raises `InvalidInput` with the offset of the syntax error."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        got = f"{error.msg} at byte {len(error.doc[: error.pos].encode(errors='replace'))}" if body else "an empty body"
        if body.startswith(_GZIP):
            got = "a gzip-compressed body"
        unknown = b"NaN" in body or b"Infinity" in body
        expected = "a JSON object in UTF-8" + (", with null for NaN and no infinity" if unknown else "")
        raise InvalidInput("body", got=got, expected=expected) from None


def numbers_only(body: bytes, *, keys: int) -> bool:
    """Return whether no value of this JSON is a string, true or false. `keys` is the number of keys of all objects.

    Each string has at least two quotation marks. "true" and "false" contain an e, which few numbers do.
    """
    if body.count(b'"') != 2 * keys:
        return False
    return b"e" not in body or (b"true" not in body and b"false" not in body)


def tensor(
    field: str, value: object, spec: TensorSpec, *, numbers_only: bool = False, after_first: str = ""
) -> np.ndarray:
    """Return the (nested) list, or array, as an array of the input's element type.

    Raises `InvalidInput` with the first element that does not fit, such as `field[0]after_first[3]`. If `numbers_only`,
    `value` has only numbers and null, and NumPy may convert it directly. NumPy converts other values wrongly: true to a
    float, and a thousand strings to a thousand times the size of the longest.
    """
    if numbers_only and (array := _converted(value, spec.dtype)) is not None:
        return array
    place = Place(field, after_first)
    if isinstance(value, np.ndarray) and value.dtype != STRING:  # of a body parsed by `slices`
        return json_elements.fitted(value, spec, place)
    flat, shape = flatten(value, spec, place)
    return json_elements.fitted(json_elements.natural(flat, shape, spec, place), spec, place)


def plain(value: Any) -> Any:  # noqa: ANN401 - an array, or an element of one
    """Return a form that orjson supports: lists for an array of objects, a number for one without axes, or `value`."""
    if isinstance(value, np.ndarray):
        dtype = value.dtype
        if dtype == STRING:
            return _plain_items(value.tolist())
        if dtype.num >= _FIRST_CUSTOM:
            value = value.astype(np.float32 if elements.kind(dtype) == "f" else np.int8)
        return value if value.ndim else plain(value[()])
    if isinstance(value, np.generic):
        return _plain_number(value)
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def _plain_number(value: np.generic) -> Any:  # noqa: ANN401 - a value that orjson supports
    """Convert types that orjson does not support: ONNX Runtime's own int64, and the types of ml_dtypes."""
    if isinstance(value, np.integer):
        return int(value)
    return value if value.dtype.num < _FIRST_CUSTOM else plain(np.asarray(value))


def dump(document: object) -> bytes:
    """Serialize a document; numbers of arrays have the shortest text that parses to the same number of their type."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _plain_items(items: Any) -> Any:  # noqa: ANN401 - (nested) lists of strings, or of the items of a sequence
    if not isinstance(items, list):
        return plain(items)
    if items and isinstance(items[0], str):  # a tensor of strings has only strings
        return items
    return [_plain_items(each) for each in items]


def _converted(value: Any, dtype: np.dtype[Any]) -> np.ndarray | None:  # noqa: ANN401 - any JSON value
    """Convert a list of numbers with NumPy; None if the exact check must decide.

    The square root of the sum of squares is at least the largest absolute value. It is the cheapest bound.
    """
    try:
        if (largest := _LARGEST.get(dtype)) is None:
            return _converted_integers(value, dtype)
        if type(value) is list and value and type(value[0]) is not list:
            return np.array(value, dtype) if math.hypot(*value) <= largest else None
    except (ValueError, TypeError, OverflowError):  # not only numbers, or lists of unequal length
        pass
    return _converted_floats(value, dtype, largest) if largest else None


def _converted_floats(value: Any, dtype: np.dtype[Any], largest: float) -> np.ndarray | None:  # noqa: ANN401 - JSON
    """Convert lists of lists, and numbers with null."""
    try:
        array = np.array(value, _FLOAT64)
    except (ValueError, TypeError, OverflowError):
        return None
    squares = np.vdot(array, array)  # np.dot would warn about the overflow that this detects
    if squares != squares:  # noqa: PLR0124 - NaN, because of a null
        return array.astype(dtype) if np.fmax.reduce(np.abs(array), axis=None) <= largest else None
    return array.astype(dtype) if squares <= largest * largest else None


def _converted_integers(value: Any, dtype: np.dtype[Any]) -> np.ndarray | None:  # noqa: ANN401 - any JSON value
    array = np.array(value)
    if array.dtype.kind != "i" or dtype.kind not in "iu":
        return None
    if array.dtype == dtype:
        return array
    limits = np.iinfo(dtype)
    return array.astype(dtype) if array.min() >= limits.min and array.max() <= limits.max else None
