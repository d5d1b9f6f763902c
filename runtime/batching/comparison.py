"""Comparison of a row's outputs alone and in a shared run, with a tolerance for rounding. Pure.

ONNX Runtime may use different kernels for different numbers of rows, so the last digits of floats differ. The tolerance
is relative to the row's own largest output, so that neighbours of a larger scale cannot hide a difference. A small
output may have lost more digits in the computation (`1 - p`): a difference that rounding of numbers near 1 can cause is
marked (`Difference.rounding`), and `proof.py` examines it further.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

_TOLERANCES: Final = {"float32": 1e-4, "float64": 1e-4, "float16": 1e-2, "bfloat16": 1e-2}
_ROUNDING: Final = {"float32": 1e-6, "float64": 2e-15, "float16": 8e-3, "bfloat16": 6e-2}  # eight times epsilon
_STEP_MARGIN: Final = 1.001  # multiplies a quantization step, because the dequantized product is rounded


class Difference(NamedTuple):
    """A difference as a text, and whether rounding can cause it."""

    text: str
    rounding: bool = False


def rows_in(output: object) -> int | None:
    """Return the number of rows of an output: its first axis, or the items of a sequence; None for any other value."""
    if isinstance(output, np.ndarray):
        return len(output) if output.ndim else None
    return len(output) if isinstance(output, list) else None


def difference(alone: object, together: object, *, step: float | None) -> Difference | None:
    """Return the difference between a row's outputs alone and in a shared run; None if they are the same.

    `step` is the quantization step of the output; None: it has none.
    """
    if not (isinstance(alone, np.ndarray) and isinstance(together, np.ndarray)):
        return None if _same(alone, together) else Difference("a different value")
    if alone.dtype != together.dtype or alone.shape != together.shape:
        expected, got = (f"{each.dtype.name}{list(each.shape)}" for each in (alone, together))
        return Difference(f"{got} instead of {expected}")
    if alone.dtype.name in _TOLERANCES:
        return _float_difference(alone, together, step or 0.0)
    if alone.dtype == np.dtype(object):
        pairs = zip(alone.ravel().tolist(), together.ravel().tolist(), strict=True)
        return None if all(_same(*pair) for pair in pairs) else Difference("a different value")
    return None if alone.tobytes() == together.tobytes() else Difference("a different value")


def _float_difference(alone: np.ndarray, together: np.ndarray, step: float) -> Difference | None:
    name = alone.dtype.name
    one, other = alone.astype(np.float64), together.astype(np.float64)
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return Difference("different infinities or NaN")
    scale = float(np.abs(one[finite]).max(initial=0.0))
    largest = float(np.abs(one[finite] - other[finite]).max(initial=0.0))
    if largest <= max(_TOLERANCES[name] * scale, step * _STEP_MARGIN):
        return None
    text = f"a difference of {largest:.3g}; the largest value of the row is {scale:.3g}"
    return Difference(text, rounding=largest <= _ROUNDING[name])


def _same(one: object, other: object) -> bool:
    """Return whether two values of a sequence or a map are the same, with the tolerance of float32."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return difference(one, other, step=None) is None
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and _same(list(one.values()), [other[key] for key in one])
    if isinstance(one, float) and isinstance(other, float):
        return one == other or math.isclose(one, other, rel_tol=1e-4) or (math.isnan(one) and math.isnan(other))
    if _is_list(one) and _is_list(other):
        return _same_lists(one, other)  # type: ignore[arg-type] # both are lists
    return type(one) is type(other) and one == other


def _same_lists(one: Sequence[object], other: Sequence[object]) -> bool:
    if len(one) != len(other):
        return False
    if one and all(
        isinstance(each, float) for each in (*one, *other)
    ):  # probabilities: compared as an array, relative to its largest value
        return difference(np.array(one, np.float32), np.array(other, np.float32), step=None) is None
    return all(_same(*pair) for pair in zip(one, other, strict=True))


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))
