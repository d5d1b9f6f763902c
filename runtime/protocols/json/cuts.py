"""Where a piece of JSON text may be cut: positions of structural characters, found with NumPy, not byte by byte.

`splits` looks at a text that begins outside of every string. Nothing here checks the grammar: each part between two
splits is still given to orjson, which refuses what is not JSON. The positions are right for every valid text. In an
invalid one they are right up to the first misfit, and orjson meets that misfit first.
"""

from typing import Final, NamedTuple

import numpy as np

SPACE: Final = b" \t\r\n"  # what JSON allows between tokens

_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_BIT: Final = 0x20  # the bit in which both kinds of bracket differ: [ is 0x5b, { is 0x7b
_OPENER: Final = ord("{")
_CLOSER: Final = ord("}")
_BLOCK: Final = 64
_CONTINUES: Final = 0x80  # from here to the next, bytes within a character of UTF-8
_BEGINS: Final = 0xC0  # from here on, bytes that begin a character of several
_NONE: Final = np.empty(0, np.intp)
_PAIR: Final = 12  # bytes of the longest escape, a surrogate pair: \ud83d\ude00
_ESCAPE: Final = 6  # bytes of one \uXXXX


class Splits(NamedTuple):
    """Where to split a text, in order, and what is left open at its end."""

    positions: list[int]  # of the characters , [ { ] } at which the text is to be split
    open_string: int | None  # where the string begins that the text ends in
    deepest: int  # the greatest depth within the text, relative to where it begins


def splits(text: bytes, *, whole: bool) -> Splits:
    """Find the splits of a text: between two of them, and before the first, containers open and close in pairs.

    A split is an opening bracket that stays open, a closing bracket of a container that was open before the text, or
    the last comma of a container that stays open. `whole` says to look at all of the text; otherwise nothing
    behind the last comma is split, as the value there may go on in the next text.
    """
    text, open_string = without_strings(text)
    if not whole:
        text = text[: text.rfind(b",") + 1]
    lowered = np.frombuffer(text, np.uint8) | _BIT
    brackets = np.flatnonzero((lowered == _OPENER) | (lowered == _CLOSER))
    if not brackets.size:
        return Splits([text.rfind(b",")] if b"," in text else [], open_string, 0)
    opens = lowered[brackets] == _OPENER
    # Commas stand in the gaps between brackets, the first of which begins with the text, at depth 0.
    depth = np.zeros(brackets.size + 1, np.intp)
    behind = depth[1:]
    np.cumsum(np.where(opens, 1, -1), out=behind)
    least_before = np.minimum.accumulate(depth[:-1])
    least_behind = np.minimum.accumulate(behind[::-1])[::-1]
    stays = np.empty(depth.size, np.bool_)
    stays[0] = least_behind[0] >= 0
    np.less_equal(behind, least_behind, out=stays[1:])
    chosen = np.where(opens, stays[1:], behind < least_before)
    positions = brackets[chosen].tolist() + _last_commas(text, brackets, depth, stays)
    return Splits(sorted(positions), open_string, int(behind.max()))


def _last_commas(text: bytes, brackets: np.ndarray, depth: np.ndarray, stays: np.ndarray) -> list[int]:
    """Of each depth the last comma, in the gaps around the brackets that stay open: their depth never falls."""
    ends = np.append(brackets, len(text))
    filled = ends > 0
    filled[1:] = ends[1:] - brackets > 1
    gaps = np.flatnonzero(stays & filled)
    commas: list[int] = []
    above = len(text)  # more than any depth
    for last in range(gaps.size, 0, -_BLOCK):  # mostly a few gaps at the end are enough
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
    """Where the string ends that the text begins in: the position of its quote, or None where the text has none."""
    first = text.find(b'"')
    if first <= 0 or text[first - 1] != _BACKSLASH:
        return first if first >= 0 else None
    quotes = _quotes(np.frombuffer(text, np.uint8), text)
    return int(quotes[0]) if quotes.size else None


def string_cut(text: bytes) -> int:
    """The last place to cut the inside of a string: not within a character, an escape or a surrogate pair."""
    escapes = _escapes(np.frombuffer(text, np.uint8)) if b"\\" in text[-_PAIR:] else _NONE
    if not escapes.size or escapes[-1] + _PAIR < len(text):
        return _character_start(text)
    for cut in escapes[:-_PAIR:-1].tolist():
        escape = text[cut : cut + _ESCAPE]
        if len(escape) == _ESCAPE and not _is_low_surrogate(escape):
            break
    return int(cut)


def _character_start(text: bytes) -> int:
    """The end of the text, or where its last character begins, if that may go on."""
    end = len(text)
    first = next((each for each in range(end - 1, max(end - 5, -1), -1) if not _CONTINUES <= text[each] < _BEGINS), end)
    return first if first < end and text[first] >= _BEGINS else end


def without_strings(text: bytes) -> tuple[bytes, int | None]:
    """The text with zeros for what is in strings, and where the string begins that it ends in."""
    if b'"' not in text:
        return text, None
    codes = np.frombuffer(text, np.uint8)
    quotes = _quotes(codes, text)
    marks = np.zeros(codes.size, np.uint8)
    marks[quotes] = 1
    outside = np.bitwise_xor.accumulate(marks) ^ 1
    return (codes * outside).tobytes(), int(quotes[-1]) if quotes.size % 2 else None


def _quotes(codes: np.ndarray, text: bytes) -> np.ndarray:
    """The positions of the quotes that begin and end strings."""
    quotes = np.flatnonzero(codes == _QUOTE)
    if b"\\" not in text:
        return quotes
    escaped = np.zeros(codes.size + 1, bool)
    escaped[_escapes(codes) + 1] = True
    return quotes[~escaped[quotes]]


def _escapes(codes: np.ndarray) -> np.ndarray:
    """The positions of the backslashes that begin an escape: the first, third, ... of each run of them."""
    slashes = np.flatnonzero(codes == _BACKSLASH)
    begins = np.ones(slashes.size, bool)
    begins[1:] = np.diff(slashes) > 1
    run_start = np.maximum.accumulate(np.where(begins, slashes, 0))
    escapes: np.ndarray = slashes[(slashes - run_start) % 2 == 0]
    return escapes


def _is_low_surrogate(escape: bytes) -> bool:
    return escape[:3].lower() == b"\\ud" and escape[3:4].lower() in (b"c", b"d", b"e", b"f")
