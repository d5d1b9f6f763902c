"""JSON bodies of any size, parsed in slices: the event loop is not blocked, and numbers do not become Python objects.

orjson holds the GIL and makes an object of each value: 32 MiB at once stop the process for a second and take 15 to 30
times their size. This module parses the body in windows of 64 KiB:

    body ─► window ─► cuts: the brackets of containers that stay open, and the last commas
                          │ parts: `"inputs":` [ `0.5,0.25,` ... `,1.5` ]
                          ▼
                      orjson parses each part, completed to a list or an object, and so checks all of the grammar
                          │ (rows: rows of numbers as one flat list)
                          ▼
                      tree: the open containers; numbers go into NumPy buffers (buffers)

The text after the last comma of a window is parsed again with the next window. Only a string may be longer than a
window: it is split between two characters, and not within an escape.

The grammar is orjson's, with these limits, each with its own error: 64 levels of lists and objects; 128 KiB between two
commas, except for a string that is a value (this bounds keys and numbers); 4 MiB for a string that is not ASCII; and a
million Python objects (`tree.MAX_VALUES`).
"""

from collections.abc import Generator
from typing import Any, Final, NoReturn

import orjson

from runtime.errors import InvalidInput
from runtime.protocols.json.cuts import SPACE, splits, string_cut, string_end
from runtime.protocols.json.rows import flattened
from runtime.protocols.json.tree import OpenList, OpenObject, Tree

WINDOW: Final = 65536  # bytes: half a millisecond for numbers, about five for the smallest lists and objects
MAX_DEPTH: Final = 64  # levels of lists and objects; NumPy has the same limit of axes
MAX_TOKEN_BYTES: Final = 2 * WINDOW  # bytes between two commas, without a string that is a value
MAX_TEXT_CHARS: Final = 4 * 2**20  # of a string that is not ASCII: each character may take four bytes

_COMMA: Final = ord(",")
_LIST: Final = ord("[")
_OBJECT: Final = ord("{")
_CLOSER: Final = {OpenList: b"]", OpenObject: b"}"}
_OPENER: Final = {OpenList: b"[", OpenObject: b"{"}
_NEITHER: Final = "unexpected character, expected a comma or an end"
_GZIP: Final = b"\x1f\x8b"


def parse(body: bytes | memoryview, *, window: int = WINDOW) -> Generator[None, None, Any]:
    """Parse a body in steps of a few milliseconds at most; the caller can run other work at each `yield`.

    Returns what orjson would return, except for lists longer than a window: lists of numbers in one shape are arrays of
    int64, uint64, float64 (NaN is null) or bool.
    Raises `InvalidInput` at the first syntax error (RFC 8259), with its offset in the body, and beyond the limits.
    """
    if len(body) <= window:
        return _loads(bytes(body), b"", b"", at=0)
    return (yield from _Reader(memoryview(body), window).read())


class _Reader:
    """The state between two windows: the open containers, and the tokens that may follow."""

    __slots__ = ("_after_comma", "_after_value", "_at", "_body", "_tree", "_window")

    def __init__(self, body: memoryview, window: int) -> None:
        self._body = body
        self._window = window
        self._at = 0  # bytes read
        self._tree = Tree()
        self._after_value = False  # a comma or the end of the container must follow
        self._after_comma = False  # a value must follow

    def read(self) -> Generator[None, None, Any]:
        """Parse window by window; the rest of one is the beginning of the next."""
        rest = b""
        while self._at < len(self._body):
            rest = yield from self._read_values(self._next(rest))
            yield
        return (yield from self._finish(rest))

    def _next(self, rest: bytes) -> bytes:
        window = self._body[self._at : self._at + self._window]
        self._at += len(window)
        return rest + bytes(window)

    def _read_values(self, text: bytes) -> Generator[None, None, bytes]:
        """Parse all complete values, and a long string to its end; return the rest of the text."""
        found = splits(text, whole=False)
        start = self._at - len(text)
        done = yield from self._split(text, found.positions, found.deepest, start)
        rest = text[done:]
        if found.open_string is None:
            rest = self._without_space(rest)
        elif len(rest) > self._window // 2 and self._is_value_next(before := text[done : found.open_string]):
            yield from self._put_string(before, start + done)
            return (yield from self._read_string(text[found.open_string + 1 :]))
        if len(rest) > MAX_TOKEN_BYTES:
            self._refuse_long(rest)
        return rest

    def _without_space(self, rest: bytes) -> bytes:
        """Replace the white space at the end of the rest, and at the start of the next window, by a single space."""
        stripped = rest.rstrip(SPACE)
        if len(stripped) == len(rest):
            return rest
        window = bytes(self._body[self._at : self._at + self._window])
        self._at += len(window) - len(window.lstrip(SPACE))
        return stripped + b" "

    def _split(self, text: bytes, positions: list[int], deepest: int, start: int) -> Generator[None, None, int]:
        """Parse the parts of the text between the splits; return the end of the last one.

        `start` is the offset of the text in the body.
        """
        self._bound_depth(deepest, start)
        done = 0
        for position in positions:
            part, at, kind = text[done:position], start + done, text[position]
            if kind == _COMMA:
                self._add(part, at, comma=True)
            elif kind in (_LIST, _OBJECT):
                self._open(part, at, is_list=kind == _LIST)
            else:
                yield from self._close(part, at, text[position : position + 1])
            done = position + 1
        return done

    def _add(self, part: bytes, at: int, *, comma: bool) -> None:
        """Add members to the innermost container; `comma` or the end of the container follows."""
        end = at + len(part)
        if not self._tree.open:  # a comma outside of the document is an error: orjson locates it
            _loads(part + b",", self._stand_in(), b"", at=at)
        if self._after_value:
            part = self._after_next_comma(part, end)
        if not self._after_value:
            self._add_members(part, end - len(part))
        self._after_value, self._after_comma = not comma, comma

    def _add_members(self, part: bytes, at: int) -> None:
        if (rows := flattened(part)) and self._tree.add_rows(*rows):
            return
        opener, closer = self._brackets()
        values = _loads(part, opener, closer, at=at)
        if not values:
            raise _not_json("unexpected character, expected a JSON value", at + len(part))
        self._tree.add(values, part)

    def _after_next_comma(self, part: bytes, end: int) -> bytes:
        """Return the text after the comma that follows a value; empty if the part is only white space."""
        part = part.lstrip(SPACE)
        if not part:
            return part
        if part[0] != _COMMA:
            raise _not_json(_NEITHER, end - len(part))
        self._after_value, self._after_comma = False, True
        return part[1:]

    def _open(self, part: bytes, at: int, *, is_list: bool) -> None:
        """Open a container; the part before its bracket is empty, or a key with its colon."""
        if self._after_value:
            raise _not_json(_NEITHER, at + len(part) - len(part.lstrip(SPACE)))
        opener, closer = self._brackets()
        member = _loads(part, opener, b"[]" + closer, at=at)
        key = next(iter(member)) if opener == b"{" else ""
        self._tree.push(is_list=is_list, key=key, room=len(self._body) - at)
        self._after_comma = False

    def _close(self, part: bytes, at: int, bracket: bytes) -> Generator[None, None, None]:
        self._add(part, at, comma=False)
        if bracket != self._brackets()[1]:
            raise _not_json(_NEITHER, at + len(part))
        yield from self._tree.pop()

    def _finish(self, rest: bytes) -> Generator[None, None, Any]:
        found = splits(rest, whole=True)
        start = self._at - len(rest)
        done = yield from self._split(rest, found.positions, found.deepest, start)
        if self._tree.open:  # the end is missing: orjson raises the error
            return _loads(rest[done:], self._stand_in(), b"", at=start + done)
        if not self._after_value:  # nothing was split: the rest is the whole document, after much white space
            return _loads(rest, b"", b"", at=start)
        _loads(rest[done:], b"0", b"", at=start + done)
        return self._tree.root

    def _is_value_next(self, before: bytes) -> bool:
        """Return whether a string is a value, not a key, by the text between the last comma and its quote."""
        before = before.rstrip(SPACE)
        if before:
            return before.endswith((b":", b"["))
        return bool(self._tree.open) and isinstance(self._tree.open[-1], OpenList) and not self._after_value

    def _put_string(self, before: bytes, at: int) -> Generator[None, None, None]:
        """Add an empty string, which the long one will replace."""
        found = splits(before, whole=True)
        done = yield from self._split(before, found.positions, found.deepest, at)
        self._add(before[done:] + b'""', at + done, comma=False)

    def _read_string(self, rest: bytes) -> Generator[None, None, bytes]:
        """Parse a long string to its end, and put it into its place; return the text after it."""
        string, end = "", string_end(rest)
        while True:
            at, cut = self._at - len(rest), string_cut(rest) if end is None else end
            # CPython extends a local string in place: joining pieces at the end would copy all of it at once.
            string += _loads(rest[:cut], b'"', b'"', at=at)
            if len(string) > MAX_TEXT_CHARS and not string.isascii():
                expected = f"at most {MAX_TEXT_CHARS:,} characters, or ASCII, such as base64"
                raise InvalidInput("body", got=f"a longer string before byte {at + cut}", expected=expected)
            if end is not None:
                self._tree.replace_last(string)
                return rest[end + 1 :]
            if self._at == len(self._body):
                raise _not_json("unexpected end of data", self._at)
            yield
            rest = self._next(rest[cut:])
            end = string_end(rest)

    def _brackets(self) -> tuple[bytes, bytes]:
        if not self._tree.open:
            return b"", b""
        kind = type(self._tree.open[-1])
        return _OPENER[kind], _CLOSER[kind]

    def _stand_in(self) -> bytes:
        """Return a short text in place of everything before, so that orjson finds the error after it."""
        opener, _ = self._brackets()
        value = b'"":0' if opener == b"{" else b"0"
        return opener + (value + b"," if self._after_comma else value if self._after_value else b"")

    def _refuse_long(self, rest: bytes) -> NoReturn:
        at = self._at - len(rest)
        self._bound_depth(splits(rest, whole=True).deepest, at)
        try:
            orjson.loads(self._stand_in() + rest)
        except orjson.JSONDecodeError as error:
            if "end of data" not in error.msg:
                _loads(rest, self._stand_in(), b"", at=at)
        got = f"a key or a number of more than {MAX_TOKEN_BYTES:,} bytes at byte {at}"
        raise InvalidInput("body", got=got, expected=f"at most {MAX_TOKEN_BYTES:,} bytes")

    def _bound_depth(self, deeper: int, at: int) -> None:
        if len(self._tree.open) + deeper > MAX_DEPTH:
            got = f"more than {MAX_DEPTH} levels of lists and objects after byte {at}"
            raise InvalidInput("body", got=got, expected=f"at most {MAX_DEPTH} levels")


def _loads(part: bytes, before: bytes, after: bytes, *, at: int) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a part of the body, completed to JSON. Raises `InvalidInput` with the offset of the error."""
    try:
        return orjson.loads(before + part + after)
    except orjson.JSONDecodeError as error:
        place = len(error.doc[: error.pos].encode(errors="replace")) - len(before)
        raise _not_json(error.msg, at + min(max(place, 0), len(part)), part) from None


def _not_json(message: str, at: int, part: bytes = b"") -> InvalidInput:
    got = f"{message} at byte {at}"
    if at == 0 and part.startswith(_GZIP):
        got = "a gzip-compressed body"
    unknown = b"NaN" in part or b"Infinity" in part
    expected = "a JSON object in UTF-8" + (", with null for NaN and no infinity" if unknown else "")
    return InvalidInput("body", got=got, expected=expected)
