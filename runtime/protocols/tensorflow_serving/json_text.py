"""JSON values in error messages, as TensorFlow Serving writes them."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import numpy as np
import orjson

from runtime.errors import RefusedInput
from runtime.protocols.tensorflow_serving.json_body import INFINITY, NAN

_MAX_CHARS: Final = 256
_MAX_MEMBERS: Final = 64  # of a list or an object: more than fit into the text
_INDENT: Final = "    "
_TOKENS: Final = {NAN: "NaN", INFINITY: "Infinity", -INFINITY: "-Infinity"}


def show(value: object) -> str:
    """Return the value as indented JSON, cut at 256 characters. The cost does not depend on the size of the value."""
    text = ""
    for piece in _pieces(value, "\n"):
        text += piece
        if len(text) > _MAX_CHARS:
            return text[:_MAX_CHARS]
    return text


def type_name(value: object) -> str:
    """Return RapidJSON's name of the type of a JSON value."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, (int, float)):
        return "Number"
    return "String" if isinstance(value, str) else "Object" if isinstance(value, dict) else "Array"


def misfit(value: object, word: str) -> RefusedInput:
    """Return the error about a value of another type; `word` is TensorFlow's name of the expected type."""
    return RefusedInput(f"JSON Value: {show(value)} Type: {type_name(value)} is not of expected type: {word}")


def malformed(value: object, reason: str) -> RefusedInput:
    """Return the error about a value of the wrong form."""
    return RefusedInput(f"JSON Value: {show(value)} {reason}")


def _pieces(value: Any, line: str) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, (dict, list, np.ndarray)):
        opener, closer = "{}" if isinstance(value, dict) else "[]"
        before = opener
        for key, each in islice(_members(value), _MAX_MEMBERS):
            yield before + line + _INDENT + (f"{_scalar(key)}: " if key is not None else "")
            yield from _pieces(each, line + _INDENT)
            before = ","
        yield (opener if before is opener else line) + closer
    else:
        yield _scalar(value)


def _members(value: Any) -> Iterator[tuple[str | None, Any]]:  # noqa: ANN401 - a container
    if isinstance(value, dict):
        return iter(value.items())
    return ((None, each.item() if isinstance(each, np.generic) else each) for each in value)


def _scalar(value: Any) -> str:  # noqa: ANN401 - a JSON value that is not a container
    if isinstance(value, float) and value in _TOKENS:
        return _TOKENS[value]
    return orjson.dumps(value[:_MAX_CHARS] if isinstance(value, str) else value).decode()
