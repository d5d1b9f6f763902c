"""Large messages, parted into their tensors and examples, which stay where they are, and the little else. Pure.

protobuf parses a message whole and holds the interpreter's lock meanwhile: 0.3 s for 32 MB of small integers, 0.5 s for
as many empty messages, which take ten times their size of memory. So of a large message protobuf gets the little else
alone, and the rest in pieces, from a thread.
"""

from collections.abc import Container, Iterator
from typing import Final, NamedTuple

import numpy as np

from runtime import protobuf
from runtime.errors import InvalidInput

SMALL: Final = 64 * 1024  # bytes that protobuf parses in a millisecond, whatever they hold
FEW: Final = 4096  # fields of a message that are looked at on the event loop
MANY: Final = 250_000  # fields of a message that are looked at on a thread, such as strings: 50 MiB, and a second
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
                got = f"more than {SMALL} bytes beside tensors and examples"
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
