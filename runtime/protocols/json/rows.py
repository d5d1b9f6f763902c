"""Parses short rows of numbers of one shape without a list per row: `[1,2],[3,4]` is `1,2,3,4` of shape (2, 2).

The skeleton of the text is the text without its numbers. If it equals the skeleton of the first row, repeated, all rows
have the same shape. orjson parses the numbers.
"""

import math
from typing import Any, Final

import numpy as np
import orjson

_SHORT: Final = 64  # bytes of a row; for longer rows, a list per row costs less than a second pass over the text
_TOKENS: Final = b"0123456789+-.eEnul"  # the characters of numbers and null
_COMMA: Final = ord(",")
_OPENER: Final = ord("[")
_CLOSER: Final = ord("]")


def flattened(text: bytes) -> tuple[list[Any], bytes, tuple[int, ...]] | None:
    """Return the numbers of rows `[...],[...]`, their text, and the shape; None if the text is anything else.

    None does not mean that the text is invalid: orjson must parse all of it then.
    """
    if text[:1] != b"[" or text.find(b"]", 0, _SHORT) < 0:
        return None
    text = text.replace(b", ", b",")  # Python's json writes this space; with any other, return None
    shape = _shape(text.translate(None, _TOKENS))
    if shape is None or not _brackets_stand_alone(np.frombuffer(text, np.uint8)):
        return None
    flat = text.translate(None, b"[]")
    try:
        numbers = orjson.loads(b"[" + flat + b"]")
    except orjson.JSONDecodeError:
        return None
    return (numbers, flat, shape) if len(numbers) == math.prod(shape) else None  # empty rows have no numbers


def _shape(skeleton: bytes) -> tuple[int, ...] | None:
    """Return the shape of rows with this skeleton: `[,,],[,,]` is (2, 3). None if the rows differ."""
    depth = len(skeleton) - len(skeleton.lstrip(b"["))
    unit, shape = b"", list[int]()
    for level in range(1, depth + 1):
        start, end = depth - level, skeleton.find(b"]" * level) + level
        count, rest = divmod(end - start - 1, len(unit) + 1)  # without a bracket, and with one more comma
        if rest or count < 1:
            return None
        unit = b"[" + b",".join([unit] * count) + b"]"
        shape.append(count)
    count = (len(skeleton) + 1) // (len(unit) + 1)
    if (unit + b",") * count != skeleton + b",":
        return None
    return (count, *reversed(shape))


def _brackets_stand_alone(codes: np.ndarray) -> bool:
    """Return whether no number touches a bracket from outside, as in `1[2]` or `[1]2`."""
    opens = np.flatnonzero(codes == _OPENER)[1:]  # the first one begins the text
    before = codes[opens - 1]
    closes = np.flatnonzero(codes == _CLOSER)[:-1]  # the last one ends the skeleton
    after = codes[closes + 1]
    apart = ((before == _OPENER) | (before == _COMMA)).all() and ((after == _CLOSER) | (after == _COMMA)).all()
    return bool(apart) and codes[-1] == _CLOSER
