"""The positions at which a piece of JSON text may be split: structural characters, found with NumPy.

`splits` expects a text that begins outside of every string. This module does not check the grammar: orjson parses each
part between two splits, and refuses invalid JSON. The positions are correct for every valid text. In an invalid text
they are correct up to the first error, and orjson detects that error first.
"""

from typing import Final, NamedTuple

import numpy as np

SPACE: Final = b" \t\r\n"  # what JSON allows between tokens

_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_BIT: Final = 0x20  # the bit in which both kinds of brackets differ: [ is 0x5b, { is 0x7b
_OPENER: Final = ord("{")
_CLOSER: Final = ord("}")
_BLOCK: Final = 64
_CONTINUES: Final = 0x80  # bytes from here to _BEGINS continue a character of UTF-8
_BEGINS: Final = 0xC0  # bytes from here on begin a character of several bytes
_NONE: Final = np.empty(0, np.intp)
_PAIR: Final = 12  # bytes of the longest escape, a surrogate pair: \ud83d\ude00
_ESCAPE: Final = 6  # bytes of one \uXXXX


class Splits(NamedTuple):
    """The positions at which to split a text, and its state at the end."""

    positions: list[int]  # of the characters , [ { ] } at which to split, in order
    open_string: int | None  # the position of the string that is open at the end of the text
    deepest: int  # the largest depth within the text, relative to its beginning


def splits(text: bytes, *, whole: bool) -> Splits:
    """Find the splits of a text: between two splits, and before the first, every opened container is closed.

    A split is an opening bracket that stays open, a closing bracket of a container that was open before the text, or
    the last comma of a container that stays open. Unless `whole`, nothing after the last comma is split, as the value
    there may continue in the next text.
    """
    text, open_string = without_strings(text)
    if not whole:
        text = text[: text.rfind(b",") + 1]
    lowered = np.frombuffer(text, np.uint8) | _BIT
    brackets = np.flatnonzero((lowered == _OPENER) | (lowered == _CLOSER))
    if not brackets.size:
        return Splits([text.rfind(b",")] if b"," in text else [], open_string, 0)
    opens = lowered[brackets] == _OPENER
    # Commas are in the gaps between brackets. The first gap begins with the text, at depth 0.
    depth = np.zeros(brackets.size + 1, np.intp)
    after = depth[1:]
    np.cumsum(np.where(opens, 1, -1), out=after)
    least_before = np.minimum.accumulate(depth[:-1])
    least_after = np.minimum.accumulate(after[::-1])[::-1]
    stays = np.empty(depth.size, np.bool_)
    stays[0] = least_after[0] >= 0
    np.less_equal(after, least_after, out=stays[1:])
    chosen = np.where(opens, stays[1:], after < least_before)
    positions = brackets[chosen].tolist() + _last_commas(text, brackets, depth, stays)
    return Splits(sorted(positions), open_string, int(after.max()))


def _last_commas(text: bytes, brackets: np.ndarray, depth: np.ndarray, stays: np.ndarray) -> list[int]:
    """Return the last comma of each depth, in the gaps around the brackets that stay open: their depth never falls."""
    ends = np.append(brackets, len(text))
    filled = ends > 0
    filled[1:] = ends[1:] - brackets > 1
    gaps = np.flatnonzero(stays & filled)
    commas: list[int] = []
    above = len(text)  # more than any depth
    for last in range(gaps.size, 0, -_BLOCK):  # in most texts a few gaps at the end are enough
        for gap in gaps[max(last - _BLOCK, 0) : last][::-1].tolist():
            begin = ends.item(gap - 1) + 1 if gap else 0
            at = depth.item(gap)
            if at < above and (comma := text.rfind(b",", begin, ends.item(gap))) >= 0:
                commas.append(comma)
                above = at
        if above == depth[gaps[0]]:
            break
    return commas


def string_end(text: bytes) -> int | None:
    """Return the position of the quote that ends the string in which the text begins; None if there is none."""
    first = text.find(b'"')
    if first <= 0 or text[first - 1] != _BACKSLASH:
        return first if first >= 0 else None
    quotes = _quotes(np.frombuffer(text, np.uint8), text)
    return int(quotes[0]) if quotes.size else None


def string_cut(text: bytes) -> int:
    """Return the last position to split a string that is not within a character, an escape or a surrogate pair."""
    escapes = _escapes(np.frombuffer(text, np.uint8)) if b"\\" in text[-_PAIR:] else _NONE
    if not escapes.size or escapes[-1] + _PAIR < len(text):
        return _character_start(text)
    for cut in escapes[:-_PAIR:-1].tolist():
        escape = text[cut : cut + _ESCAPE]
        if len(escape) == _ESCAPE and not _is_low_surrogate(escape):
            break
    return int(cut)


def _character_start(text: bytes) -> int:
    """Return the end of the text, or the beginning of its last character if that may be incomplete."""
    end = len(text)
    first = next((each for each in range(end - 1, max(end - 5, -1), -1) if not _CONTINUES <= text[each] < _BEGINS), end)
    return first if first < end and text[first] >= _BEGINS else end


def without_strings(text: bytes) -> tuple[bytes, int | None]:
    """Return the text with zeros for its strings, and the position of the string that is open at its end, if any."""
    if b'"' not in text:
        return text, None
    codes = np.frombuffer(text, np.uint8)
    quotes = _quotes(codes, text)
    marks = np.zeros(codes.size, np.uint8)
    marks[quotes] = 1
    outside = np.bitwise_xor.accumulate(marks) ^ 1
    return (codes * outside).tobytes(), int(quotes[-1]) if quotes.size % 2 else None


def _quotes(codes: np.ndarray, text: bytes) -> np.ndarray:
    """Return the positions of the quotes that begin and end strings."""
    quotes = np.flatnonzero(codes == _QUOTE)
    if b"\\" not in text:
        return quotes
    escaped = np.zeros(codes.size + 1, bool)
    escaped[_escapes(codes) + 1] = True
    return quotes[~escaped[quotes]]


def _escapes(codes: np.ndarray) -> np.ndarray:
    """Return the positions of the backslashes that begin an escape: the first, third, ... of each run of them."""
    slashes = np.flatnonzero(codes == _BACKSLASH)
    begins = np.ones(slashes.size, bool)
    begins[1:] = np.diff(slashes) > 1
    run_start = np.maximum.accumulate(np.where(begins, slashes, 0))
    escapes: np.ndarray = slashes[(slashes - run_start) % 2 == 0]
    return escapes


def _is_low_surrogate(escape: bytes) -> bool:
    return escape[:3].lower() == b"\\ud" and escape[3:4].lower() in (b"c", b"d", b"e", b"f")
