"""A JSON value to the tensor of one input, by TensorFlow Serving's rules.

A float accepts every number; a number beyond the type's range becomes infinity. An integer accepts only integer tokens
(not 1.0) within the range of its type. A bool accepts true and false. A string accepts strings and objects
{"b64": "..."}. null is never valid. All lists at one level must have the same length.

NumPy converts two kinds of values at once: values of a `clean` body, which has no strings, true, false and null, and
arrays, which a large body has instead of lists of numbers. All other values are checked one by one, up to the first
that does not fit.

Source: tensorflow_serving/util/json_tensor.cc, FillTensorProto and AddValueToTensor.
"""

import binascii
from base64 import b64decode
from typing import Any, Final

import numpy as np

from runtime.errors import InvalidInput, RefusedInput
from runtime.model import elements
from runtime.protocols.tensorflow_serving.json_body import special_numbers
from runtime.protocols.tensorflow_serving.json_text import malformed, misfit
from runtime.protocols.tensorflow_serving.signature import data_type
from runtime.tensors import STRING, TensorSpec

_MAX_DEPTH: Final = 64  # NumPy's limit of axes
_FLOAT64: Final = np.dtype(np.float64)
_TYPES: Final[dict[str, frozenset[type]]] = {
    "f": frozenset((float, int)),
    "i": frozenset((int,)),
    "u": frozenset((int,)),
    "b": frozenset((bool,)),
    "O": frozenset((str,)),
}
_BASE64: Final = "b64"


def is_base64(value: object) -> bool:
    """Return whether a value is an object with bytes in base64 and no other member."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_BASE64), str)


def is_clean(body: bytes, *, keys: int) -> bool:
    """Return whether the JSON has no strings except its `keys`, and no true, false or null."""
    if body.count(b'"') != 2 * keys:
        return False
    if b"u" not in body and b"l" not in body:  # each of the three words contains one of these letters
        return True
    return not (b"true" in body or b"false" in body or b"null" in body)


def tensor(value: Any, spec: TensorSpec, *, clean: bool, special: bool) -> np.ndarray:  # noqa: ANN401 - any JSON value
    """Return the value as an array of the input's element type, in the value's own shape.

    `special` is True if the body has placeholders for NaN and infinity; see `json_body`.
    Raises `RefusedInput` at the first value that does not fit, and `InvalidInput` beyond 64 levels of lists and for
    base64 that is not UTF-8.
    """
    if isinstance(value, np.ndarray):
        return _fitted(value, spec, special=special)
    if clean and isinstance(value, list) and (array := _quick(value, spec.dtype, special=special)) is not None:
        return array
    flat, shape = _Walk(spec, value).run()
    return _fitted(_natural(flat, spec), spec, special=special).reshape(shape)


def _quick(value: list[Any], dtype: np.dtype[Any], *, special: bool) -> np.ndarray | None:
    """Convert (nested) lists of numbers with NumPy; None if `_Walk` has to check the values one by one."""
    kind = elements.kind(dtype)
    try:
        if kind == "f":
            return _floats(np.array(value, _FLOAT64), dtype, special=special)
        array = np.array(value)
    except (ValueError, OverflowError, TypeError):  # lists of unequal length or depth, or objects
        return None
    return array.astype(dtype, copy=False) if kind in "iu" and _fits(array, dtype) else None


def _floats(array: np.ndarray, dtype: np.dtype[Any], *, special: bool) -> np.ndarray:
    if special:
        array = special_numbers(array)
    with np.errstate(over="ignore"):  # a number beyond the range becomes infinity
        return array.astype(dtype, copy=False)


def _fits(array: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Return whether all elements of an array are integers within the range of the type."""
    if array.dtype == dtype or not array.size:
        return True
    least, most = elements.whole_range(dtype)
    return array.dtype.kind in "iu" and least <= array.min() and array.max() <= most


def _fitted(array: np.ndarray, spec: TensorSpec, *, special: bool) -> np.ndarray:
    """Convert an array of any element type to the input's type. NaN in the array is null in the JSON."""
    kind, received = elements.kind(spec.dtype), array.dtype.kind
    if kind == "f" and received in "iuf":
        if received == "f" and np.isnan(array).any():
            raise misfit(None, data_type(spec.dtype).word)
        return _floats(array.astype(_FLOAT64, copy=False), spec.dtype, special=special)
    if (kind in "iu" and _fits(array, spec.dtype)) or kind == received in "bO" or not array.size:
        return array.astype(spec.dtype, copy=False)
    raise misfit(_first_misfit(array, spec.dtype), data_type(spec.dtype).word)


def _first_misfit(array: np.ndarray, dtype: np.dtype[Any]) -> object:
    """Return the first number that does not fit an integer type; for any other type, the first value."""
    flat, received = array.reshape(-1), array.dtype.kind
    if elements.kind(dtype) in "iu" and received != "b":
        least, most = elements.whole_range(dtype)
        if received == "f":  # the limits are powers of two, which are exact as floats
            bad = (flat < least) | (flat >= most + 1) | (flat != np.trunc(flat))
        else:
            bad = (flat < least) | (flat > most)
        flat = flat[int(bad.argmax()) :]
    first = flat[0].item()
    return first if first == first else None  # noqa: PLR0124 - NaN


def _natural(flat: list[Any], spec: TensorSpec) -> np.ndarray:
    """Return values of fitting types as an array of the widest type of their kind."""
    kind = elements.kind(spec.dtype)
    if kind == "f":
        return np.array(flat, _FLOAT64)
    if kind == "b":
        return np.array(flat, np.bool_)
    array = np.empty(len(flat), object)
    array[:] = flat
    if kind == "O":
        return array
    least, most = elements.whole_range(spec.dtype)
    for each in flat:
        if not least <= each <= most:
            raise misfit(each, data_type(spec.dtype).word)
    return array.astype(np.uint64 if kind == "u" else np.int64)


class _Walk:
    """One pass over nested lists; the first elements define the shape."""

    def __init__(self, spec: TensorSpec, value: Any) -> None:  # noqa: ANN401 - any JSON value
        self._types = _TYPES[elements.kind(spec.dtype)]
        self._dtype = spec.dtype
        self._value = value
        self._shape = _shape(value)
        self._flat: list[Any] = []

    def run(self) -> tuple[list[Any], tuple[int, ...]]:
        """Return the elements in order, and the shape. Raises `RefusedInput`."""
        self._visit(self._value, 0)
        return self._flat, self._shape

    def _visit(self, value: Any, level: int) -> None:  # noqa: ANN401 - any JSON value
        rank = len(self._shape)
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if not isinstance(value, list):
            if level != rank:
                raise malformed(
                    value, f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}"
                )
            self._flat.append(self._element(value))
            return
        if level >= rank:
            raise RefusedInput(f"Encountered list at unexpected level: {level} expected < {rank}")
        if len(value) != self._shape[level]:
            size = f"{len(value)} at level: {level} expected size: {self._shape[level]}"
            raise RefusedInput(f"Encountered list at unexpected size: {size}")
        if level == rank - 1 and self._types.issuperset(map(type, value)):
            self._flat += value
            return
        for each in value:
            self._visit(each, level + 1)

    def _element(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if type(value) in self._types:
            return value
        if self._dtype == STRING and isinstance(value, dict):
            return _decoded(value)
        raise misfit(value, data_type(self._dtype).word)


def _shape(value: Any) -> tuple[int, ...]:  # noqa: ANN401 - any JSON value
    sizes: list[int] = []
    while isinstance(value, (list, np.ndarray)):
        sizes.append(len(value))
        if len(sizes) > _MAX_DEPTH:
            expected = f"at most {_MAX_DEPTH} levels"
            raise InvalidInput("body", got=f"more than {_MAX_DEPTH} levels of lists", expected=expected)
        value = value[0] if len(value) else None
    return tuple(sizes)


def _decoded(value: dict[str, Any]) -> str:
    """Return the text in a base64 object: a string of ONNX Runtime is text."""
    if not is_base64(value):
        raise malformed(value, "not formatted correctly for base64 data")
    try:
        return decoded_bytes(value).decode()
    except UnicodeDecodeError:
        expected = "UTF-8, as a string of the model is text"
        raise InvalidInput("b64", got="bytes that are not UTF-8", expected=expected) from None


def decoded_bytes(value: dict[str, Any]) -> bytes:
    """Return the bytes in a base64 object; the padding is optional. Raises `RefusedInput`."""
    text = "".join(value[_BASE64].split()).rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedInput("Unable to base64 decode") from None
