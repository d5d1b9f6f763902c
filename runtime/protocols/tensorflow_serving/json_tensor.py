"""A JSON value to the tensor of one input, by TensorFlow Serving's rules.

Floats take every number: one beyond the type's range becomes infinity. Integers take integer tokens alone (1.0 is
none), within the range of their type. bool takes true and false. Strings take strings, and objects {"b64": "..."}.
null has no meaning. All lists at one level have one length.

`clean` bodies, without strings, true, false and null, are read by NumPy at once, and so are arrays, which large bodies
have in place of lists of numbers. All else is looked at value by value, up to the first one that does not fit.

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

_DEEPEST: Final = 64  # NumPy's limit of axes
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
    """Whether a value is an object that holds bytes in base64, and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_BASE64), str)


def is_clean(body: bytes, *, keys: int) -> bool:
    """Whether the JSON has no string beside its `keys`, and neither true, false nor null."""
    if body.count(b'"') != 2 * keys:
        return False
    if b"u" not in body and b"l" not in body:  # each of the three words has one of them
        return True
    return not (b"true" in body or b"false" in body or b"null" in body)


def tensor(value: Any, spec: TensorSpec, *, clean: bool, special: bool) -> np.ndarray:  # noqa: ANN401 - any JSON value
    """The value as an array of the input's element type, of whatever shape it has.

    `special` says that the body had NaN or Infinity, for which `json_body` has put numbers.
    Raises `RefusedInput` at the first value that does not fit.
    """
    if isinstance(value, np.ndarray):
        return _fitted(value, spec, special=special)
    if clean and isinstance(value, list) and (array := _quick(value, spec.dtype, special=special)) is not None:
        return array
    flat, shape = _Walk(spec, value).run()
    return _fitted(_natural(flat, spec), spec, special=special).reshape(shape)


def _quick(value: list[Any], dtype: np.dtype[Any], *, special: bool) -> np.ndarray | None:
    """What NumPy makes of (nested) lists of numbers; None where the walk has to say what does not fit."""
    kind = elements.kind(dtype)
    try:
        if kind == "f":
            return _floats(np.array(value, _FLOAT64), dtype, special=special)
        array = np.array(value)
    except (ValueError, OverflowError, TypeError):  # lists of unequal length or depth, objects among them
        return None
    return array.astype(dtype, copy=False) if kind in "iu" and _holds(array, dtype) else None


def _floats(array: np.ndarray, dtype: np.dtype[Any], *, special: bool) -> np.ndarray:
    if special:
        array = special_numbers(array)
    with np.errstate(over="ignore"):  # a number beyond the range is infinity there
        return array.astype(dtype, copy=False)


def _holds(array: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Whether an array holds integers that the type holds too."""
    if array.dtype == dtype or not array.size:
        return True
    least, most = elements.whole_range(dtype)
    return array.dtype.kind in "iu" and least <= array.min() and array.max() <= most


def _fitted(array: np.ndarray, spec: TensorSpec, *, special: bool) -> np.ndarray:
    """An array of the values' own type as one of the input's. NaN stands for null in it."""
    kind, came = elements.kind(spec.dtype), array.dtype.kind
    if kind == "f" and came in "iuf":
        if came == "f" and np.isnan(array).any():
            raise misfit(None, data_type(spec.dtype).word)
        return _floats(array.astype(_FLOAT64, copy=False), spec.dtype, special=special)
    if (kind in "iu" and _holds(array, spec.dtype)) or kind == came in "bO" or not array.size:
        return array.astype(spec.dtype, copy=False)
    raise misfit(_first_misfit(array, spec.dtype), data_type(spec.dtype).word)


def _first_misfit(array: np.ndarray, dtype: np.dtype[Any]) -> object:
    """The first number that an integer type does not hold; the first value for any other type."""
    flat, came = array.reshape(-1), array.dtype.kind
    if elements.kind(dtype) in "iu" and came != "b":
        least, most = elements.whole_range(dtype)
        if came == "f":  # the limits are powers of two, which floats hold
            bad = (flat < least) | (flat >= most + 1) | (flat != np.trunc(flat))
        else:
            bad = (flat < least) | (flat > most)
        flat = flat[int(bad.argmax()) :]
    first = flat[0].item()
    return first if first == first else None  # noqa: PLR0124 - NaN


def _natural(flat: list[Any], spec: TensorSpec) -> np.ndarray:
    """Values of types that fit the input's, as an array of the widest type of their kind."""
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
    """One pass over nested lists, whose first elements say the shape."""

    def __init__(self, spec: TensorSpec, value: Any) -> None:  # noqa: ANN401 - any JSON value
        self._types = _TYPES[elements.kind(spec.dtype)]
        self._dtype = spec.dtype
        self._value = value
        self._shape = _shape(value)
        self._flat: list[Any] = []

    def run(self) -> tuple[list[Any], tuple[int, ...]]:
        """The elements in order, and the shape. Raises `RefusedInput`."""
        self._take(self._value, 0)
        return self._flat, self._shape

    def _take(self, value: Any, level: int) -> None:  # noqa: ANN401 - any JSON value
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
            self._take(each, level + 1)

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
        if len(sizes) > _DEEPEST:
            raise InvalidInput("body", got=f"lists more than {_DEEPEST} deep", expected=f"at most {_DEEPEST} levels")
        value = value[0] if len(value) else None
    return tuple(sizes)


def _decoded(value: dict[str, Any]) -> str:
    """The text in a base64 object: ONNX Runtime takes strings as text."""
    if not is_base64(value):
        raise malformed(value, "not formatted correctly for base64 data")
    try:
        return decoded_bytes(value).decode()
    except UnicodeDecodeError:
        raise InvalidInput("b64", got="bytes that are not UTF-8", expected="text, as the model takes strings") from None


def decoded_bytes(value: dict[str, Any]) -> bytes:
    """The bytes in a base64 object; padding may be left out. Raises `RefusedInput`."""
    text = "".join(value[_BASE64].split()).rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedInput("Unable to base64 decode") from None
