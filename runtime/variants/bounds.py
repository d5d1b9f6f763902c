"""Which variants are acceptable."""

from typing import NamedTuple


class Bounds(NamedTuple):
    """What a variant must fulfil to be chosen."""

    max_accuracy_loss: float = 0.01  # of the metric, or of the agreement with the original
    min_speedup: float = 1.1  # rows per second in a full batch, relative to the original
    accept_unjudged: bool = False  # whether a variant may be chosen although there is no data to judge its accuracy
