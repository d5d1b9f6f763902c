"""Whether a row's outputs are the same alone and beside others, at the tolerance of their arithmetic. Pure.

Other kernels run for other numbers of rows, so floats differ in their last digits. The tolerance is relative to the
row's own largest output: neighbours of another scale must not hide in it. A small output may have lost more digits on
its way (`1 - p`): a difference that rounding of numbers near 1 can make is told apart, and `proof.py` looks closer.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

_TOLERANCES: Final = {"float32": 1e-4, "float64": 1e-4, "float16": 1e-2, "bfloat16": 1e-2}
_OF_ROUNDING: Final = {"float32": 1e-6, "float64": 2e-15, "float16": 8e-3, "bfloat16": 6e-2}  # eight times epsilon
_STEP: Final = 1.001  # of a quantization step: its own product is rounded


class Difference(NamedTuple):
    """What differs, in words, and whether rounding can make it."""

    text: str
    rounding: bool = False


def rows_in(output: object) -> int | None:
    """How many rows an output holds: its first axis, or the items of a sequence. None for a scalar or no value."""
    if isinstance(output, np.ndarray):
        return len(output) if output.ndim else None
    return len(output) if isinstance(output, list) else None


def difference(alone: object, together: object, *, step: float | None) -> Difference | None:
    """What differs between a row's output alone and together; None where they are the same.

    `step` is the output's quantization step, where it has one.
    """
    if not (isinstance(alone, np.ndarray) and isinstance(together, np.ndarray)):
        return None if _same(alone, together) else Difference("another value")
    if alone.dtype != together.dtype or alone.shape != together.shape:
        was, now = (f"{each.dtype.name}{list(each.shape)}" for each in (alone, together))
        return Difference(f"{now} instead of {was}")
    if alone.dtype.name in _TOLERANCES:
        return _float_difference(alone, together, step or 0.0)
    if alone.dtype == np.dtype(object):
        pairs = zip(alone.ravel().tolist(), together.ravel().tolist(), strict=True)
        return None if all(_same(*pair) for pair in pairs) else Difference("another value")
    return None if alone.tobytes() == together.tobytes() else Difference("another value")


def _float_difference(alone: np.ndarray, together: np.ndarray, step: float) -> Difference | None:
    name = alone.dtype.name
    one, other = alone.astype(np.float64), together.astype(np.float64)
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return Difference("other infinities or NaN")
    scale = float(np.abs(one[finite]).max(initial=0.0))
    most = float(np.abs(one[finite] - other[finite]).max(initial=0.0))
    if most <= max(_TOLERANCES[name] * scale, step * _STEP):
        return None
    text = f"a difference of {most:.3g} where the row's largest value is {scale:.3g}"
    return Difference(text, rounding=most <= _OF_ROUNDING[name])


def _same(one: object, other: object) -> bool:
    """Whether two values of a sequence or a map are the same, at the tolerance of float32."""
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
    if one and all(isinstance(each, float) for each in (*one, *other)):  # probabilities: their own scale, as an array's
        return difference(np.array(one, np.float32), np.array(other, np.float32), step=None) is None
    return all(_same(*pair) for pair in zip(one, other, strict=True))


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))
