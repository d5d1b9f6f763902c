"""JSON bodies of any size, parsed in slices, so that the event loop lives and numbers never become Python objects.

orjson holds the GIL and makes an object of each value: 32 MiB at once stop the process for a second and take 15 to 30
times their size. Here the body is read in windows of 64 KiB:

    body ─► window ─► cuts: where containers stay open, and the last commas
                          │ parts: `"inputs":` [ `0.5,0.25,` ... `,1.5` ]
                          ▼
                      orjson parses each part, completed to a list or an object: all of the grammar is checked by it
                          │ (rows: rows of numbers as one flat list)
                          ▼
                      tree: the open containers; numbers go on into NumPy buffers (buffers)

What a window leaves behind its last comma is read again with the next one. Only a string may be longer than a window:
it is cut within, where neither a character nor an escape is.

The language is that of orjson, with these limits, each with an error of its own: 64 levels of lists and objects; 128
KiB between two commas, apart from a string that is a value (this bounds keys and numbers); 4 MiB for a string that is
not ASCII; and a million Python objects (`tree.MOST_VALUES`).
"""

from collections.abc import Generator
from typing import Any, Final, NoReturn

import orjson

from runtime.errors import InvalidInput
from runtime.protocols.json.cuts import SPACE, splits, string_cut, string_end
from runtime.protocols.json.rows import flattened
from runtime.protocols.json.tree import OpenList, OpenObject, Tree

WINDOW: Final = 65536  # bytes: half a millisecond for numbers, some five for the smallest lists and objects
DEEPEST: Final = 64  # lists and objects within each other; NumPy has as many axes
LONGEST_TOKEN: Final = 2 * WINDOW  # bytes between two commas, without a string that is a value
LONGEST_TEXT: Final = 4 * 2**20  # characters of a string with any beyond ASCII: each may take four bytes

_COMMA: Final = ord(",")
_LIST: Final = ord("[")
_OBJECT: Final = ord("{")
_CLOSER: Final = {OpenList: b"]", OpenObject: b"}"}
_OPENER: Final = {OpenList: b"[", OpenObject: b"{"}
_NEITHER: Final = "unexpected character, expected a comma or an end"
_GZIP: Final = b"\x1f\x8b"


def parse(body: bytes | memoryview, *, window: int = WINDOW) -> Generator[None, None, Any]:
    """Parse a body in steps of a few milliseconds at most; the driver lets others run at each `yield`.

    Returns what orjson would, except for lists longer than a window: those of numbers in one shape are arrays of
    int64, uint64, float64 (where NaN stands for null) or bool.
    Raises `InvalidInput` at the first misfit, with its place in the body (RFC 8259), or for a body beyond the limits.
    """
    if len(body) <= window:
        return _loads(bytes(body), b"", b"", at=0)
    return (yield from _Reader(memoryview(body), window).read())


class _Reader:
    """What is known between two windows: the open containers, and what the text may go on with."""

    __slots__ = ("_after_comma", "_after_value", "_at", "_body", "_tree", "_window")

    def __init__(self, body: memoryview, window: int) -> None:
        self._body = body
        self._window = window
        self._at = 0  # bytes read
        self._tree = Tree()
        self._after_value = False  # a comma or the end of the container must follow
        self._after_comma = False  # a value must follow

    def read(self) -> Generator[None, None, Any]:
        """Read window by window; the rest of one is the beginning of the next."""
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
        """Take what is complete, and a long string to its end."""
        found = splits(text, whole=False)
        start = self._at - len(text)
        done = yield from self._split(text, found.positions, found.deepest, start)
        rest = text[done:]
        if found.open_string is None:
            rest = self._without_space(rest)
        elif len(rest) > self._window // 2 and self._takes_value(before := text[done : found.open_string]):
            yield from self._put_string(before, start + done)
            return (yield from self._read_string(text[found.open_string + 1 :]))
        if len(rest) > LONGEST_TOKEN:
            self._refuse_long(rest)
        return rest

    def _without_space(self, rest: bytes) -> bytes:
        """The rest with one space at its end for all that are there, and at the beginning of the next window."""
        stripped = rest.rstrip(SPACE)
        if len(stripped) == len(rest):
            return rest
        window = bytes(self._body[self._at : self._at + self._window])
        self._at += len(window) - len(window.lstrip(SPACE))
        return stripped + b" "

    def _split(self, text: bytes, positions: list[int], deepest: int, start: int) -> Generator[None, None, int]:
        """Take the parts of the text between the splits, of which the last is returned; `start` is its place."""
        self._bound_depth(deepest, start)
        done = 0
        for position in positions:
            part, at, kind = text[done:position], start + done, text[position]
            if kind == _COMMA:
                self._take(part, at, comma=True)
            elif kind in (_LIST, _OBJECT):
                self._open(part, at, is_list=kind == _LIST)
            else:
                yield from self._close(part, at, text[position : position + 1])
            done = position + 1
        return done

    def _take(self, part: bytes, at: int, *, comma: bool) -> None:
        """Take members of the innermost container, which a comma or its end follows."""
        end = at + len(part)
        if not self._tree.open:  # outside of the document, where no comma belongs: orjson says where the misfit is
            _loads(part + b",", self._so_far(), b"", at=at)
        if self._after_value:
            part = self._behind_comma(part, end)
        if not self._after_value:
            self._take_members(part, end - len(part))
        self._after_value, self._after_comma = not comma, comma

    def _take_members(self, part: bytes, at: int) -> None:
        if (rows := flattened(part)) and self._tree.take_rows(*rows):
            return
        opener, closer = self._brackets()
        values = _loads(part, opener, closer, at=at)
        if not values:
            raise _not_json("unexpected character, expected a JSON value", at + len(part))
        self._tree.take(values, part)

    def _behind_comma(self, part: bytes, end: int) -> bytes:
        """What stands behind the comma that a value is followed by; nothing where the part is only space."""
        part = part.lstrip(SPACE)
        if not part:
            return part
        if part[0] != _COMMA:
            raise _not_json(_NEITHER, end - len(part))
        self._after_value, self._after_comma = False, True
        return part[1:]

    def _open(self, part: bytes, at: int, *, is_list: bool) -> None:
        """Open a container; the part before its bracket is empty, or a key and its colon."""
        if self._after_value:
            raise _not_json(_NEITHER, at + len(part) - len(part.lstrip(SPACE)))
        opener, closer = self._brackets()
        member = _loads(part, opener, b"[]" + closer, at=at)
        key = next(iter(member)) if opener == b"{" else ""
        self._tree.push(is_list=is_list, key=key, room=len(self._body) - at)
        self._after_comma = False

    def _close(self, part: bytes, at: int, bracket: bytes) -> Generator[None, None, None]:
        self._take(part, at, comma=False)
        if bracket != self._brackets()[1]:
            raise _not_json(_NEITHER, at + len(part))
        yield from self._tree.pop()

    def _finish(self, rest: bytes) -> Generator[None, None, Any]:
        found = splits(rest, whole=True)
        start = self._at - len(rest)
        done = yield from self._split(rest, found.positions, found.deepest, start)
        if self._tree.open:  # the end is missing: orjson says what came instead
            return _loads(rest[done:], self._so_far(), b"", at=start + done)
        if not self._after_value:  # nothing was split: the whole document is here, behind much space
            return _loads(rest, b"", b"", at=start)
        _loads(rest[done:], b"0", b"", at=start + done)
        return self._tree.root

    def _takes_value(self, before: bytes) -> bool:
        """Whether a string is a value, not a key, by the text between the last comma and its quote."""
        before = before.rstrip(SPACE)
        if before:
            return before.endswith((b":", b"["))
        return bool(self._tree.open) and isinstance(self._tree.open[-1], OpenList) and not self._after_value

    def _put_string(self, before: bytes, at: int) -> Generator[None, None, None]:
        """Put an empty string where the long one will be."""
        found = splits(before, whole=True)
        done = yield from self._split(before, found.positions, found.deepest, at)
        self._take(before[done:] + b'""', at + done, comma=False)

    def _read_string(self, rest: bytes) -> Generator[None, None, bytes]:
        """Read a long string to its end, and put it into its place; return what follows it."""
        string, end = "", string_end(rest)
        while True:
            at, cut = self._at - len(rest), string_cut(rest) if end is None else end
            # CPython extends a local string in place: joining pieces at the end would copy all of it at once.
            string += _loads(rest[:cut], b'"', b'"', at=at)
            if len(string) > LONGEST_TEXT and not string.isascii():
                expected = f"at most {LONGEST_TEXT:,} characters, or ASCII, such as base64"
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

    def _so_far(self) -> bytes:
        """A short text that stands for all that was taken, so that orjson tells what is wrong behind it."""
        opener, _ = self._brackets()
        value = b'"":0' if opener == b"{" else b"0"
        return opener + (value + b"," if self._after_comma else value if self._after_value else b"")

    def _refuse_long(self, rest: bytes) -> NoReturn:
        at = self._at - len(rest)
        self._bound_depth(splits(rest, whole=True).deepest, at)
        try:
            orjson.loads(self._so_far() + rest)
        except orjson.JSONDecodeError as error:
            if "end of data" not in error.msg:
                _loads(rest, self._so_far(), b"", at=at)
        got = f"a key or a number of more than {LONGEST_TOKEN:,} bytes at byte {at}"
        raise InvalidInput("body", got=got, expected=f"at most {LONGEST_TOKEN:,} bytes")

    def _bound_depth(self, deeper: int, at: int) -> None:
        if len(self._tree.open) + deeper > DEEPEST:
            got = f"more than {DEEPEST} levels of lists and objects behind byte {at}"
            raise InvalidInput("body", got=got, expected=f"at most {DEEPEST} levels")


def _loads(part: bytes, before: bytes, behind: bytes, *, at: int) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a part of the body, completed to JSON. Raises `InvalidInput` with the place of what is wrong."""
    try:
        return orjson.loads(before + part + behind)
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
