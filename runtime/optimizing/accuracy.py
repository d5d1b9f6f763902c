"""The quality of a candidate's outputs: a metric if there are labels, else the agreement with the original. Pure.

With labels of one output:

    accuracy   integers, booleans or strings: the share of equal elements; integer labels of an output float
               [rows, classes]: the share of rows whose largest number is at the label's place
    auc        labels 0 and 1 (or booleans) of a float for each row: the area under the ROC curve
    r2         float labels of floats: 1 - squared error / variance of the labels, over all elements; at least -1e6

Without labels, `agreement`: 1.0 if all outputs are those of the original. Of an output of integers, booleans or strings
it is the share of equal elements. Of floats it is 1 - the relative error, the root of the sum of squared differences
over that of the original's squares, and at least 0. NaN and infinity must be at the same places, else it is 0. Of a
sequence or a map of numbers it is that of its numbers. The worst output counts.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np

Metric: TypeAlias = Literal["accuracy", "auc", "r2", "agreement"]

_CLASSES: Final = "biuO"  # kinds of element types that are compared for equality
_WORST: Final = -1e6  # r2
_MATRIX: Final = 2


def metric_of(expected: np.ndarray, output: np.ndarray) -> Metric:
    """Return the metric for labels of an output with as many rows. Raises ValueError with what is wrong."""
    labels, values = expected.dtype.kind, output.dtype.kind
    if len(expected) != len(output):
        raise ValueError(f"got an output of {len(output)} rows for {len(expected)} labels; expected one row for each")
    if values in _CLASSES and labels in _CLASSES and (values == "O") == (labels == "O"):
        if expected.size != output.size:
            raise ValueError(f"got labels of shape {list(expected.shape)}; expected {list(output.shape)}")
        return "accuracy"
    if values == "f" and labels in "biu" and expected.size == len(expected):
        return _metric_of_scores(expected, output)
    if values == "f" and labels == "f" and expected.size == output.size:
        if np.ptp(expected) == 0:
            raise ValueError("got labels that are all equal; expected at least two different numbers")
        return "r2"
    got = f"labels {expected.dtype.name}{list(expected.shape)} of an output {output.dtype.name}{list(output.shape)}"
    raise ValueError(
        f"got {got}; expected classes (integers, booleans, strings) of an output of the same kind, or of one with a "
        "score for each class; 0 and 1 of an output with one score for each row; or floats of the output's shape"
    )


def _metric_of_scores(expected: np.ndarray, output: np.ndarray) -> Metric:
    if output.size == len(output):
        if set(np.unique(expected).tolist()) != {0, 1}:
            shown = ", ".join(map(str, np.unique(expected)[:5].tolist()))
            raise ValueError(f"got the labels {shown}; expected 0 and 1, each at least once, for one score in each row")
        return "auc"
    classes = output.shape[-1]
    if output.ndim != _MATRIX or expected.min() < 0 or expected.max() >= classes:
        low, high = expected.min(), expected.max()
        raise ValueError(
            f"got labels from {low} to {high} of an output {list(output.shape)}; "
            f"expected 0 to {classes - 1}, of an output [rows, classes]"
        )
    return "accuracy"


def score(metric: Metric, expected: np.ndarray, output: np.ndarray) -> float:
    """Return the metric of one output; its floats must be finite."""
    if metric == "auc":
        return area_under_curve(expected.ravel().astype(bool), output.ravel())
    if metric == "r2":
        return _determination(expected.ravel().astype(np.float64), output.ravel().astype(np.float64))
    if output.dtype.kind == "f":
        output = output.argmax(axis=1)
    return float(np.mean(expected.ravel() == output.ravel()))


def is_finite(output: np.ndarray) -> bool:
    """Whether an output has no NaN and no infinity."""
    return output.dtype.kind != "f" or bool(np.isfinite(output).all())


def _determination(expected: np.ndarray, output: np.ndarray) -> float:
    """Return r2. It has no lower bound, but JSON has no infinity: it is at least `_WORST`."""
    scale = np.abs(expected).max()  # so that no square of a label overflows
    with np.errstate(over="ignore"):
        error = np.mean((expected / scale - output / scale) ** 2)
    return max(_WORST, float(1 - error / np.var(expected / scale)))


def area_under_curve(positive: np.ndarray, scores: np.ndarray) -> float:
    """Return the probability that a positive row has a higher score than a negative one; a tie counts as one half."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores, from 1
    positives = int(positive.sum())
    negatives = len(positive) - positives
    above = ranks[places][positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def agreement(original: Sequence[np.ndarray], candidate: Sequence[np.ndarray]) -> float:
    """Return the agreement of outputs with the original's, from 0.0 to 1.0."""
    return min(map(_agreement, original, candidate), default=1.0)


def _agreement(original: np.ndarray, candidate: np.ndarray) -> float:
    original, candidate = _numbers(original), _numbers(candidate)
    if original.shape != candidate.shape or original.dtype.kind != candidate.dtype.kind:
        return 0.0
    if not original.size:
        return 1.0
    if original.dtype.kind in "fcV":
        return _agreement_of_floats(original, candidate)
    return float(np.mean(original == candidate))


def _agreement_of_floats(original: np.ndarray, candidate: np.ndarray) -> float:
    one, other = original.astype(np.float64), candidate.astype(np.float64)
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True) or not np.isfinite(other[finite]).all():
        return 0.0
    scale = float(np.linalg.norm(one[finite]))
    error = float(np.linalg.norm(one[finite] - other[finite]))
    if not error:
        return 1.0
    return max(0.0, 1 - error / scale) if scale else 0.0


def _numbers(output: np.ndarray) -> np.ndarray:
    """Return a sequence of maps, lists or arrays with numbers as one array of floats; any other value unchanged."""
    if output.dtype.kind != "O" or not output.size:
        return output
    items = output.ravel().tolist()
    if all(isinstance(each, Mapping) for each in items):
        items = [[value for _, value in sorted(each.items())] for each in items]
    if all(isinstance(each, str | bytes) for each in items):
        return output
    try:
        return np.concatenate([np.asarray(each, np.float64).ravel() for each in items])
    except (TypeError, ValueError):
        return output
