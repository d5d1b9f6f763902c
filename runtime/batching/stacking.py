"""Rows of many requests into one array per input, and the answers back to their owners: split(join(x)) == x."""

from collections.abc import Sequence

import numpy as np

from runtime.errors import ScalezeroError

Tensors = Sequence[np.ndarray]  # one array per input (or output), in the signature's order


class NotABatchAxis(ScalezeroError):
    """The outputs do not have one row for each input row: the first axis was no batch axis after all."""

    code = "not_a_batch_axis"


def shapes_of(tensors: Tensors) -> tuple[tuple[int, ...], ...]:
    """What must be equal in two requests that share a run: the shape of a row, input by input."""
    return tuple(tensor.shape[1:] for tensor in tensors)


def join(requests: Sequence[Tensors]) -> list[np.ndarray]:
    """Stack the requests' rows, input by input, in their order."""
    if len(requests) == 1:
        return list(requests[0])
    return [np.concatenate(column) for column in zip(*requests, strict=True)]


def split(outputs: Tensors, rows: Sequence[int]) -> list[list[np.ndarray]]:
    """Cut the outputs into one list of arrays per request; `rows` says how many rows each sent.

    Raises `NotABatchAxis` where an output has another number of rows.
    """
    total = sum(rows)
    for output in outputs:
        if output.ndim == 0 or len(output) != total:
            raise NotABatchAxis(f"{total} rows went in, an output of shape {list(output.shape)} came back")
    if len(rows) == 1:
        return [list(outputs)]
    answers = []
    start = 0
    for count in rows:
        answers.append([output[start : start + count] for output in outputs])
        start += count
    return answers
