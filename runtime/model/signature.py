"""What a model takes and gives: pure values, read by the translators, checked before anything can reach a batch.

Only fixed sizes are checked, as ONNX Runtime does it: axes of one name may differ in size, and where the graph cannot
compute on that, the model itself refuses the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from runtime.errors import InvalidInput
from runtime.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a model, in its own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batchable: bool = field(init=False)  # rows of several callers may share a run
    uniform: bool = field(init=False)  # every row has one shape, so that any two requests fit together
    fixed_batch: bool = field(init=False)  # every first axis is fixed to 1: several rows run one by one
    row_outputs: tuple[bool, ...] = field(init=False)  # for each output: whether it has one row for each input row
    plain: tuple[np.dtype[np.generic], tuple[int, ...]] | None = field(
        init=False
    )  # the one input's type and row, where that says it all

    def __post_init__(self) -> None:
        object.__setattr__(self, "batchable", _has_batch_axis(self.inputs, self.outputs))
        object.__setattr__(self, "uniform", all(spec.row_shape is not None for spec in self.inputs))
        object.__setattr__(self, "fixed_batch", _has_one_row(self.inputs) and _has_one_row(self.outputs))
        by_row = self.batchable or self.fixed_batch
        object.__setattr__(self, "row_outputs", tuple(by_row and _may_hold_rows(spec) for spec in self.outputs))
        # (A scalar has the same no axes behind the first as a row of a rank-1 input: these are looked at in full.)
        simple = by_row and self.uniform and len(self.inputs) == 1 and self.inputs[0].row_shape != ()
        object.__setattr__(self, "plain", (self.inputs[0].dtype, self.inputs[0].row_shape) if simple else None)

    def validate(self, tensors: Sequence[np.ndarray]) -> int:
        """Check one array per input, in order; return how many rows they hold.

        It is 1 for a model without rows, and 0 for a request that must run alone and whole: it has no rows, or not as
        many in each input. Raises `InvalidInput`, naming the input, what came and what it takes.
        """
        if self.plain is not None and len(tensors) == 1:
            tensor = tensors[0]
            if tensor.dtype == self.plain[0] and tensor.shape[1:] == self.plain[1] and (rows := len(tensor)):
                return rows
        first = 1 if self.fixed_batch else 0  # the number of rows is looked at below
        for spec, tensor in zip(self.inputs, tensors, strict=True):
            _check(spec, tensor, first)
        if not self.batchable and not self.fixed_batch:
            return 1
        found = {len(tensor) for tensor in tensors}
        if self.fixed_batch and (len(found) > 1 or not min(found)):
            raise InvalidInput("inputs", got=self._rows(tensors), expected="at least one row, as many in each input")
        return found.pop() if len(found) == 1 else 0

    def _rows(self, tensors: Sequence[np.ndarray]) -> str:
        return ", ".join(
            f"{len(tensor)} rows in {spec.name}" for spec, tensor in zip(self.inputs, tensors, strict=True)
        )


def _check(spec: TensorSpec, tensor: np.ndarray, first: int) -> None:
    """Compare the element type and, from the axis `first` on, the sizes that the model fixes."""
    if spec.containers:  # its values were checked one by one as they were read
        return
    if tensor.dtype != spec.dtype:
        raise InvalidInput(f"inputs.{spec.name}", got=f"element type {tensor.dtype.name}", expected=spec.describe())
    if spec.shape is None:
        return
    fits = tensor.ndim == len(spec.shape) and all(
        size == fixed
        for size, fixed in zip(tensor.shape[first:], spec.shape[first:], strict=True)
        if isinstance(fixed, int)
    )
    if not fits:
        raise InvalidInput(f"inputs.{spec.name}", got=f"shape {list(tensor.shape)}", expected=spec.describe())


def _has_one_row(specs: Sequence[TensorSpec]) -> bool:
    """Whether the first axis of every tensor is fixed to 1."""
    return bool(specs) and all(bool(spec.shape) and spec.shape[0] == 1 for spec in specs)  # type: ignore[index] # no shape, no axis


def _may_hold_rows(spec: TensorSpec) -> bool:
    """A map or an optional value has no rows; a sequence may have one item for each row, as ZipMap's."""
    return spec.kind in ("tensor", "sequence")


def _has_batch_axis(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> bool:
    """Whether the first axis of every tensor is dynamic and, as far as names tell, the same one.

    ONNX marks no axis as the batch, so this is a guess; the batcher checks it against what the first batch gives.
    """
    leading = {spec.shape[0] if spec.shape else 0 for spec in inputs}
    if not inputs or len(leading) != 1 or isinstance(leading.copy().pop(), int):
        return False
    other_axes = {size for spec in inputs for size in (spec.shape or ())[1:] if isinstance(size, str)}
    if leading & other_axes:
        return False
    firsts = [spec.shape[0] for spec in outputs if spec.shape]
    scalars = any(spec.shape == () for spec in outputs)
    return not scalars and not any(isinstance(size, int) or size in other_axes for size in firsts)
