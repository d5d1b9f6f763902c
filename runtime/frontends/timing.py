"""The header Server-Timing: the phases of a prediction and their durations. Source: W3C Server Timing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.tensors import Prediction

if TYPE_CHECKING:
    from runtime.served_model import ServedModel


def header(predictions: Sequence[Prediction], served: "ServedModel", started: float) -> bytes:
    """Return the milliseconds of queue, batch and run of the slowest prediction.

    A request that started before the model's first response also gets the phases of the cold start. `started` is on
    `perf_counter`'s clock.
    """
    slowest = predictions[0] if len(predictions) == 1 else max(predictions, key=lambda each: each.queued + each.ran)
    timing = b"queue;dur=%.3f, batch;dur=%.3f, run;dur=%.3f" % (
        slowest.queued * 1e3,
        slowest.batched * 1e3,
        slowest.ran * 1e3,
    )
    cold_start = served.measurements.cold_start
    if started > served.first_answer or cold_start is None:
        return timing
    phases = [
        b"%b;dur=%.3f" % (name.encode(), seconds * 1e3)
        for name, seconds in cold_start.request_phases(started).items()
        if seconds
    ]
    return b", ".join([*phases, timing])
