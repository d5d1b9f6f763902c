"""What the log keeps of a prediction until it is encoded: copies of small tensors, only the shapes of large ones. Pure.

The author's function gets the same arrays and may change them, and a part of a shared run refers to the whole run. So
the tensors are copied.
"""

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from runtime.protocols.json import writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from runtime.prediction_log.heads import Heads

_SHORTEST: Final = 2  # bytes of a number in JSON, with its comma
_OBJECTS: Final = "O"  # the kind of arrays of strings, sequences and maps
_REFERENCE: Final = 64  # bytes of memory of a short string, about


class Omitted(NamedTuple):
    """A tensor that is too large for the log."""

    shape: tuple[int, ...]
    size: int  # bytes in memory; of strings, only the references to them


Kept: TypeAlias = "np.ndarray | Omitted"


class LogEntry(NamedTuple):
    """One prediction in the queue. Durations are in seconds."""

    heads: "Heads"  # the constant parts of the model's events
    protocol: str
    inputs: "Sequence[Kept]"  # in the signature's order
    outputs: "Sequence[Kept]"
    id: str  # the caller's, in the protocols that have one
    request_id: str | None
    trace: str | None
    answered: float  # on the clock of `perf_counter`
    total: float
    queued: float
    batched: float
    ran: float
    size: int  # bytes of the kept tensors in memory


def keep(arrays: "Sequence[np.ndarray]", most: int) -> "tuple[Sequence[Kept], int]":
    """Return copies of the arrays, and their bytes in memory.

    An array whose JSON has more than `most` bytes for certain is replaced by its shape.
    """
    kept: list[Kept] = []
    size = 0
    for array in arrays:
        if array.dtype.kind != _OBJECTS:
            is_large, used = array.size * _SHORTEST > most, array.nbytes
        else:
            is_large, used = writer.size_hint(array) > min(most, writer.PIECE), _REFERENCE * array.size
        if is_large:
            kept.append(Omitted(array.shape, array.nbytes))
        else:
            kept.append(array.copy())
            size += used
    return kept, size
