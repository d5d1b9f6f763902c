"""Joining of the rows of several requests into one array per input, and splitting of the outputs by request.

split(join(x)) == x
"""

from collections.abc import Sequence

import numpy as np

from runtime.batching.comparison import rows_in
from runtime.errors import ScalezeroError

Tensors = Sequence[np.ndarray]  # one array per input (or output), in the signature's order


class NotABatchAxis(ScalezeroError):
    """The outputs do not have one row for each input row, so the first axis is not a batch axis."""

    code = "not_a_batch_axis"


def shapes_of(tensors: Tensors, rows: int) -> tuple[tuple[tuple[int, ...], ...], bool]:
    """Return the shapes that two requests must have in common to share a run, and whether this request must run alone.

    These are the shapes of one row, one for each input. A request with an input that does not have `rows` rows must run
    alone; its shapes are those of the whole tensors.
    """
    if all(tensor.ndim and len(tensor) == rows for tensor in tensors):
        return tuple(tensor.shape[1:] for tensor in tensors), False
    return tuple(tensor.shape for tensor in tensors), True


def join(requests: Sequence[Tensors]) -> list[np.ndarray]:
    """Stack the requests' rows, input by input, in their order."""
    if len(requests) == 1:
        return list(requests[0])
    return [np.concatenate(column) for column in zip(*requests, strict=True)]


def split(outputs: Tensors, rows: Sequence[int]) -> list[list[np.ndarray]]:
    """Split the outputs into one list of arrays per request; `rows` is the number of rows of each request.

    Raises `NotABatchAxis` if an output has another number of rows.
    """
    check_rows(outputs, sum(rows))
    if len(rows) == 1:
        return [list(outputs)]
    answers = []
    start = 0
    for count in rows:
        answers.append([output[start : start + count] for output in outputs])
        start += count
    return answers


def check_rows(outputs: Tensors, rows: int) -> None:
    """Raise `NotABatchAxis` if an output does not have `rows` rows."""
    for output in outputs:
        if (count := rows_in(output)) != rows:
            received = "has no rows" if count is None else f"has {count} rows"
            raise NotABatchAxis(f"an output {received} for {rows} rows of input")
