"""The original: its speed, and its outputs on the data, with which candidates are compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runtime.errors import ModelFailed, RejectedByModel, ScalezeroError
from runtime.model.session import Session
from runtime.optimizing import accuracy, measuring
from runtime.optimizing.choosing import Standard
from runtime.optimizing.timing import cost_line, sizes
from runtime.optimizing.values import BadData, Data, OptimizingFailed, RowsRejected
from runtime.variants.bounds import Bounds
from runtime.variants.values import CPU_PROVIDER, ORIGINAL, Measurement

THREADS = 1  # of a session; a pod has about one core


class Judged(NamedTuple):
    """The rows on which candidates are judged, and the original's outputs on them."""

    tensors: measuring.Tensors  # in the order of the inputs
    outputs: Sequence[np.ndarray]
    metric: accuracy.Metric
    output: int  # the place of the output with labels
    expected: np.ndarray | None  # the labels; None: the metric is the agreement

    def is_valid(self, outputs: Sequence[np.ndarray]) -> bool:
        """Whether the output with labels is finite, so that it has a score."""
        return self.expected is None or accuracy.is_finite(outputs[self.output])

    def score(self, outputs: Sequence[np.ndarray]) -> float:
        """Return the metric of other outputs on the same rows."""
        if self.expected is None:
            return accuracy.agreement(self.outputs, outputs)
        return accuracy.score(self.metric, self.expected, outputs[self.output])


class Original(NamedTuple):
    """The original, open."""

    session: Session
    feeds: Mapping[int, measuring.Tensors]  # the inputs of runs by the number of rows
    seconds: Mapping[int, float]  # of these runs
    judged: Judged | None  # None: there is no data
    standard: Standard

    def measurement(self) -> Measurement:
        """Return what is recorded of the original."""
        score = self.standard.score
        return Measurement(
            variant=ORIGINAL,
            provider=CPU_PROVIDER,
            one_row=self.seconds[min(self.seconds)],
            full_batch=self.seconds[max(self.seconds)],
            cost=cost_line(self.seconds),
            speedup=1.0,
            score=score,
            loss=None if score is None else 0.0,
        )


def open_original(path: Path, data: Data | None, *, name: str, batch_size: int, bounds: Bounds) -> Original:
    """Open the original, run it on the data, and measure it.

    Raises `InvalidModel`, `BadData`, `OptimizingFailed` for a model without inputs, and `RowsRejected` if it fails on
    the rows of a run: without data they are generated, and parts of the data may be too few for the model.
    """
    session = Session(path, uri=str(path), name=name, threads=THREADS)
    if not session.signature.inputs:
        raise OptimizingFailed(name, "the model has no inputs, so it has no rows to measure")
    rows = measuring.rows_per_run(session.signature, batch_size)
    judged = None if data is None else _judged(session, data, rows)
    tensors = judged and judged.tensors
    feeds = {each: measuring.feed_of(session.signature, tensors, each) for each in sizes(rows)}
    score = judged and judged.score(judged.outputs)
    standard = Standard(judged and judged.metric, score, rows, bounds)
    try:
        seconds = measuring.seconds_of(session, feeds)
    except (RejectedByModel, ModelFailed) as error:
        raise RowsRejected(name, str(error.details["reason"]), generated=data is None) from error
    return Original(session, feeds, seconds, judged, standard)


def _judged(session: Session, data: Data, rows: int) -> Judged:
    tensors = [data.inputs[spec.name] for spec in session.signature.inputs]
    try:
        outputs = measuring.outputs_of(session, tensors, rows=rows)
    except ScalezeroError as error:
        raise BadData(
            session.name, "data", got=f"rows on which the model fails: {error}", expected="valid rows"
        ) from error
    if all(each.dtype.kind == "f" and each.size and not np.isfinite(each).any() for each in outputs):
        got = "rows for which each output of the model is NaN or infinite"
        raise BadData(session.name, "data", got=got, expected="rows with finite outputs")
    for label, expected in data.expected.items():
        place = [spec.name for spec in session.signature.outputs].index(label)
        try:
            metric = accuracy.metric_of(expected, outputs[place])
        except ValueError as error:
            raise BadData(session.name, label, got="labels that do not fit", expected=str(error)) from error
        judged = Judged(tensors, outputs, metric, place, expected)
        if not judged.is_valid(outputs):
            got = "rows for which this output is NaN or infinite"
            raise BadData(session.name, label, got=got, expected="rows for which it is finite")
        return judged
    return Judged(tensors, outputs, "agreement", 0, None)
