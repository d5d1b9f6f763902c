"""The forms of a tensor that requests may use besides the shape of the model. Pure.

    [batch, 3]         one row without its first axis: [1, 2, 3]
    [batch, 3, 2, 2]   one row as a flat list of 12
    [batch, 1]         a column: [22, 30]; one row as a single number: 22
    [batch, 2, n, 4]   an empty list at the first empty axis: [[[], []]]; the fixed sizes after it are added

A request may also omit a first axis that the model fixes to 1.
"""

import math
from collections.abc import Collection
from typing import Any, Final, TypeAlias

import numpy as np

from runtime.errors import InvalidInput
from runtime.tensors import Shape, TensorSpec

Rows: TypeAlias = int | None  # one of the constants below; None: the input has no rows
ONE: Final = 1  # one row, without its first axis
MANY: Final = 2  # rows
EITHER: Final = 3  # a list of one number for [batch, 1]: one row of one number, or a column of one row

_COLUMN: Final = 2  # axes of [batch, 1]


def in_rows(field: str, array: np.ndarray, spec: TensorSpec) -> tuple[np.ndarray, Rows]:
    """Return the array with all axes of the model's shape, and its form.

    `Signature.validate` checks the fixed sizes later. Raises `InvalidInput` if no form has this number of axes.
    """
    shape = spec.shape
    if shape is None:
        return array, None
    rank = len(shape)
    if not array.size:
        return _empty(field, array, spec, shape)
    if array.ndim == rank:
        return array, MANY if rank else None
    if array.ndim < rank and spec.holds_rows:
        if rank == _COLUMN and shape[1] == 1:
            column = array.reshape(-1, 1)
            return column, ONE if not array.ndim else MANY if len(column) > 1 else EITHER
        row = array if array.ndim == rank - 1 else _unflattened(array, spec)
        if row is not None:
            return row[np.newaxis], ONE
    raise InvalidInput(field, got=f"shape {list(array.shape)}", expected=_expected(spec))


def _unflattened(array: np.ndarray, spec: TensorSpec) -> np.ndarray | None:
    """Return a flat list as a row of several axes; None if it has another number of elements."""
    row = spec.row_shape
    return array.reshape(row) if row and array.ndim == 1 and array.size == math.prod(row) else None


def in_records(field: str, array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Return one field of a list of records with all axes of the model's shape.

    The records are the first axis of the array. Raises `InvalidInput` for another number of axes.
    """
    rank = len(spec.shape or ())
    if array.ndim == rank - 1 and (spec.shape or ())[-1] == 1:
        array = array[..., np.newaxis]
    if array.ndim != rank:
        raise InvalidInput(field, got=f"shape {list(array.shape[1:])} in each record", expected=_expected(spec))
    return array


def one_row(forms: Collection[Rows], *, inputs: int) -> bool:
    """Return whether a request of these forms is one row; then its answer has no first axis either.

    `inputs` is the number of the model's inputs. If it is more than 1, a list of one number for [batch, 1] is a column,
    so that the form does not depend on the number of rows. Raises `InvalidInput` if some inputs are one row and others
    are rows.
    """
    if ONE in forms and MANY in forms:
        got = "one row in some inputs, rows in others"
        raise InvalidInput("inputs", got=got, expected="the same form in all inputs")
    return ONE in forms or (EITHER in forms and MANY not in forms and inputs == 1)


def row(array: np.ndarray, per_row: bool) -> Any:  # noqa: ANN401, FBT001 - an array, or an element of one; for `map`
    """Return a single row without its first axis if the output has one row per input row; otherwise the array."""
    return array[0] if per_row and array.ndim and len(array) == 1 else array


def _empty(field: str, array: np.ndarray, spec: TensorSpec, shape: Shape) -> tuple[np.ndarray, Rows]:
    if (filled := _filled(array.shape, shape)) is not None:
        return array.reshape(filled), MANY
    if spec.holds_rows and (filled := _filled(array.shape, shape[1:])) is not None:
        return array.reshape(1, *filled), ONE
    raise InvalidInput(field, got="no elements", expected=spec.describe())


def _filled(sent: tuple[int, ...], shape: Shape) -> tuple[int, ...] | None:
    """Return the shape of an empty array, with the fixed sizes after its axes added; None if it does not fit."""
    rest = shape[len(sent) :]
    sizes = (*sent, *(size for size in rest if isinstance(size, int)))
    fits = len(sizes) == len(shape) and all(
        size == fixed for size, fixed in zip(sizes, shape, strict=True) if isinstance(fixed, int)
    )
    return sizes if fits else None


def _expected(spec: TensorSpec) -> str:
    if not spec.holds_rows:
        return spec.describe()
    row = "one row" if spec.row_shape is None else f"one row {list(spec.row_shape)}"
    return f"{row} or rows {spec.describe()}"
