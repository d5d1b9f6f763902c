"""Short rows of numbers in one shape, read without a list for each: `[1,2],[3,4]` is `1,2,3,4` of shape (2, 2).

The skeleton of the text, which is the text without its numbers, shows whether all rows are like the first one: it is
compared with the first row's skeleton repeated. The numbers between the brackets are still read by orjson.
"""

import math
from typing import Any, Final

import numpy as np
import orjson

_SHORT: Final = 64  # bytes of a row; for longer ones a list each costs less than to look at the text twice
_TOKENS: Final = b"0123456789+-.eEnul"  # what numbers and null are made of
_COMMA: Final = ord(",")
_OPENER: Final = ord("[")
_CLOSER: Final = ord("]")


def flattened(text: bytes) -> tuple[list[Any], bytes, tuple[int, ...]] | None:
    """The numbers of rows `[...],[...]`, their text, and the shape; None where the text is anything else.

    None is no verdict on whether the text is valid: orjson is to look at all of it then.
    """
    if text[:1] != b"[" or text.find(b"]", 0, _SHORT) < 0:
        return None
    text = text.replace(b", ", b",")  # as Python's json writes; other space is left to orjson
    shape = _shape(text.translate(None, _TOKENS))
    if shape is None or not _brackets_stand_alone(np.frombuffer(text, np.uint8)):
        return None
    flat = text.translate(None, b"[]")
    try:
        numbers = orjson.loads(b"[" + flat + b"]")
    except orjson.JSONDecodeError:
        return None
    return (numbers, flat, shape) if len(numbers) == math.prod(shape) else None  # not for empty rows


def _shape(skeleton: bytes) -> tuple[int, ...] | None:
    """The shape of rows with this skeleton: `[,,],[,,]` are (2, 3). None where they are not all alike."""
    depth = len(skeleton) - len(skeleton.lstrip(b"["))
    unit, shape = b"", list[int]()
    for level in range(1, depth + 1):
        start, end = depth - level, skeleton.find(b"]" * level) + level
        count, left = divmod(end - start - 1, len(unit) + 1)  # without a bracket, and with one more comma
        if left or count < 1:
            return None
        unit = b"[" + b",".join([unit] * count) + b"]"
        shape.append(count)
    count = (len(skeleton) + 1) // (len(unit) + 1)
    if (unit + b",") * count != skeleton + b",":
        return None
    return (count, *reversed(shape))


def _brackets_stand_alone(codes: np.ndarray) -> bool:
    """Whether no number touches a bracket from outside, as in `1[2]` or `[1]2`."""
    opens = np.flatnonzero(codes == _OPENER)[1:]  # the first one begins the text
    before = codes[opens - 1]
    closes = np.flatnonzero(codes == _CLOSER)[:-1]  # the last one ends the skeleton
    behind = codes[closes + 1]
    apart = ((before == _OPENER) | (before == _COMMA)).all() and ((behind == _CLOSER) | (behind == _COMMA)).all()
    return bool(apart) and codes[-1] == _CLOSER
