"""Convert the argument of `predict` to tensors, one for each input of the model. Pure.

The conversion runs on the thread of the function. NumPy holds the GIL while it converts a list, so a large list is
converted in slices, and the event loop runs between two slices.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from runtime.errors import InvalidInput

if TYPE_CHECKING:
    from runtime.model.signature import Signature
    from runtime.tensors import TensorSpec

Rows: TypeAlias = np.ndarray | Sequence[object]
_SLICE: Final = 16_384  # elements; NumPy converts that many in about a millisecond
_MAX_DEPTH: Final = 64  # nested lists; the limit of NumPy


def tensors(rows: Rows | Mapping[str, Rows], signature: "Signature") -> list[np.ndarray]:
    """Return one array for each input, in the signature's order and with its element type.

    Rows without a name belong to the first input. Raises `InvalidInput`, which names the first invalid element.
    """
    names = [spec.name for spec in signature.inputs]
    by_name = rows if isinstance(rows, Mapping) else {names[0]: rows}
    unknown = next((name for name in by_name if name not in names), None)
    if unknown is not None:
        raise InvalidInput(
            f"rows.{unknown}", got="an unknown input", expected=f"inputs of the model: {', '.join(names)}"
        )
    return [_input(by_name, spec) for spec in signature.inputs]


def _input(by_name: Mapping[str, Rows], spec: "TensorSpec") -> np.ndarray:
    field = f"rows.{spec.name}"
    if spec.name not in by_name:
        raise InvalidInput(field, got="nothing", expected=spec.describe())
    rows = by_name[spec.name]
    if not isinstance(rows, np.ndarray):
        return tensor(field, list(rows), spec)
    if not np.can_cast(rows.dtype, spec.dtype, "same_kind"):
        raise InvalidInput(field, got=f"element type {rows.dtype.name}", expected=spec.describe())
    return rows.astype(spec.dtype, copy=False)


def tensor(field: str, value: object, spec: "TensorSpec", *, at_once: int = _SLICE) -> np.ndarray:
    """Convert the (nested) list to an array, in slices of `at_once` elements. Raises `InvalidInput`."""
    from runtime.protocols.json import tensors as json_tensors

    sizes = _sizes(field, value, spec)
    if not isinstance(value, (list, tuple)) or math.prod(sizes) <= at_once:
        return json_tensors.tensor(field, value, spec)
    whole: np.ndarray | None = None
    for start, part in _parts(field, value, spec, row_size=math.prod(sizes[1:]), at_once=at_once):
        if whole is None:
            whole = np.empty((len(value), *part.shape[1:]), part.dtype)
        elif part.shape[1:] != whole.shape[1:]:
            raise _ragged(field, value, spec)
        whole[start : start + len(part)] = part
    assert whole is not None  # noqa: S101 - a list of more than `at_once` elements has parts
    return whole


def _parts(
    field: str, value: Sequence[object], spec: "TensorSpec", *, row_size: int, at_once: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield slices of the first axis, each with its first index; `row_size` is the number of elements of one row."""
    if row_size > at_once:
        for index, each in enumerate(value):
            yield index, tensor(f"{field}[{index}]", each, spec, at_once=at_once)[np.newaxis]
        return
    step = max(1, at_once // row_size)
    for start in range(0, len(value), step):
        yield start, _slice(field, value, spec, slice(start, start + step))


def _slice(field: str, value: Sequence[object], spec: "TensorSpec", part: slice) -> np.ndarray:
    from runtime.protocols.json import tensors as json_tensors

    try:
        return json_tensors.tensor(field, value[part], spec)
    except InvalidInput:
        for index in range(
            *part.indices(len(value))
        ):  # one by one, so that the error names the index in the whole list
            tensor(f"{field}[{index}]", value[index], spec)
        raise _ragged(field, value, spec) from None


def _sizes(field: str, value: object, spec: "TensorSpec") -> list[int]:
    """Return the length of each axis, from its first element. Raises `InvalidInput` for a list that contains itself."""
    sizes: list[int] = []
    while isinstance(value, (list, tuple)):
        if len(sizes) == _MAX_DEPTH:
            raise InvalidInput(field, got=f"lists more than {_MAX_DEPTH} deep", expected=spec.describe())
        sizes.append(len(value))
        value = value[0] if value else None
    return sizes


def _ragged(field: str, value: Sequence[object], spec: "TensorSpec") -> InvalidInput:
    first = _sizes(field, value[0], spec)
    for index, each in enumerate(value):
        sizes = _sizes(f"{field}[{index}]", each, spec)
        if sizes != first:
            got = f"the shape {sizes}, but {field}[0] has {first}"
            return InvalidInput(f"{field}[{index}]", got=got, expected=spec.describe())
    return InvalidInput(field, got="lists of different lengths", expected=spec.describe())
