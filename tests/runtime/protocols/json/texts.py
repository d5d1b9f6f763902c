"""JSON texts for property tests of `slices`: any value in any notation, valid or with errors."""

import json
from collections.abc import Generator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from runtime.protocols.json.slices import parse

_NUMBERS = st.sampled_from([0, 1, -7, 300, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 0.5, -1e300, 2.0, -0.0])
_STRINGS = st.text(alphabet='ab,[]{}:"\\\n\x00é€😀', max_size=12)
_SCALARS = _NUMBERS | _STRINGS | st.none() | st.booleans()
_ROWS = st.integers(0, 3).flatmap(
    lambda width: st.lists(st.lists(_NUMBERS | st.none(), min_size=width, max_size=width))
)
_KINDS: list[list[Any]] = [[1, 2.5], [7, 300, 2**63], [None, 1], [True, False], [2**53 + 1, 0.5], [-1, 2**63]]
_FLAT = st.sampled_from(_KINDS)
_LISTS = _ROWS | _FLAT.flatmap(lambda kinds: st.lists(st.sampled_from(kinds)))
values: st.SearchStrategy[Any] = st.recursive(
    _SCALARS | _LISTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from(["", "a", "b,[", "é"]), inner),
    max_leaves=20,
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Draw a valid JSON text with white space, escapes and equal keys."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")]))
    indent = draw(st.sampled_from([None, 1]))
    text = json.dumps(draw(values), ensure_ascii=draw(st.booleans()), separators=separators, indent=indent)
    if draw(st.booleans()):
        text = text.replace('"a"', '"b,["')
    return text.encode()


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Draw a JSON text with a few bytes removed or inserted; it may still be valid."""
    text = draw(texts())
    for _ in range(draw(st.integers(1, 2))):
        begin = draw(st.integers(0, len(text)))
        wedge = draw(st.sampled_from([b"", b" ", *(bytes([each]) for each in b',[]{}:"\\1x-.e\xff\x00\x0b'), b"NaN"]))
        text = text[:begin] + wedge + text[begin + draw(st.integers(0, 2)) :]
    return text


def drained(steps: Generator[None, None, Any]) -> tuple[Any, int]:
    """Return the result of the generator, and how often it yielded."""
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as stopped:
            return stopped.value, count
        count += 1


def sliced(body: bytes, window: int) -> Any:  # noqa: ANN401 - any JSON value
    """Return the result of `slices` for a body."""
    return drained(parse(body, window=window))[0]


def plain(value: Any) -> Any:  # noqa: ANN401 - as above
    """Return the value with lists instead of arrays, and null instead of NaN."""
    if isinstance(value, np.ndarray):
        objects = value.astype(object)
        if value.dtype.kind == "f":
            objects[np.isnan(value)] = None
        return objects.tolist()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def same(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - as above
    """Return whether both are equal, including the order of keys; true is not 1, but 1 is 1.0."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, float) and type(theirs) is int:
        theirs = float(theirs)  # integers in a list with fractions are rounded to float64
    elif type(ours) is int and isinstance(theirs, float):
        theirs = int(theirs)
    return type(ours) is type(theirs) and bool(ours == theirs)
