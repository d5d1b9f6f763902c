"""Nested lists to one flat list and a shape, in one pass that ends at the first element that does not fit."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from runtime.errors import InvalidInput
from runtime.model import elements
from runtime.tensors import TensorSpec

_SHOWN_CHARS: Final = 60  # of a value in an error message
_MAX_DEPTH: Final = 64  # NumPy's own limit
KINDS: Final = {
    "f": "a number or null",
    "i": "a whole number",
    "u": "a whole number",
    "b": "true or false",
    "O": "a string",
}
_TYPES: Final[dict[str, frozenset[type]]] = {
    "f": frozenset((float, int, type(None))),
    "i": frozenset((int, float)),
    "u": frozenset((int, float)),
    "b": frozenset((bool,)),
    "O": frozenset((str,)),
}


class Place(NamedTuple):
    """The place of a tensor in a request."""

    field: str
    after_first: str = ""  # the text after the first index: the name of a field in a list of records

    def at(self, indices: Sequence[int]) -> str:
        """Return the place of an element, such as `inputs[2].age[0]`."""
        if not indices:
            return self.field
        rest = "".join(f"[{index}]" for index in indices[1:])
        return f"{self.field}[{indices[0]}]{self.after_first}{rest}"


def show(value: object) -> str:
    """Return the value as JSON, or its `repr` if JSON has no form for it, short enough for an error message."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, str):
        value = value[: _SHOWN_CHARS + 1]
    try:
        text = orjson.dumps(value, default=repr).decode()
    except TypeError:  # a value of an author's code that JSON cannot represent: a huge number, half a surrogate pair
        text = f"a Python {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def flatten(value: object, spec: TensorSpec, place: Place) -> tuple[list[Any], tuple[int, ...]]:
    """Return the elements in order, each of a type that fits the input's, and the shape.

    Raises `InvalidInput` at the first element of another type and the first list of another length.
    """
    value = _listed(value)
    sizes: list[int] = []
    inner = value
    while isinstance(inner, list):
        sizes.append(len(inner))
        inner = _listed(inner[0]) if inner else None
    if len(sizes) > _MAX_DEPTH:
        expected = f"{KINDS[elements.kind(spec.dtype)]} ({spec.describe()})"
        raise InvalidInput(place.field, got=f"{len(sizes)} levels of lists", expected=expected)
    walk = _Walk(spec, place, sizes)
    if sizes:
        walk.visit(value, [])
    else:
        walk.add([value], [])
    return walk.flat, tuple(sizes)


class _Walk:
    """One pass over nested lists that must have the given sizes."""

    def __init__(self, spec: TensorSpec, place: Place, sizes: list[int]) -> None:
        self.flat: list[Any] = []
        self._spec = spec
        self._place = place
        self._sizes = sizes
        self._kind = elements.kind(spec.dtype)

    def visit(self, value: Any, indices: list[int]) -> None:  # noqa: ANN401 - any JSON value
        """Add the elements of the list at `indices`. Raises `InvalidInput`."""
        level = len(indices)
        value = _listed(value)
        if not isinstance(value, list) or len(value) != self._sizes[level]:
            raise self._wrong_shape(value, indices)
        if level == len(self._sizes) - 1:
            self.add(value, indices)
            return
        for index, each in enumerate(value):
            self.visit(each, [*indices, index])

    def add(self, values: list[Any], indices: list[int]) -> None:
        """Add the elements of an innermost list. Raises `InvalidInput`."""
        types = _TYPES[self._kind]
        if not types.issuperset(map(type, values)):
            values = [each.item() if isinstance(each, np.generic) else each for each in values]  # of an author's code
            for index, each in enumerate(values):
                if type(each) not in types:
                    raise self._wrong_type(each, [*indices, index] if self._sizes else indices)
        self.flat += values

    def _wrong_type(self, value: object, indices: list[int]) -> InvalidInput:
        expected = f"{KINDS[self._kind]} ({self._spec.describe()})"
        return InvalidInput(self._place.at(indices), got=show(value), expected=expected)

    def _wrong_shape(self, value: object, indices: list[int]) -> InvalidInput:
        first = [*indices[:-1], 0] if indices[-1] else [0] * len(indices)  # a list of the expected length
        other, size = self._place.at(first), self._sizes[len(indices)]
        got = f"{len(value)} elements where {other} has {size}" if isinstance(value, list) else show(value)
        expected = KINDS[self._kind] if isinstance(value, list) else f"a list of {size}, as in {other}"
        return InvalidInput(self._place.at(indices), got=got, expected=f"{expected} ({self._spec.describe()})")


def _listed(value: object) -> object:
    """Return an author's tuple or array as a list, any other value unchanged."""
    if isinstance(value, tuple):
        return list(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
