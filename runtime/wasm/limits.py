"""The limits of one call of a guest."""

from typing import NamedTuple


class Limits(NamedTuple):
    """What one instance may use. A call that exceeds `seconds` is stopped; growth beyond the other limits fails."""

    seconds: float  # of the call, with the instantiation
    memory: int  # bytes of each linear memory
    output: int  # bytes on stdout
