"""The values of a request and a model's signature, to a query. Pure.

A single value named `body` or `data` contains all inputs:

    JSON            the forms of the predict API's inputs, bare or as {"inputs"}, {"instances"} or {"data"}
    a NumPy array   the only input: rows, or one row without its first axis
    bytes           the only input: consecutive rows in its element type, little endian; or one string

Otherwise the values have the names of the inputs, and each contains one input in one of these forms.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import orjson

from runtime.errors import InvalidInput
from runtime.model.signature import Signature, check_sizes
from runtime.protocols import input_forms, row_forms
from runtime.protocols.torchserve.values import Document, Raw, Value
from runtime.tensors import STRING, Query, TensorSpec

WHOLE: Final = frozenset({"body", "data"})  # the names that TorchServe's handlers read
_WRAPPERS: Final = frozenset({"inputs", "instances", "data"})
_FORMS: Final = "JSON, a NumPy array (npy), or its bytes"
_SHOWN_CHARS: Final = 80  # of a name in an error message
_MAX_NUMBER_CHARS: Final = 64


def bind(values: Sequence[tuple[str, Value]], signature: Signature) -> Query:
    """Return the query; its `form` is an `input_forms.Form`.

    Raises `InvalidInput` with the name of the value, the received value and the allowed one.
    """
    name, value = values[0]
    if len(values) == 1 and name in WHOLE and (_names(signature) != {name} or _names_input(value, signature.inputs[0])):
        return _whole(name, value, signature)
    named = dict(values)
    if len(named) < len(values):
        repeated = next(name for index, (name, _) in enumerate(values) if name in dict(values[:index]))
        expected = "one value, which contains all rows"
        raise InvalidInput(repeated[:_SHOWN_CHARS], got="more than one value of that name", expected=expected)
    _check_names(named, signature)
    tensors, forms = [], []
    for spec in signature.inputs:
        if spec.name not in named:  # an optional input
            array, rows = input_forms.tensor(spec.name, None, spec, numbers_only=False)
        else:
            array, rows = _tensor(spec.name, named[spec.name], spec)
        tensors.append(array)
        forms.append(rows)
    return input_forms.query(tensors, forms)


def _names(signature: Signature) -> set[str]:
    return {spec.name for spec in signature.inputs}


def _names_input(value: Value, spec: TensorSpec) -> bool:
    """Return whether a value is JSON that names the only input, in an object or in records."""
    if spec.containers or not isinstance(value, Document):
        return False
    inputs = _unwrapped(value.value)
    first = inputs[0] if isinstance(inputs, list) and inputs else inputs
    return isinstance(first, dict) and spec.name in first


def _check_names(named: dict[str, Value], signature: Signature) -> None:
    if len(signature.inputs) == 1 and signature.inputs[0].name not in named:
        expected = f"data, body, or the name of the input: {signature.inputs[0].name}"
        raise InvalidInput(next(iter(named))[:_SHOWN_CHARS], got="a value of that name", expected=expected)
    input_forms.check_names(named, signature, "form")


def _whole(name: str, value: Value, signature: Signature) -> Query:
    if isinstance(value, Document):
        return _inputs(value, signature)
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs) or "none"
        expected = f"JSON, or a form with a value for each input: {names}"
        raise InvalidInput(name, got=_kind(value), expected=expected)
    array, rows = _tensor(name, value, signature.inputs[0])
    return input_forms.query([array], [rows])


def _inputs(document: Document, signature: Signature) -> Query:
    inputs, keys = document.value, 0
    if isinstance(inputs, dict) and len(inputs) == 1:
        [(key, inner)] = inputs.items()
        if key in _WRAPPERS and not (key in _names(signature) and len(signature.inputs) > 1):
            inputs, keys = inner, 1
    return input_forms.bind(inputs, signature, body=document.text, keys=keys)


def _tensor(field: str, value: Value, spec: TensorSpec) -> tuple[np.ndarray, row_forms.Rows]:
    """Return one input from one value, and its form of rows."""
    if isinstance(value, Document):
        return input_forms.tensor(field, _unwrapped(value.value), spec, numbers_only=False)
    if spec.containers:
        raise InvalidInput(field, got=_kind(value), expected=f"{spec.describe()} as JSON")
    if isinstance(value, Raw):
        return _of_bytes(field, value, spec)
    return _of_array(field, value, spec)


def _unwrapped(value: object) -> object:
    if isinstance(value, dict) and len(value) == 1:
        [(key, inner)] = value.items()
        return inner if key in _WRAPPERS else value
    return value


def _of_array(field: str, array: np.ndarray, spec: TensorSpec) -> tuple[np.ndarray, row_forms.Rows]:
    """Return a NumPy array in the model's element type. Floats are rounded; other numbers must be exact."""
    array, rows = row_forms.in_rows(field, array, spec)
    check_sizes(spec, array.shape, 1)
    if array.dtype.kind in "US" or spec.dtype == STRING:
        return _strings(field, array, spec), rows
    array = np.require(array.astype(array.dtype.newbyteorder("="), copy=False), requirements=("C", "A"))
    if array.dtype == spec.dtype:
        return array, rows
    if array.dtype.kind == spec.dtype.kind == "f":
        return _floats(field, array, spec), rows
    return input_forms.tensor(field, array, spec, numbers_only=False)[0], rows


def _floats(field: str, array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    with np.errstate(over="ignore"):
        cast = array.astype(spec.dtype)
    if np.count_nonzero(np.isinf(cast)) != np.count_nonzero(np.isinf(array)):
        raise InvalidInput(field, got=f"a number of {array.dtype} that is too large", expected=spec.describe())
    return cast


def _strings(field: str, array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    if spec.dtype != STRING or array.dtype.kind not in "US":
        raise InvalidInput(field, got=f"a NumPy array of {array.dtype}", expected=spec.describe())
    try:
        texts = array if array.dtype.kind == "U" else np.char.decode(array, "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(field, got="bytes that are not UTF-8", expected="UTF-8") from None
    return texts.astype(object)


def _of_bytes(field: str, raw: Raw, spec: TensorSpec) -> tuple[np.ndarray, row_forms.Rows]:
    if spec.dtype == STRING:
        return row_forms.in_rows(field, np.array(_text(field, raw), object), spec)
    if raw.text:
        return input_forms.tensor(field, _number(field, raw, spec), spec, numbers_only=False)
    row = _row(spec)
    if row is None:
        expected = f"JSON or a NumPy array (npy), as bytes do not state the shape of {spec.describe()}"
        raise raw.fault or InvalidInput(field, got=_kind(raw), expected=expected)
    count, rest = divmod(len(raw.data), math.prod(row) * spec.dtype.itemsize)
    if not count or rest or (count > 1 and not spec.holds_rows):
        raise raw.fault or InvalidInput(field, got=_kind(raw), expected=f"{_FORMS}: {_sizes(row, spec)}")
    rows = np.frombuffer(raw.data, np.uint8 if spec.dtype == np.bool_ else spec.dtype)
    array = np.require(rows, requirements="A") if spec.dtype != np.bool_ else rows != 0
    array = array.reshape(-1, *row) if spec.holds_rows else array.reshape(row)
    return array, row_forms.MANY if spec.holds_rows else None


def _row(spec: TensorSpec) -> tuple[int, ...] | None:
    """Return the shape of a row, or of a tensor without rows; None if it is unknown or has no bytes."""
    if spec.shape is None or spec.dtype.kind not in "biufV":
        return None
    row = spec.row_shape if spec.holds_rows else spec.shape
    if row is None or not all(isinstance(size, int) for size in row) or not math.prod(row):  # type: ignore[arg-type]
        return None
    return row  # type: ignore[return-value]


def _sizes(row: tuple[int, ...], spec: TensorSpec) -> str:
    size = math.prod(row) * spec.dtype.itemsize
    return f"a multiple of {size} bytes for {spec.describe()}" if spec.holds_rows else f"{size} for {spec.describe()}"


def _text(field: str, raw: Raw) -> str:
    try:
        return str(raw.data, "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(field, got="bytes that are not UTF-8", expected="text in UTF-8") from None


def _number(field: str, raw: Raw, spec: TensorSpec) -> object:
    """Return the JSON value of a form field that is not a list: a number, true or false. Raises `InvalidInput`."""
    try:
        if len(raw.data) <= _MAX_NUMBER_CHARS:
            return orjson.loads(raw.data)
    except orjson.JSONDecodeError:
        pass
    got = repr(bytes(raw.data[:_MAX_NUMBER_CHARS]).decode(errors="replace"))
    raise raw.fault or InvalidInput(field, got=got, expected=f"{spec.describe()} as JSON, or a file")


def _kind(value: Raw | np.ndarray) -> str:
    return f"{len(value.data)} bytes" if isinstance(value, Raw) else f"a NumPy array of {value.dtype}"
