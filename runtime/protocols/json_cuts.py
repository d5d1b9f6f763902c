"""Where a piece of JSON text may be cut: positions of structural characters, found with NumPy, not byte by byte.

`splits` looks at a text that begins outside of every string. Nothing here checks the grammar: each part between two
splits is still given to orjson, which refuses what is not JSON. The positions are right for every valid text. In an
invalid one they are right up to the first misfit, and orjson meets that misfit first.
"""

from typing import Final, NamedTuple

import numpy as np

SPACE: Final = b" \t\r\n"  # what JSON allows between tokens

_COMMA: Final = ord(",")
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_OPENERS: Final = ord("{")  # of both kinds, with bit 0x20 set: [ is 0x5b, { is 0x7b
_CLOSERS: Final = ord("}")
_BIT: Final = 0x20
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
    if not whole and _is_flat(text):
        last = text.rfind(b",")
        return Splits([last] if last >= 0 else [], None, 0)
    codes = np.frombuffer(text, np.uint8)
    quotes = _quotes(codes, text)
    lowered = codes | _BIT
    found = np.flatnonzero((codes == _COMMA) | (lowered == _OPENERS) | (lowered == _CLOSERS))
    found = found[np.searchsorted(quotes, found) % 2 == 0]
    open_string = int(quotes[-1]) if len(quotes) % 2 else None
    if not whole:
        commas = np.flatnonzero(codes[found] == _COMMA)
        found = found[: commas[-1] + 1 if commas.size else 0]
    if not found.size:
        return Splits([], open_string, 0)
    kinds = codes[found] | _BIT  # a comma has the bit already
    depth = np.cumsum((kinds == _OPENERS).astype(np.int32) - (kinds == _CLOSERS))
    chosen = _stays_open(kinds, depth) | _closes_older(kinds, depth) | _last_comma(kinds, depth)
    return Splits(found[chosen].tolist(), open_string, int(depth.max()))


def string_end(text: bytes) -> int | None:
    """Where the string ends that the text begins in: the position of its quote, or None where the text has none."""
    first = text.find(b'"')
    if first <= 0 or text[first - 1] != _BACKSLASH:
        return first if first >= 0 else None
    quotes = _quotes(np.frombuffer(text, np.uint8), text)
    return int(quotes[0]) if quotes.size else None


def string_cut(text: bytes) -> int:
    """The last place to cut the inside of a string: not within a character, an escape or a surrogate pair."""
    end = len(text)
    if b"\\" not in text[-_PAIR:]:
        return _character_start(text)
    for start in _escapes(np.frombuffer(text, np.uint8))[::-1][:_PAIR].tolist():
        if start + _PAIR < end:
            return _character_start(text)
        cut = start
        if start + _ESCAPE <= end and not _is_low_surrogate(text[start : start + _ESCAPE]):
            break
    return int(cut)


def _character_start(text: bytes) -> int:
    """The end of the text, or where its last character begins, if that has more than one byte and may go on."""
    end = len(text)
    for start in range(end - 1, max(end - 5, -1), -1):
        if text[start] & 0xC0 != 0x80:  # no continuation byte of UTF-8
            return start if text[start] & 0x80 else start + 1
    return end


def _is_flat(text: bytes) -> bool:
    """Whether there is neither a string nor a bracket, so that every comma belongs to one list: a quick look."""
    return not any(each in text for each in (b'"', b"]", b"[", b"}", b"{"))


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
    return slashes[(slashes - run_start) % 2 == 0]


def _stays_open(kinds: np.ndarray, depth: np.ndarray) -> np.ndarray:
    return (kinds == _OPENERS) & (depth <= _least_from_here(depth))


def _closes_older(kinds: np.ndarray, depth: np.ndarray) -> np.ndarray:
    least_before = np.minimum.accumulate(np.concatenate(([0], depth[:-1])))
    return (kinds == _CLOSERS) & (depth < least_before)


def _last_comma(kinds: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The commas behind which no other comma stands at their depth or above it."""
    of_commas = np.where(kinds == _COMMA, depth, np.iinfo(np.int32).max)
    least_behind = np.append(_least_from_here(of_commas)[1:], np.iinfo(np.int32).max)
    return of_commas < least_behind


def _least_from_here(depth: np.ndarray) -> np.ndarray:
    return np.minimum.accumulate(depth[::-1])[::-1]


def _is_low_surrogate(escape: bytes) -> bool:
    return escape[:3].lower() == b"\\ud" and escape[3:4].lower() in (b"c", b"d", b"e", b"f")
