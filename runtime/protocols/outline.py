"""Large protobuf messages, parted into their large fields, which stay where they are, and the little else. Pure.

protobuf parses a message whole and holds the interpreter's lock meanwhile: 0.3 s for 32 MB of small integers, 20 s and
4 GB for as many empty messages. So of a large message protobuf gets the little else alone, and the rest in pieces, from
a thread.
"""

from collections.abc import Container, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from runtime import protobuf
from runtime.errors import InvalidInput

SMALL: Final = 64 * 1024  # bytes that protobuf parses in a millisecond, whatever they hold
FEW: Final = 4096  # fields of a message that are looked at on the event loop
MANY: Final = 250_000  # fields of a message that are looked at on a thread, such as strings: 50 MiB, and a second
_KEY, _VALUE = 1, 2  # of an entry of a map
_EMPTY: Final = memoryview(b"")
_ECHOED: Final = 80  # characters of a name that an error repeats
_PIECE: Final = 256 * 1024  # bytes of packed integers that protobuf parses in two milliseconds


class Outline(NamedTuple):
    """What is left of a message, and the contents of the fields that were taken out, by their numbers."""

    rest: bytes
    spans: dict[int, list[memoryview]]


def outline(message: memoryview, taken: Container[int], *, most: int = FEW) -> Outline:
    """Take the length-delimited fields of these numbers out.

    Raises `InvalidInput` where the message is malformed, has more than `most` fields, or too much is left.
    """
    rest: list[memoryview] = []
    spans: dict[int, list[memoryview]] = {}
    size = 0
    for part in fields(message, most=most):
        if part.kind == protobuf.BYTES and part.number in taken:
            spans.setdefault(part.number, []).append(message[part.start : part.end])
        else:
            rest.append(message[part.begin : part.end])
            size += len(rest[-1])
            if size > SMALL:
                got = f"more than {SMALL} bytes beside its large fields"
                raise InvalidInput("message", got=got, expected=f"at most {SMALL}; numbers have to be packed")
    return Outline(b"".join(rest), spans)


def fields(message: memoryview, *, most: int) -> Iterator[protobuf.Part]:
    """The fields of a message. Raises `InvalidInput` where it is malformed or has more than `most`."""
    try:
        for index, part in enumerate(protobuf.parts(message)):
            if index == most:
                raise InvalidInput("message", got=f"more than {most} fields in one message", expected=f"at most {most}")
            yield part
    except ValueError as error:
        raise InvalidInput("message", got=f"no protobuf ({error})", expected="a message of the method") from error


def entries(field: str, spans: Iterable[memoryview]) -> dict[str, memoryview]:
    """The entries of a map from names to values, which stay where they are. Raises `InvalidInput`."""
    return dict(_entry(field, span) for span in spans)


def _entry(field: str, entry: memoryview) -> tuple[str, memoryview]:
    rest, spans = outline(entry, {_KEY, _VALUE})
    keys, values = spans.get(_KEY, [_EMPTY]), spans.get(_VALUE, [_EMPTY])
    try:
        name = str(keys[-1], "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(field, got="a name that is not UTF-8", expected="UTF-8") from None
    if rest or len(values) > 1:
        raise InvalidInput(f"{field}.{name[:_ECHOED]}", got="a malformed entry", expected="a name and a value")
    return name, values[0]


def pieces(packed: memoryview) -> Iterator[memoryview]:
    """Packed varints in pieces, none of which ends within a number, as long as no number is longer than allowed."""
    at, end = 0, len(packed)
    while at < end:
        until = min(at + _PIECE, end)
        if until < end:
            last = np.frombuffer(packed[until - 10 : until], np.uint8) < protobuf.MORE  # bytes that end a number
            until -= int(np.argmax(last[::-1]))
        yield packed[at:until]
        at = until
