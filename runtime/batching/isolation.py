"""One bad row must not fail the other requests: a failed batch is halved until the row runs alone.

A single poisoned request among n costs at most 1 + 2*log2(n) runs: 11 among 32.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from runtime.batching.stacking import Tensors, join, split
from runtime.errors import RunTimeout, ScalezeroError, ShuttingDown

Outcome: TypeAlias = Sequence[np.ndarray] | ScalezeroError  # one request's outputs, or why it has none


def run_isolating(run: Callable[[Tensors], Tensors], requests: Sequence[Tensors], rows: Sequence[int]) -> list[Outcome]:
    """Run the requests together and give each its outputs; where the run fails, find out whose fault it is.

    Raises `NotABatchAxis`, and `RunTimeout` where more than one request was stopped: halving would take as long again.
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
