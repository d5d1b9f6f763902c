"""Splits large protobuf messages into their large fields, which are not copied, and the small rest. Pure.

protobuf parses a message at once and holds the interpreter's lock meanwhile: 0.3 s for 32 MB of small integers, 20 s
and 4 GB for 32 MB of empty messages. Therefore protobuf parses only the small rest of a large message. The callers
parse the large fields in pieces, on a thread.
"""

from collections.abc import Container, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from runtime import protobuf
from runtime.errors import InvalidInput

SMALL: Final = 64 * 1024  # bytes that protobuf parses in a millisecond, whatever they contain
FEW: Final = 4096  # fields of a message that is split on the event loop
MANY: Final = 250_000  # fields of a message that is split on a thread, such as strings: 50 MiB, and a second
_KEY, _VALUE = 1, 2  # of an entry of a map
_EMPTY: Final = memoryview(b"")
_SHOWN_CHARS: Final = 80  # of a name in an error message
_PIECE: Final = 256 * 1024  # bytes of packed integers that protobuf parses in two milliseconds


class Outline(NamedTuple):
    """The small rest of a message, and the contents of its large fields by field number."""

    rest: bytes
    spans: dict[int, list[memoryview]]


def outline(message: memoryview, large: Container[int], *, limit: int = FEW) -> Outline:
    """Separate the length-delimited fields with the numbers in `large` from the rest.

    Raises `InvalidInput` if the message is malformed, has more than `limit` fields, or its rest is larger than 64 KiB.
    """
    rest: list[memoryview] = []
    spans: dict[int, list[memoryview]] = {}
    size = 0
    for part in fields(message, limit=limit):
        if part.kind == protobuf.BYTES and part.number in large:
            spans.setdefault(part.number, []).append(message[part.start : part.end])
        else:
            rest.append(message[part.begin : part.end])
            size += len(rest[-1])
            if size > SMALL:
                got = f"more than {SMALL} bytes besides its large fields"
                raise InvalidInput("message", got=got, expected=f"at most {SMALL}; numbers must be packed")
    return Outline(b"".join(rest), spans)


def fields(message: memoryview, *, limit: int) -> Iterator[protobuf.Part]:
    """Yield the fields of a message. Raises `InvalidInput` if it is malformed or has more than `limit` fields."""
    try:
        for index, part in enumerate(protobuf.parts(message)):
            if index == limit:
                got = f"more than {limit} fields in one message"
                raise InvalidInput("message", got=got, expected=f"at most {limit}")
            yield part
    except ValueError as error:
        got = f"invalid protobuf ({error})"
        raise InvalidInput("message", got=got, expected="the request message of this method") from error


def entries(field: str, spans: Iterable[memoryview]) -> dict[str, memoryview]:
    """Return the entries of a map from names to values, which are not copied. Raises `InvalidInput`."""
    return dict(_entry(field, span) for span in spans)


def _entry(field: str, entry: memoryview) -> tuple[str, memoryview]:
    rest, spans = outline(entry, {_KEY, _VALUE})
    keys, values = spans.get(_KEY, [_EMPTY]), spans.get(_VALUE, [_EMPTY])
    try:
        name = str(keys[-1], "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(field, got="a name that is not UTF-8", expected="UTF-8") from None
    if rest or len(values) > 1:
        raise InvalidInput(f"{field}.{name[:_SHOWN_CHARS]}", got="a malformed entry", expected="a name and a value")
    return name, values[0]


def pieces(packed: memoryview) -> Iterator[memoryview]:
    """Yield packed varints in pieces. No piece ends within a number, unless a number is longer than protobuf allows."""
    at, end = 0, len(packed)
    while at < end:
        until = min(at + _PIECE, end)
        if until < end:
            last = np.frombuffer(packed[until - 10 : until], np.uint8) < protobuf.MORE  # bytes that end a number
            until -= int(np.argmax(last[::-1]))
        yield packed[at:until]
        at = until
