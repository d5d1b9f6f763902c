"""Tensors to the body of an answer.

    row form       {"predictions": [VALUE, ...]}, or a list of objects for several outputs
    columnar form  {"outputs": VALUE}, or an object for several outputs

A float is written as the shortest text that parses to the same number, with ".0" or an exponent. NaN, Infinity and
-Infinity are written as these tokens, which are not JSON. Strings of an output whose name ends in "_bytes" are in
base64.
Source: tensorflow_serving/util/json_tensor.cc, MakeJsonFromTensors.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Final, TypeAlias

import numpy as np

from runtime.errors import RefusedInput
from runtime.protocols.json import records, writer
from runtime.protocols.json import tensors as json_tensors
from runtime.tensors import STRING, TensorSpec

PREDICTIONS: Final = "predictions"
OUTPUTS: Final = "outputs"
_MANY: Final = 5000  # numbers: more are written in pieces, so that the event loop is not blocked
_NULL: Final = b"null"  # orjson writes it for NaN and infinity
_BYTES: Final = "_bytes"
_LEAST, _MOST = -2e-37, -1e-37  # the range of the placeholders for NaN and infinity

Json: TypeAlias = bytes | Iterator[bytes]


def render(outputs: Sequence[np.ndarray], specs: Sequence[TensorSpec], *, rows: bool) -> Json:
    """Return the body; a large one in pieces.

    Raises `RefusedInput` if no output is a tensor, and in the row form if the outputs differ in their number of rows.
    """
    if len(outputs) == 1 and (body := _numbers(outputs[0], rows=rows)) is not None:
        return body
    values = {
        spec.name: _value(spec.name, array) for spec, array in zip(specs, outputs, strict=True) if not spec.containers
    }
    if not values:
        raise RefusedInput("Cannot convert empty tensor map to JSON")
    if rows:
        _check_rows(values)
    if _is_large(values):
        return _with_tokens(values, rows=rows) if _special(values) else _pieces(values, rows=rows)
    body = b"".join(_pieces(values, rows=rows))
    return b"".join(_with_tokens(values, rows=rows)) if _NULL in body and _special(values) else body


def _numbers(array: np.ndarray, *, rows: bool) -> bytes | None:
    """Return the body of a small answer of numbers at once: a fast path. None for any other answer."""
    if array.dtype == STRING or array.size > _MANY or not array.ndim:
        return None
    body = json_tensors.dump({PREDICTIONS if rows else OUTPUTS: json_tensors.plain(array)})
    return None if _NULL in body else body


def _check_rows(values: Mapping[str, np.ndarray]) -> None:
    size = None
    for name, value in values.items():
        if not value.ndim:
            raise RefusedInput(f"Tensor name: {name} has no shape information ")
        if size is not None and len(value) != size:
            raise RefusedInput(f"Tensor name: {name} has inconsistent batch size: {len(value)} expecting: {size}")
        size = len(value)


def _is_large(values: Mapping[str, np.ndarray]) -> bool:
    """Return whether to write the answer in pieces, so that the event loop is not blocked; strings can be long."""
    return any(
        value.size > _MANY or (value.dtype == STRING and writer.size_hint(value) > writer.PIECE)
        for value in values.values()
    )


def _value(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array in a type that orjson supports."""
    if array.dtype != STRING:
        return np.asarray(json_tensors.plain(array))
    if not name.endswith(_BYTES):
        return array
    encoded = np.empty(array.size, object)
    encoded[:] = [{"b64": b64encode(text.encode()).decode()} for text in array.ravel()]
    return encoded.reshape(array.shape)


def _pieces(values: Mapping[str, np.ndarray], *, rows: bool) -> Iterator[bytes]:
    if len(values) > 1:
        return records.dump(PREDICTIONS, values) if rows else writer.dump({OUTPUTS: dict(values)})
    (value,) = values.values()
    return writer.dump({PREDICTIONS if rows else OUTPUTS: value})


def _special(values: Mapping[str, np.ndarray]) -> bool:
    """Return whether an output has NaN or infinity."""
    return any(value.dtype.kind == "f" and not np.isfinite(value).all() for value in values.values())


def _with_tokens(values: Mapping[str, np.ndarray], *, rows: bool) -> Iterator[bytes]:
    """Yield the pieces with tokens: write placeholders, numbers that no output contains, and replace their text."""
    nan, infinity, minus_infinity = islice(_placeholders(values), 3)
    finite = {
        name: np.nan_to_num(
            value.astype(np.float32) if value.dtype == np.float16 else value,
            nan=float(nan),
            posinf=float(infinity),
            neginf=float(minus_infinity),
        )
        for name, value in values.items()
        if value.dtype.kind == "f"
    }
    for piece in _pieces({**values, **finite}, rows=rows):
        yield piece.replace(nan, b"NaN").replace(minus_infinity, b"-Infinity").replace(infinity, b"Infinity")


def _placeholders(values: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """Yield numbers that no output contains, in the text that orjson writes for both float32 and float64.

    No text is a part of another number's text: it begins with a minus sign, and no exponent continues after "e-37".
    """
    used: set[float] = set()
    texts: list[str] = []
    for value in values.values():
        if value.dtype == STRING:
            texts += [text for text in value.ravel() if isinstance(text, str) and "e-37" in text]
        else:
            used.update(value[(value > _LEAST) & (value < _MOST)].tolist())

    def is_unused(text: str) -> bool:
        if text.endswith("0e-37"):  # not the shortest text of the number
            return False
        return not {float(text), float(np.float32(text))} & used and not any(text in each for each in texts)

    return map(str.encode, filter(is_unused, map("-1.{}e-37".format, count(11))))
