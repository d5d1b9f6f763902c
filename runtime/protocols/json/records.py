"""Arrays as a JSON list of objects, one for each row: `[{"a": 1, "b": [1, 2]}, ...]`, in pieces."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from runtime.protocols.json import writer

_MAX_ROWS: Final = 256  # that are written together
_MAX_NUMBERS: Final = 5000  # that are written together


def dump(key: str, columns: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """Yield the JSON of `{KEY: ROWS}` in pieces; a row has an element of each column. All columns have the same length.

    Raises `TypeError` as `writer.dump` does.
    """
    rows = len(next(iter(columns.values())))
    width = sum(column.size for column in columns.values()) // max(rows, 1)
    step = max(1, min(_MAX_ROWS, _MAX_NUMBERS // max(width, 1)))
    before = writer.small({key: 0})[:-2] + b"["
    if not rows:
        yield before + b"]}"
    for begin in range(0, rows, step):
        block = zip(*(column[begin : begin + step] for column in columns.values()), strict=True)
        pieces = writer.dump([dict(zip(columns, row, strict=True)) for row in block])
        yield from _between(pieces, before, b"," if begin + step < rows else b"]}")
        before = b""


def _between(pieces: Iterator[bytes], before: bytes, after: bytes) -> Iterator[bytes]:
    """Yield the pieces of a list with other text instead of its brackets."""
    held = before + next(pieces)[1:]
    for piece in pieces:
        yield held
        held = piece
    yield held[:-1] + after
