"""Arrays as a list of objects, one for each row: `[{"a": 1, "b": [1, 2]}, ...]`, written in pieces."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from runtime.protocols.json import writer

_ROWS: Final = 256  # that are written together
_MANY: Final = 5000  # numbers that are written together


def dump(key: str, columns: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """The JSON of `{KEY: ROWS}`, a row having an element of each column; the columns have one length.

    Raises `TypeError` as `writer.dump` does.
    """
    rows = len(next(iter(columns.values())))
    width = sum(column.size for column in columns.values()) // max(rows, 1)
    step = max(1, min(_ROWS, _MANY // max(width, 1)))
    before = writer.small({key: 0})[:-2] + b"["
    for begin in range(0, rows, step):
        block = zip(*(column[begin : begin + step] for column in columns.values()), strict=True)
        yield before
        yield from _bare(writer.dump([dict(zip(columns, row, strict=True)) for row in block]))
        before = b","
    yield b"]}" if rows else before + b"]}"


def _bare(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of a list without its brackets."""
    held = next(pieces)[1:]
    for piece in pieces:
        if held:  # an empty piece would end the answer
            yield held
        held = piece
    yield held[:-1]
