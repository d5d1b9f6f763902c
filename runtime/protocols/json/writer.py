"""JSON answers of any size, encoded in pieces, so that the event loop lives while a large one is written.

The pieces together are, byte for byte, what orjson makes of the document at once. Whatever is small is given to orjson
as it is; a large object, list, array or string is taken apart, and its parts are written between the brackets, commas
and quotes that belong there.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final, cast

import numpy as np
import orjson

from runtime.tensors import STRING

PIECE: Final = 65536  # estimated bytes of a piece: well below a millisecond of work

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
_NUMBER: Final = 12  # bytes of a number with its comma, about
_MANY: Final = 5000  # numbers: as JSON about as much as may be written at once
_NUMBERS: Final = frozenset({int, float, bool, type(None)})
_ESCAPED: Final = 6  # bytes of a character at most: \u001f
_BATCH: Final = 1024  # members of a list or an object that are looked at together


def dump(document: object) -> Iterator[bytes]:
    """Serialize a document (RFC 8259) in pieces of some 64 KiB; None, NaN and infinity are null.

    Takes what orjson takes, and NumPy arrays of objects or without axes as well. A float32 is written in the shortest
    form that reads back as the same float32, and so on for the other element types.
    Raises `TypeError` for a value that JSON has no form for; the pieces before it have been given out by then.
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
    """Whether writing the arrays at once would hold the event loop; strings may be of any length."""
    for each in arrays:  # noqa: SIM110 - a generator costs more than all that is looked at
        if each.size > _MANY or (each.dtype == STRING and size_hint(each) > PIECE):
            return True
    return False


def size_hint(document: object) -> int:
    """About how many bytes the document takes as JSON: counted no further than to the size of a piece."""
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
    """The pieces of a document, of any size up to some 64 KiB."""
    if size_hint(document) <= PIECE:
        yield small(document)
    elif isinstance(document, str):
        yield from _string(document)
    elif isinstance(document, np.ndarray):
        yield from _enclosed(_rows(document), b"[", b"]")
    elif isinstance(document, dict):
        yield from _enclosed(_members(document), b"{", b"}")
    else:  # a list or a tuple: anything else is small
        yield from _enclosed(_elements(cast("Iterable[Any]", document)), b"[", b"]")


def _enclosed(parts: Iterable[Iterable[bytes]], opener: bytes, closer: bytes) -> Iterator[bytes]:
    before = opener
    for part in parts:
        yield before
        yield from part
        before = b","
    yield closer


def _rows(array: np.ndarray) -> Iterator[Iterable[bytes]]:
    """The rows of a large array: as many at once as make a piece, or each taken apart if it is one or more."""
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
    """What orjson takes for it. Raises `TypeError` where there is nothing."""
    if isinstance(value, np.integer):  # orjson knows some of NumPy's whole numbers, and not ONNX Runtime's int64
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
