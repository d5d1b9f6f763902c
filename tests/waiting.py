"""Waiting for threads, processes and servers: until a condition holds, for as long as the slowest machine may need."""

import time
from collections.abc import Callable
from typing import Final

DEADLINE: Final = 120.0  # seconds; a wait that ends with it is a failure, so no passing test waits that long


def eventually(
    condition: Callable[[], bool], why: Callable[[], object] = lambda: "the condition does not hold"
) -> None:
    """Wait until the condition holds. After the deadline, fail with what `why` returns, such as the log of a server."""
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends, why()
        time.sleep(0.01)
