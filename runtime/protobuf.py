"""Protobuf's wire format without a schema: a reader that does not load the message, and functions for a writer.

The reader yields the positions of the fields and skips their content: the pod has no onnx package, and a model file may
be larger than its memory. Source: protobuf, "Encoding" (https://protobuf.dev/programming-guides/encoding/).
"""

import mmap
from collections.abc import Iterator
from typing import NamedTuple

Buffer = bytes | memoryview | mmap.mmap
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LOWEST_BITS, MORE = 0x7F, 0x80
NO_NUMBER = 7  # the largest tag of field number 0, which is invalid
LONGEST_VARINT = 70  # bits: 10 groups of 7


class Field(NamedTuple):
    """A length-delimited field: its number and the span of its content."""

    number: int
    start: int
    end: int


def length_delimited(buffer: Buffer, start: int, end: int) -> Iterator[Field]:
    """Yield the length-delimited fields of the message at [start, end). Raises ValueError if it is malformed."""
    at = start
    while at < end:
        tag, at = varint_at(buffer, at, end)
        kind = tag & 7
        if kind == BYTES:
            length, at = varint_at(buffer, at, end)
            if at + length > end:
                raise ValueError(f"a field of {length} bytes does not fit at byte {at}")
            yield Field(tag >> 3, at, at + length)
            at += length
        elif kind == VARINT:
            _, at = varint_at(buffer, at, end)
        elif kind in {FIXED64, FIXED32}:
            at += 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
    if at != end:
        raise ValueError(f"a message ends at byte {at} instead of {end}")


class Part(NamedTuple):
    """A field of any kind: its number, its wire type, its start, and the span of its content."""

    number: int
    kind: int
    begin: int
    start: int
    end: int


def parts(buffer: Buffer) -> Iterator[Part]:
    """Yield all fields of a message. Raises ValueError if it is malformed."""
    at, size = 0, len(buffer)
    while at < size:
        begin = at
        tag, at = (buffer[at], at + 1) if buffer[at] < MORE else varint_at(buffer, at, size)  # most have one byte
        kind, start = tag & 7, at
        if tag <= NO_NUMBER:
            raise ValueError(f"a field without a number at byte {begin}")
        if kind == VARINT:
            _, at = varint_at(buffer, at, size)
        elif kind == BYTES:
            short = at < size and buffer[at] < MORE
            length, start = (buffer[at], at + 1) if short else varint_at(buffer, at, size)
            at = start + length
        elif kind in {FIXED64, FIXED32}:
            at += 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at > size:
            raise ValueError(f"a field of {at - start} bytes does not fit at byte {start}")
        yield Part(tag >> 3, kind, begin, start, at)


def number(buffer: Buffer, start: int, end: int, field: int) -> int | None:
    """Return the last varint field with this number in the message at [start, end), or None."""
    found = None
    at = start
    while at < end:
        tag, at = varint_at(buffer, at, end)
        kind = tag & 7
        if kind == VARINT:
            value, at = varint_at(buffer, at, end)
            found = value if tag >> 3 == field else found
        elif kind == BYTES:
            length, at = varint_at(buffer, at, end)
            at += length
        else:
            at += 8 if kind == FIXED64 else 4
    return found


def varint_at(buffer: Buffer, at: int, end: int) -> tuple[int, int]:
    """Return the varint at a position, and the position after it. Raises ValueError."""
    value = shift = 0
    while at < end and shift < LONGEST_VARINT:
        byte = buffer[at]
        at += 1
        value |= (byte & LOWEST_BITS) << shift
        if byte < MORE:
            return value, at
        shift += 7
    raise ValueError(f"an incomplete varint at byte {at}")


def varint(value: int) -> bytes:
    """Return a number of at least 0 as a varint."""
    if value < MORE:
        return bytes((value,))
    groups = bytearray()
    while value >= MORE:
        groups.append(value & LOWEST_BITS | MORE)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def head(number: int, length: int) -> bytes:
    """Return the bytes before the content of a length-delimited field of `length` bytes."""
    return varint(number << 3 | BYTES) + varint(length)


def delimited(number: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return head(number, len(content)) + content
