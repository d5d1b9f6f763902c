"""Isolation of a request that fails a shared run: a failed batch is halved until that request runs alone.

So one bad request does not fail the others. One bad request among n costs at most 1 + 2*log2(n) runs: 11 among 32.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from runtime.batching.stacking import Tensors, join, split
from runtime.errors import RunTimeout, ScalezeroError, ShuttingDown

Outcome: TypeAlias = Sequence[np.ndarray] | ScalezeroError  # the outputs of one request, or its error


def run_isolating(run: Callable[[Tensors], Tensors], requests: Sequence[Tensors], rows: Sequence[int]) -> list[Outcome]:
    """Run the requests together and return the outcome of each; if the run fails, find the requests that fail.

    Raises `NotABatchAxis`, and `RunTimeout` if a run of more than one request was stopped: each half could take as long
    again.
    """
    try:
        outputs = run(join(requests))
    except ShuttingDown as error:
        return [error for _ in requests]
    except ScalezeroError as error:
        if len(requests) == 1:
            return [error]
        if isinstance(error, RunTimeout):
            raise
        half = len(requests) // 2
        return [
            *run_isolating(run, requests[:half], rows[:half]),
            *run_isolating(run, requests[half:], rows[half:]),
        ]
    return list(split(outputs, rows))
