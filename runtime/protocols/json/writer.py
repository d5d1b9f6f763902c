"""JSON answers of any size, encoded in pieces, so that a large one does not block the event loop.

The pieces together are, byte for byte, the JSON that orjson writes. orjson serializes small values. A large object,
list, array or string is split, and its parts are written between the brackets, commas and quotes.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final, cast

import numpy as np
import orjson

from runtime.tensors import STRING

PIECE: Final = 65536  # estimated bytes of a piece: well below a millisecond

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
_NUMBER: Final = 12  # bytes of a number with its comma, on average
_MANY: Final = 5000  # numbers: more are written in pieces, so that the event loop is not blocked
_NUMBERS: Final = frozenset({int, float, bool, type(None)})
_ESCAPED: Final = 6  # the largest number of bytes of a character: \u001f
_BATCH: Final = 1024  # members of a list or an object whose size is estimated together


def dump(document: object) -> Iterator[bytes]:
    """Serialize a document (RFC 8259) in pieces of about 64 KiB; None, NaN and infinity are null.

    Supports what orjson supports, and NumPy arrays of objects or without axes. A float32 is written as the shortest
    text that parses to the same float32; the same applies to the other element types. Raises `TypeError` for a value
    that JSON has no form for; the pieces before it are yielded already.
    """
    pieces: list[bytes] = []
    size = 0
    for piece in _dump(document):
        pieces.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b"".join(pieces)
            pieces.clear()
            size = 0
    if pieces:
        yield b"".join(pieces)


def is_large(arrays: Iterable[np.ndarray]) -> bool:
    """Return whether to write the arrays in pieces, so that the event loop is not blocked; strings can be long."""
    for each in arrays:  # noqa: SIM110 - a generator costs more than the checks
        if each.size > _MANY or (each.dtype == STRING and size_hint(each) > PIECE):
            return True
    return False


def size_hint(document: object) -> int:
    """Estimate the bytes of the document as JSON; the count ends at the size of a piece."""
    if isinstance(document, str):
        return len(document) + 3
    if isinstance(document, np.ndarray):
        return _NUMBER * document.size if document.dtype.kind != "O" else _sum(document.flat)
    if isinstance(document, dict):
        return _sum(chain.from_iterable(document.items()))
    if isinstance(document, (list, tuple)):
        return _sum(document)
    return _NUMBER


def _sum(members: Iterable[object]) -> int:
    size = 3
    for each in members:
        size += _NUMBER if type(each) in _NUMBERS else size_hint(each)
        if size > PIECE:
            break
    return size


def _dump(document: object) -> Iterator[bytes]:
    """Yield the document in pieces of up to about 64 KiB."""
    if size_hint(document) <= PIECE:
        yield small(document)
    elif isinstance(document, str):
        yield from _string(document)
    elif isinstance(document, np.ndarray):
        yield from _enclosed(_rows(document), b"[", b"]")
    elif isinstance(document, dict):
        yield from _enclosed(_members(document), b"{", b"}")
    else:  # a list or a tuple: any other value is small
        yield from _enclosed(_elements(cast("Iterable[Any]", document)), b"[", b"]")


def _enclosed(parts: Iterable[Iterable[bytes]], opener: bytes, closer: bytes) -> Iterator[bytes]:
    before = opener
    for part in parts:
        yield before
        yield from part
        before = b","
    yield closer


def _rows(array: np.ndarray) -> Iterator[Iterable[bytes]]:
    """Yield the rows of a large array: several rows per piece, or each row split if it is larger than a piece."""
    size = size_hint(array[0])
    if size > PIECE or array.dtype.kind == "O":
        yield from _elements(array)
        return
    step = PIECE // max(size, _NUMBER)
    for begin in range(0, len(array), step):
        yield (small(array[begin : begin + step])[1:-1],)


def _elements(values: Iterable[Any]) -> Iterator[Iterable[bytes]]:
    remaining = iter(values)
    while batch := list(islice(remaining, _BATCH)):
        if size_hint(batch) <= PIECE:
            yield (small(batch)[1:-1],)
        else:
            yield from map(_dump, batch)


def _members(values: dict[Any, Any]) -> Iterator[Iterable[bytes]]:
    remaining = iter(values.items())
    while batch := dict(islice(remaining, _BATCH)):
        if size_hint(batch) <= PIECE:
            yield (small(batch)[1:-1],)
            continue
        for key, value in batch.items():
            name = small({key: 0})[1:-2]  # with its colon
            yield chain((name,), _dump(value))


def _string(text: str) -> Iterator[bytes]:
    yield b'"'
    step = PIECE // _ESCAPED
    for begin in range(0, len(text), step):
        yield small(text[begin : begin + step])[1:-1]
    yield b'"'


def small(document: object) -> bytes:
    """Serialize a small document at once, as `dump` does."""
    return orjson.dumps(document, _plain, _OPTIONS)


def _plain(value: object) -> object:
    """Return a form that orjson supports. Raises `TypeError` if there is none."""
    if isinstance(value, np.integer):  # orjson does not support ONNX Runtime's int64, which is not NumPy's usual one
        return int(value)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"no JSON form for a {type(value).__name__}")
    if not value.ndim:
        return value[()]
    if value.dtype.kind == "O":
        return value.tolist()
    if value.flags.c_contiguous:
        raise TypeError(f"no JSON form for an array of {value.dtype}")
    return np.ascontiguousarray(value)
