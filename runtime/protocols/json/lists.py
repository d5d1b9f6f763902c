"""Nested lists to one flat list and a shape, looked at once and no further than the first misfit."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from runtime.errors import InvalidInput
from runtime.model import elements
from runtime.tensors import TensorSpec

_SHOWN: Final = 60  # characters of a value that an error repeats
_DEEPEST: Final = 64  # NumPy's own limit
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
    """Where a tensor stands in a request: its field, and what comes behind the first index (of a list of records)."""

    field: str
    behind_first: str = ""

    def at(self, indices: Sequence[int]) -> str:
        """An element's place, such as `inputs[2].age[0]`."""
        if not indices:
            return self.field
        rest = "".join(f"[{index}]" for index in indices[1:])
        return f"{self.field}[{indices[0]}]{self.behind_first}{rest}"


def show(value: object) -> str:
    """The value as JSON, short enough for an error; what has no JSON form as Python has it."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, str):
        value = value[: _SHOWN + 1]
    try:
        text = orjson.dumps(value, default=repr).decode()
    except TypeError:  # beyond what JSON holds, from an author's own code: a huge number, half a surrogate pair
        text = f"a Python {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def flatten(value: object, spec: TensorSpec, place: Place) -> tuple[list[Any], tuple[int, ...]]:
    """The elements in order, each of a type that fits the input's, and the shape.

    Raises `InvalidInput` at the first element of another type, and the first list of another length.
    """
    value = _listed(value)
    sizes: list[int] = []
    inner = value
    while isinstance(inner, list):
        sizes.append(len(inner))
        inner = _listed(inner[0]) if inner else None
    if len(sizes) > _DEEPEST:
        expected = f"{KINDS[elements.kind(spec.dtype)]} ({spec.describe()})"
        raise InvalidInput(place.field, got=f"lists {len(sizes)} deep", expected=expected)
    walk = _Walk(spec, place, sizes)
    if sizes:
        walk.down(value, [])
    else:
        walk.take([value], [])
    return walk.flat, tuple(sizes)


class _Walk:
    """One pass over nested lists that are to have the given sizes."""

    def __init__(self, spec: TensorSpec, place: Place, sizes: list[int]) -> None:
        self.flat: list[Any] = []
        self._spec = spec
        self._place = place
        self._sizes = sizes
        self._kind = elements.kind(spec.dtype)

    def down(self, value: Any, indices: list[int]) -> None:  # noqa: ANN401 - any JSON value
        """Take what the list at `indices` holds."""
        level = len(indices)
        value = _listed(value)
        if not isinstance(value, list) or len(value) != self._sizes[level]:
            raise self._misshapen(value, indices)
        if level == len(self._sizes) - 1:
            self.take(value, indices)
            return
        for index, each in enumerate(value):
            self.down(each, [*indices, index])

    def take(self, values: list[Any], indices: list[int]) -> None:
        """Take the elements of an innermost list."""
        types = _TYPES[self._kind]
        if not types.issuperset(map(type, values)):
            values = [each.item() if isinstance(each, np.generic) else each for each in values]  # an author's own
            for index, each in enumerate(values):
                if type(each) not in types:
                    raise self._misfit(each, [*indices, index] if self._sizes else indices)
        self.flat += values

    def _misfit(self, value: object, indices: list[int]) -> InvalidInput:
        expected = f"{KINDS[self._kind]} ({self._spec.describe()})"
        return InvalidInput(self._place.at(indices), got=show(value), expected=expected)

    def _misshapen(self, value: object, indices: list[int]) -> InvalidInput:
        first = [*indices[:-1], 0] if indices[-1] else [0] * len(indices)  # a list of the right length
        other, size = self._place.at(first), self._sizes[len(indices)]
        got = f"{len(value)} elements where {other} has {size}" if isinstance(value, list) else show(value)
        expected = KINDS[self._kind] if isinstance(value, list) else f"a list of {size}, as in {other}"
        return InvalidInput(self._place.at(indices), got=got, expected=f"{expected} ({self._spec.describe()})")


def _listed(value: object) -> object:
    """An author's tuple or array as a list; everything else as it is."""
    if isinstance(value, tuple):
        return list(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
