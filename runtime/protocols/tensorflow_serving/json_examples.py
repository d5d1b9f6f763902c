"""Classify and regress requests in JSON, and their answers.

    {"examples": [{FEATURE: VALUE or [VALUE, ...]}, ...], "context": {FEATURE: ...}}   each example has the context

    {"results": [[[LABEL, SCORE], ...], ...]}     classify: the classes of each example
    {"results": [VALUE, ...]}                     regress: the value of each example

The values of a feature are whole numbers (or true and false), decimals, or strings and base64.
Source: tensorflow_serving/util/json_tensor.cc, FillClassifyRegressRequestFromJson.
"""

from collections import ChainMap
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import orjson

from runtime.errors import InvalidInput, RefusedInput
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.tensorflow_serving.examples import Class, Example
from runtime.protocols.tensorflow_serving.json_body import special_numbers
from runtime.protocols.tensorflow_serving.json_request import Body
from runtime.protocols.tensorflow_serving.json_tensor import decoded_bytes, is_base64
from runtime.protocols.tensorflow_serving.json_text import malformed, type_name

_EXAMPLES, _CONTEXT = "examples", "context"
_INT64: Final = np.iinfo(np.int64)
_KINDS: Final = {int: "int64", bool: "int64", float: "float", str: "bytes", dict: "bytes"}
_SPECIAL: Final = {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}


def read(body: Body) -> list[Example]:
    """Return the examples, each with the features of the context.

    Raises `RefusedInput`, and `InvalidInput` for base64 that is not UTF-8.
    """
    document = body.document
    context = _example(document[_CONTEXT], body) if _CONTEXT in document else {}
    if _EXAMPLES not in document:
        raise malformed(document, "When method is classify, key 'examples' is expected and was not found")
    found = document[_EXAMPLES]
    if not isinstance(found, (list, np.ndarray)):
        raise malformed(document, "Expecting 'examples' value to be an list/array")
    if not len(found):
        raise malformed(document, "'examples' value is an empty array")
    return [ChainMap(_example(each, body), context) for each in found]


def _example(value: Any, body: Body) -> dict[str, np.ndarray]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        value = value.item() if isinstance(value, np.generic) else value
        raise RefusedInput(f"Example must be JSON object but got JSON {type_name(value)}")
    return {name: _feature(name, each, special=body.special) for name, each in value.items()}


def _feature(name: str, value: Any, *, special: bool) -> np.ndarray:  # noqa: ANN401 - any JSON value
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "ifb" and not np.isnan(value).any():
        array = value if value.dtype.kind == "f" else value.astype(np.int64)  # of a large body
    else:
        array = _array(name, _elements(value))
    return _float32(array, special=special) if array.dtype.kind == "f" else array


def _elements(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    if isinstance(value, np.ndarray):
        return [None if each != each else each for each in value.tolist()]  # noqa: PLR0124 - NaN
    return value if isinstance(value, list) else [value]


def _array(name: str, values: list[Any]) -> np.ndarray:
    kind = _kind(name, values)
    if kind == "bytes":
        array = np.empty(len(values), object)
        array[:] = [each if isinstance(each, str) else _text(name, each) for each in values]
        return array
    if kind == "float":
        return np.array(values, np.float64)
    if any(each > _INT64.max for each in values):
        raise RefusedInput(f"Feature: {name} has uint64 element. Only int64 is supported.")
    return np.array(values, np.int64)


def _kind(name: str, values: list[Any]) -> str:
    """Return the kind that all values have; an empty list is whole numbers. Raises `RefusedInput`."""
    first = None
    for each in values:
        kind = _KINDS.get(type(each))
        if kind is None or (isinstance(each, dict) and not is_base64(each)):
            raise RefusedInput(f"Feature: {name} has element with unexpected JSON type: {type_name(each)}")
        if first is not None and kind != first:
            raise RefusedInput(f"Unexpected element type in feature: {name} expecting type: {first}")
        first = kind
    return first or "int64"


def _text(name: str, value: dict[str, Any]) -> str:
    try:
        return decoded_bytes(value).decode()
    except UnicodeDecodeError:
        expected = "UTF-8, as a string of the model is text"
        raise InvalidInput(f"examples.{name}", got="bytes that are not UTF-8", expected=expected) from None


def _float32(array: np.ndarray, *, special: bool) -> np.ndarray:
    """Return decimals as float32, as in a float_list: a number beyond the range becomes infinity."""
    with np.errstate(over="ignore"):
        return (special_numbers(array) if special else array).astype(np.float32)


def classifications(rows: Sequence[Sequence[Class]]) -> bytes:
    """Return the classes of examples as JSON, without the outer brackets."""
    scores = iter(number_texts(np.array([score for row in rows for _, score in row], np.float32)))
    labels = {label: orjson.dumps(label) for row in rows for label, _ in row}
    return b",".join(
        b"[%s]" % b",".join(b"[%s,%s]" % (labels[label], next(scores)) for label, _ in row) for row in rows
    )


def regressions(values: Sequence[float]) -> bytes:
    """Return the values of examples as JSON, without the outer brackets."""
    return b",".join(number_texts(np.array(values, np.float32)))


def results(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of the answer with these blocks of results."""
    before = b'{"results":['
    for block in blocks:
        yield before + block
        before = b","
    yield b"]}"


def number_texts(numbers: np.ndarray) -> list[bytes]:
    """Return each number of an array of floats with one axis as JSON, or as the token for NaN or infinity."""
    texts = json_tensors.dump(numbers)[1:-1].split(b",") if numbers.size else []
    for index in np.flatnonzero(~np.isfinite(numbers)):
        texts[index] = _SPECIAL[str(numbers[index])]
    return texts
