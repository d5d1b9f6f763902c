"""JSON elements to arrays of a model's element type.

Elements that do not fit are refused, with the range of the type.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from runtime.errors import InvalidInput
from runtime.model import elements
from runtime.protocols.json.lists import KINDS, Place, show
from runtime.tensors import TensorSpec

_BLOCK: Final = 65536  # elements that are checked together: they fit into the CPU's cache
_WIDEST: Final[dict[str, type]] = {"f": np.float64, "i": np.int64, "u": np.uint64, "b": np.bool_, "O": object}


def natural(flat: list[Any], shape: tuple[int, ...], spec: TensorSpec, place: Place) -> np.ndarray:
    """Return elements of fitting types as an array of the widest type of their kind; null becomes NaN.

    Raises `InvalidInput` for a number beyond that type and for a fraction in an integer input.
    """
    kind = elements.kind(spec.dtype)
    array: np.ndarray = np.empty(len(flat), _WIDEST[kind])
    try:
        array[:] = flat if kind not in "iu" or {int}.issuperset(map(type, flat)) else _whole(flat, shape, spec, place)
    except OverflowError:
        index = next(index for index, each in enumerate(flat) if not _is_within(array.dtype, each))
        raise _refused(flat[index], np.unravel_index(index, shape), spec, place) from None
    return array.reshape(shape)


def fitted(array: np.ndarray, spec: TensorSpec, place: Place) -> np.ndarray:
    """Convert an array of any element type to the input's type; in floats, NaN is null.

    Raises `InvalidInput` for the first element that does not fit.
    """
    if (first := _first_misfit(array.reshape(-1), spec.dtype)) is not None:
        index = np.unravel_index(first, array.shape)
        raise _refused(array[index].item(), index, spec, place)
    return array.astype(spec.dtype, copy=False)


def _first_misfit(flat: np.ndarray, dtype: np.dtype[np.generic]) -> int | None:
    """Return the index of the first element beyond the type, or None. The search is in blocks and ends there."""
    for start in range(0, flat.size, _BLOCK):
        bad = _misfits(flat[start : start + _BLOCK], dtype)
        if bad is None:
            return None
        if bad.any():
            return start + int(bad.argmax())
    return None


def _misfits(array: np.ndarray, dtype: np.dtype[np.generic]) -> np.ndarray | None:
    """Return which elements the type cannot represent; None if the kinds of both types are equal."""
    kind, received = elements.kind(dtype), array.dtype.kind
    if kind in "bO" or received in "bO":
        return None if received == kind else np.ones(array.shape, np.bool_)
    if kind == "f":
        beyond = elements.float_range(dtype)[1]
        bad: np.ndarray = (array >= beyond) | (array <= -beyond)
        return bad
    least, most = elements.whole_range(dtype)
    if received == "f":  # the limits are powers of two, which are exact as floats
        bad = (array < least) | (array >= most + 1) | (array != np.floor(array))
    else:
        bad = (array < least) | (array > most)
    return bad


def _whole(flat: list[Any], shape: tuple[int, ...], spec: TensorSpec, place: Place) -> list[int]:
    """Return numbers such as 1.0 and 1e2 as integers. Raises `InvalidInput` for a fraction."""
    whole = []
    for index, each in enumerate(flat):
        if isinstance(each, float) and not each.is_integer():
            raise _refused(each, np.unravel_index(index, shape), spec, place)
        whole.append(int(each))
    return whole


def _is_within(dtype: np.dtype[Any], number: float) -> bool:
    try:
        np.array(float(number) if dtype.kind == "f" else int(number), dtype)
    except OverflowError:
        return False
    return True


def _refused(value: object, index: Sequence[np.intp], spec: TensorSpec, place: Place) -> InvalidInput:
    """Return the error about an element. For a number, it states the range of the type."""
    kind = elements.kind(spec.dtype)
    within = ""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:  # noqa: PLR0124 - NaN is null
        if kind == "f":
            within = f" within ±{elements.float_range(spec.dtype)[0]:.3g}"
        elif kind in "iu":
            least, most = elements.whole_range(spec.dtype)
            within = f" from {least} to {most}"
    expected = f"{KINDS[kind]}{within} ({spec.describe()})"
    return InvalidInput(place.at([int(each) for each in index]), got=show(value), expected=expected)
