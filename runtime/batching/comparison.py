"""Whether a row's outputs are the same alone and beside others, at the tolerance of their arithmetic. Pure.

Other kernels run for other numbers of rows, so floats differ in their last digits. The tolerance is relative to the
row's own largest output: neighbours of another scale must not hide in it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

_TOLERANCES: Final = {"float32": 1e-4, "float64": 1e-4, "float16": 1e-2, "bfloat16": 1e-2}
_ROUNDING: Final = 1.001  # of a quantization step: its own product is rounded


def rows_in(output: object) -> int | None:
    """How many rows an output holds: its first axis, or the items of a sequence. None for a scalar or no value."""
    if isinstance(output, np.ndarray):
        return len(output) if output.ndim else None
    return len(output) if isinstance(output, list) else None


def difference(alone: object, together: object, *, step: float | None) -> str | None:
    """What differs between a row's output alone and together, in words; None where they are the same.

    `step` is the output's quantization step, where it has one.
    """
    if not (isinstance(alone, np.ndarray) and isinstance(together, np.ndarray)):
        return None if _same(alone, together) else "another value"
    if alone.dtype != together.dtype or alone.shape != together.shape:
        return f"{together.dtype.name}{list(together.shape)} instead of {alone.dtype.name}{list(alone.shape)}"
    tolerance = _TOLERANCES.get(alone.dtype.name)
    if tolerance is not None:
        return _float_difference(alone.astype(np.float64), together.astype(np.float64), tolerance, step or 0.0)
    if alone.dtype == np.dtype(object):
        pairs = zip(alone.ravel().tolist(), together.ravel().tolist(), strict=True)
        return None if all(_same(*pair) for pair in pairs) else "another value"
    return None if alone.tobytes() == together.tobytes() else "another value"


def _float_difference(alone: np.ndarray, together: np.ndarray, tolerance: float, step: float) -> str | None:
    finite = np.isfinite(alone) & np.isfinite(together)
    if not np.array_equal(alone[~finite], together[~finite], equal_nan=True):
        return "other infinities or NaN"
    scale = float(np.abs(alone[finite]).max(initial=0.0))
    most = float(np.abs(alone[finite] - together[finite]).max(initial=0.0))
    if most <= max(tolerance * scale, step * _ROUNDING):
        return None
    return f"a difference of {most:.3g} where the row's largest value is {scale:.3g}"


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
