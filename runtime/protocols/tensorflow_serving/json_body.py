"""Bodies as TensorFlow Serving's parser accepts them: JSON with NaN and Infinity, and any bytes after the document.

orjson and `slices` parse only JSON. If they refuse a body, `_rewritten` rewrites it in steps, and it is parsed again:
the result ends at the end of the document and has placeholder numbers instead of the tokens NaN and Infinity.
`Document.special` is True if there are placeholders; `special_numbers` replaces them in an array of floats. A body
without tokens has no extra cost.

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

# The placeholders of the tokens. If a request contains a token, each of these numbers in it is read as the token.
NAN_TEXT: Final = b"-7e-301"
INFINITY_TEXT: Final = b"7e-302"
NAN: Final = float(NAN_TEXT)
INFINITY: Final = float(INFINITY_TEXT)

_STEP: Final = 32 * 1024  # bytes that are rewritten in one step: a millisecond
_TOKEN: Final = re.compile(rb"(?<![\w.+-])(-?)(NaN|Inf(?:inity)?)(?![\w.+-])")  # part of no number or word
_TOKEN_CHARACTERS: Final = b"-NaInfity"
_BIT: Final = 0x20  # the bit in which [ and {, and ] and }, differ
_OPENER, _CLOSER = ord("{"), ord("}")
_AT_BYTE: Final = re.compile(r"(?!a key or a number)(.*) at byte (\d+)")
_EMPTY: Final = "The document is empty"
_TEXTS: Final = {  # RapidJSON's messages for those of orjson and `slices`
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
    """A parsed body."""

    value: Any
    special: bool  # whether the body has NaN or Infinity; the value has the placeholders above in their places


def load(body: bytes) -> Document:
    """Parse a small body at once. Raises `RefusedInput`."""
    try:
        return Document(orjson.loads(body), special=False)
    except orjson.JSONDecodeError as error:
        if not body:
            raise RefusedInput(f"JSON Parse error: {_EMPTY}") from None
        first = error
    rewritten = _run(_rewritten(body, lambda _: None))
    if rewritten is None:
        raise _refused(first.msg, _byte(first))
    try:
        return Document(orjson.loads(rewritten), special=NAN_TEXT in rewritten or INFINITY_TEXT in rewritten)
    except orjson.JSONDecodeError as error:
        raise _refused(error.msg, _original(_byte(error), rewritten)) from None


def load_slices(body: bytes, hold: Callable[[int], None]) -> Generator[None, None, Document]:
    """Parse a body of any size in steps of a few milliseconds.

    `hold` is called with the number of bytes that each step adds to a rewritten body. Raises `RefusedInput`,
    `InvalidInput` for a body beyond the limits of `slices`, and the errors of `hold`.
    """
    if len(body) <= slices.WINDOW:
        return load(body)
    try:
        return Document((yield from slices.parse(body)), special=False)
    except InvalidInput as fault:
        if not _AT_BYTE.fullmatch(str(fault.details["got"])):
            raise
        first = fault
    rewritten = yield from _rewritten(body, hold)
    if rewritten is None:
        raise _translated(first, body)
    try:
        value = yield from slices.parse(rewritten)
    except InvalidInput as fault:
        raise _translated(fault, rewritten) from None
    return Document(value, special=NAN_TEXT in rewritten or INFINITY_TEXT in rewritten)


def special_numbers(array: np.ndarray) -> np.ndarray:
    """Return an array of float64 with NaN and infinity in place of the placeholders."""
    array = np.where(array == NAN, np.nan, array)
    replaced: np.ndarray = np.where(np.abs(array) == INFINITY, np.copysign(np.inf, array), array)
    return replaced


def _rewritten(body: bytes, hold: Callable[[int], None]) -> Generator[None, None, bytes | None]:
    """Return the document in the body with placeholders for the tokens, in steps; None if that is the body itself."""
    pieces: list[bytes] = []
    at = depth = 0
    in_string = False
    end: int | None = None
    while at < len(body) and end is None:
        text = body[at : at + _STEP]
        if in_string:
            text, in_string = _string(text)
            pieces.append(text)
        else:
            text, outside, in_string = _values(text, last=at + len(text) == len(body))
            depth, end = _depth(outside, depth)
            text = text[:end]
            pieces.append(_with_placeholders(text, outside[:end], body[at - 1 : at] if at else b""))
        at += len(text)
        hold(len(pieces[-1]))
        yield
    rewritten = b"".join(pieces)
    return None if rewritten == body else rewritten


def _string(text: bytes) -> tuple[bytes, bool]:
    """Return the part of a text that belongs to the string in which it begins, and whether the string continues."""
    end = string_end(text)
    if end is not None:
        return text[: end + 1], False
    backslashes = len(text) - len(text.rstrip(b"\\"))
    return text[: len(text) - backslashes % 2] or text, True  # do not split an escape


def _values(text: bytes, *, last: bool) -> tuple[bytes, bytes, bool]:
    """Return the text without an incomplete string at its end, except for its quote, and without an incomplete token.

    Also return the same text with zeros for strings, and whether it ends within a string.
    """
    outside, begin = without_strings(text)
    if begin is not None:
        return text[: begin + 1], outside[: begin + 1], True
    size = len(text) if last else len(text.rstrip(_TOKEN_CHARACTERS)) or len(text)
    return text[:size], outside[:size], False


def _depth(outside: bytes, depth: int) -> tuple[int, int | None]:
    """Return how many containers are open after a text, and where in it the document ends, if it does."""
    lowered = np.frombuffer(outside, np.uint8) | _BIT
    brackets = np.flatnonzero((lowered == _OPENER) | (lowered == _CLOSER))
    if not brackets.size:
        return depth, None
    depths = depth + np.cumsum(np.where(lowered[brackets] == _OPENER, 1, -1))
    closed = np.flatnonzero(depths <= 0)
    return int(depths[-1]), int(brackets[closed[0]]) + 1 if closed.size else None


def _with_placeholders(text: bytes, outside: bytes, before: bytes) -> bytes:
    """Return the text with placeholders for the tokens outside of strings; `before` is the byte before the text."""
    if b"N" not in outside and b"I" not in outside:
        return text
    pieces: list[bytes] = []
    done = 0
    for match in _TOKEN.finditer(before + outside, len(before)):
        pieces += (text[done : match.start() - len(before)], _placeholder(*match.groups()))
        done = match.end() - len(before)
    return b"".join((*pieces, text[done:]))


def _placeholder(sign: bytes, token: bytes) -> bytes:
    return NAN_TEXT if token == b"NaN" else sign + INFINITY_TEXT


def _byte(error: orjson.JSONDecodeError) -> int:
    """Return the offset of an error in bytes, as RapidJSON counts; orjson counts characters."""
    return len(error.doc[: error.pos].encode(errors="replace"))


def _run(steps: Generator[None, None, bytes | None]) -> bytes | None:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: bytes | None = end.value
            return result


def _original(place: int, rewritten: bytes) -> int:
    """Return the offset in the body of an offset in the rewritten text."""
    before = rewritten[:place]
    longer = (len(NAN_TEXT) - len(b"NaN")) * before.count(NAN_TEXT)
    return place - longer - (len(INFINITY_TEXT) - len(b"Infinity")) * before.count(INFINITY_TEXT)


def _translated(fault: InvalidInput, text: bytes) -> RefusedInput | InvalidInput:
    """Return an error of `slices` with TensorFlow Serving's message if the text is not JSON; other errors unchanged."""
    found = _AT_BYTE.fullmatch(str(fault.details["got"]))
    return fault if found is None else _refused(found[1], _original(int(found[2]), text))


def _refused(message: str, place: int) -> RefusedInput:
    return RefusedInput(f"JSON Parse error: {_TEXTS.get(message, 'Invalid value.')} at offset: {place}")
