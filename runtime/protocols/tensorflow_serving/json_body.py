"""Bodies as TensorFlow Serving's parser reads them: JSON, plus NaN and Infinity, and whatever follows the document.

orjson and the slices read JSON alone. So a body that they refuse is read once more, in steps: `_mended` ends it where
its document ends, and writes numbers in place of the tokens. `Document.special` says that these numbers stand for
NaN and infinity; `special_numbers` puts them into an array of floats. A body without tokens costs nothing more.

Sources: tensorflow_serving/util/json_tensor.cc, ParseJson; RapidJSON, kParseNanAndInfFlag and kParseStopWhenDoneFlag.
"""

import re
from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from runtime.errors import InvalidInput, RefusedInput
from runtime.protocols.json import slices
from runtime.protocols.json.cuts import string_end, without_strings

# Numbers that stand for the tokens. A request that has one of them beside a token gets the token's value there.
NAN_TEXT: Final = b"-7e-301"
INFINITY_TEXT: Final = b"7e-302"
NAN: Final = float(NAN_TEXT)
INFINITY: Final = float(INFINITY_TEXT)

_STEP: Final = 32 * 1024  # bytes that are looked at together: a millisecond
_TOKEN: Final = re.compile(rb"(-?)(NaN|Inf(?:inity)?)")
_TOKEN_CHARACTERS: Final = b"-NaInfity"
_BIT: Final = 0x20  # the bit in which both kinds of bracket differ
_OPENER, _CLOSER = ord("{"), ord("}")
_PLACE: Final = re.compile(r"(?!a key or a number)(.*) at byte (\d+)")
_EMPTY: Final = "The document is empty"
_TEXTS: Final = {  # RapidJSON's, for what orjson and the slices say
    "input data is empty": f"{_EMPTY}.",
    "unexpected character, expected a JSON value": "Invalid value.",
    "unexpected end of data": "Invalid value.",
    "unexpected character, expected a string key": "Missing a name for object member.",
    "unexpected character, expected ':' after key": "Missing a colon after a name of object member.",
    "unexpected character, expected a comma or an end": "Missing a comma or ] after an array element.",
    "unexpected character, expected ',' or '}'": "Missing a comma or } after an object member.",
    "unexpected character, expected ',' or ']'": "Missing a comma or ] after an array element.",
    "no digit after decimal point": "Miss fraction part in number.",
    "no digit after exponent sign": "Miss exponent in number.",
    "number is infinity when parsed as double": "Number too big to be stored in double.",
    "invalid escaped sequence in string": "Invalid escape character in string.",
    "no low surrogate in string": "The surrogate pair in string is invalid.",
    "str is not valid UTF-8: surrogates not allowed": "Invalid encoding in string.",
}


class Document(NamedTuple):
    """A parsed body; `special`: NaN and Infinity are in it, as the numbers above."""

    value: Any
    special: bool


def load(body: bytes) -> Document:
    """Parse a small body. Raises `RefusedInput`."""
    try:
        return Document(orjson.loads(body), special=False)
    except orjson.JSONDecodeError as error:
        if not body:
            raise RefusedInput(f"JSON Parse error: {_EMPTY}") from None
        first = error
    mended = _drained(_mended(body, lambda _: None))
    if mended is None:
        raise _refused(first.msg, first.pos)
    try:
        return Document(orjson.loads(mended), special=NAN_TEXT in mended or INFINITY_TEXT in mended)
    except orjson.JSONDecodeError as error:
        raise _refused(error.msg, _original(error.pos, mended)) from None


def load_slices(body: bytes, hold: Callable[[int], None]) -> Generator[None, None, Document]:
    """Parse a body of any size, each step within some milliseconds. `hold` counts the bytes of a mended body.

    Raises `RefusedInput`, `InvalidInput` for a body beyond the limits of `slices`, and what `hold` raises.
    """
    if len(body) <= slices.WINDOW:
        return load(body)
    try:
        return Document((yield from slices.parse(body)), special=False)
    except InvalidInput as fault:
        if not _PLACE.fullmatch(str(fault.details["got"])):
            raise
        first = fault
    mended = yield from _mended(body, hold)
    if mended is None:
        raise _told(first, body)
    try:
        value = yield from slices.parse(mended)
    except InvalidInput as fault:
        raise _told(fault, mended) from None
    return Document(value, special=NAN_TEXT in mended or INFINITY_TEXT in mended)


def special_numbers(array: np.ndarray) -> np.ndarray:
    """The array of float64 with NaN and infinity where the numbers stand for them."""
    array = np.where(array == NAN, np.nan, array)
    found: np.ndarray = np.where(np.abs(array) == INFINITY, np.copysign(np.inf, array), array)
    return found


def _mended(body: bytes, hold: Callable[[int], None]) -> Generator[None, None, bytes | None]:
    """The document in the body with numbers for tokens, in steps; None where that is the body as it came."""
    pieces: list[bytes] = []
    at = depth = 0
    inside = False  # a string
    end: int | None = None
    while at < len(body) and end is None:
        text = body[at : at + _STEP]
        if inside:
            text, inside = _string(text)
            pieces.append(text)
        else:
            text, outside, inside = _values(text, last=at + len(text) == len(body))
            depth, end = _depth(outside, depth)
            text = text[:end]
            pieces.append(_numbers(text, outside[:end]))
        at += len(text)
        hold(len(pieces[-1]))
        yield
    mended = b"".join(pieces)
    return None if mended == body else mended


def _string(text: bytes) -> tuple[bytes, bool]:
    """The part of a text that is within the string that it begins in, and whether that goes on behind it."""
    end = string_end(text)
    if end is not None:
        return text[: end + 1], False
    backslashes = len(text) - len(text.rstrip(b"\\"))
    return text[: len(text) - backslashes % 2] or text, True  # an escape stays whole


def _values(text: bytes, *, last: bool) -> tuple[bytes, bytes, bool]:
    """A text up to the string that goes on behind it, or up to a whole token.

    Returns it, the same with zeros for strings, and whether it ends within a string.
    """
    outside, begin = without_strings(text)
    if begin is not None:
        return text[: begin + 1], outside[: begin + 1], True
    size = len(text) if last else len(text.rstrip(_TOKEN_CHARACTERS)) or len(text)
    return text[:size], outside[:size], False


def _depth(outside: bytes, depth: int) -> tuple[int, int | None]:
    """How many containers are open behind a text, and where in it the document ends."""
    lowered = np.frombuffer(outside, np.uint8) | _BIT
    brackets = np.flatnonzero((lowered == _OPENER) | (lowered == _CLOSER))
    if not brackets.size:
        return depth, None
    depths = depth + np.cumsum(np.where(lowered[brackets] == _OPENER, 1, -1))
    closed = np.flatnonzero(depths <= 0)
    return int(depths[-1]), int(brackets[closed[0]]) + 1 if closed.size else None


def _numbers(text: bytes, outside: bytes) -> bytes:
    """The text with numbers in place of the tokens that are in no string."""
    if b"N" not in outside and b"I" not in outside:
        return text
    pieces: list[bytes] = []
    done = 0
    for match in _TOKEN.finditer(outside):
        pieces += (text[done : match.start()], _number(*match.groups()))
        done = match.end()
    return b"".join((*pieces, text[done:]))


def _number(sign: bytes, token: bytes) -> bytes:
    return NAN_TEXT if token == b"NaN" else sign + INFINITY_TEXT


def _drained(steps: Generator[None, None, bytes | None]) -> bytes | None:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: bytes | None = end.value
            return result


def _original(place: int, mended: bytes) -> int:
    """Where a place in the mended text was in the body."""
    before = mended[:place]
    longer = (len(NAN_TEXT) - len(b"NaN")) * before.count(NAN_TEXT)
    return place - longer - (len(INFINITY_TEXT) - len(b"Infinity")) * before.count(INFINITY_TEXT)


def _told(fault: InvalidInput, text: bytes) -> RefusedInput | InvalidInput:
    """What the slices refuse, in TensorFlow Serving's words where it is no JSON."""
    found = _PLACE.fullmatch(str(fault.details["got"]))
    return fault if found is None else _refused(found[1], _original(int(found[2]), text))


def _refused(message: str, place: int) -> RefusedInput:
    return RefusedInput(f"JSON Parse error: {_TEXTS.get(message, 'Invalid value.')} at offset: {place}")
