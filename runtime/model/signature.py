"""What a model takes and gives: pure values, read by the translators, checked before anything can reach a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from runtime.errors import InvalidInput
from runtime.model import rows

Dimension = int | str | None  # a fixed size, a named dynamic axis, an unnamed one
Shape = tuple[Dimension, ...]
STRING = np.dtype(object)  # ONNX Runtime takes and gives strings as object arrays


class TensorSpec(NamedTuple):
    """One input or output. `shape` is None where the model does not say its rank."""

    name: str
    dtype: np.dtype[np.generic]
    shape: Shape | None

    @property
    def datatype(self) -> str:
        """The element type's name, as in NumPy ("float32", "int64", "bool"), or "string"."""
        return "string" if self.dtype == STRING else self.dtype.name

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of one row behind the first axis, or None where an axis of it is dynamic."""
        if not self.shape:
            return None
        row = self.shape[1:]
        return row if all(isinstance(size, int) for size in row) else None  # type: ignore[return-value]

    def describe(self) -> str:
        """The type and shape in words, such as `float32[batch, 30]`."""
        axes = "?" if self.shape is None else ", ".join("dynamic" if size is None else str(size) for size in self.shape)
        return f"{self.datatype}[{axes}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a model, in its own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batchable: bool = field(init=False)  # the inputs hold rows along a first axis of any size
    fixed_batch: bool = field(init=False)  # the model fixes that axis to 1: several rows are run one by one
    row_outputs: tuple[bool, ...] = field(init=False)  # which outputs may have a row for each, by shapes and names
    against_sharing: str | None = field(init=False)  # why callers must not share a run, by shapes and names
    uniform: bool = field(init=False)  # every row has one shape, and each input as many: any two requests fit together
    plain: tuple[np.dtype[np.generic], tuple[int, ...]] | None = field(
        init=False
    )  # the one input's type and row, where that says it all

    def __post_init__(self) -> None:
        object.__setattr__(self, "batchable", rows.has_rows(self.inputs))
        object.__setattr__(self, "fixed_batch", rows.one_row_only(self.inputs, self.outputs))
        object.__setattr__(self, "row_outputs", rows.row_outputs(self.inputs, self.outputs))
        object.__setattr__(self, "against_sharing", rows.against_sharing(self.inputs, self.outputs))
        uniform = rows.one_name(self.inputs) and all(spec.row_shape is not None for spec in self.inputs)
        object.__setattr__(self, "uniform", uniform)
        # (A scalar has the same no axes behind the first as a row of a rank-1 input: these are looked at in full.)
        simple = self.batchable and self.uniform and len(self.inputs) == 1 and self.inputs[0].row_shape != ()
        object.__setattr__(self, "plain", (self.inputs[0].dtype, self.inputs[0].row_shape) if simple else None)

    def validate(self, tensors: Sequence[np.ndarray]) -> int:
        """Check one array per input, in order; return how many rows they hold (1 where there is no batch axis).

        Raises `InvalidInput`, naming the input, what came and what it takes.
        """
        if self.plain is not None and len(tensors) == 1:
            tensor = tensors[0]
            if tensor.dtype == self.plain[0] and tensor.shape[1:] == self.plain[1] and (count := len(tensor)):
                return count
        if self.fixed_batch and all(tensor.ndim and len(tensor) == len(tensors[0]) for tensor in tensors):
            rows_given = len(tensors[0])
            tensors = [tensor[:1] for tensor in tensors]  # each row has the shape of the first
        else:
            rows_given = 1
        sizes: dict[str, int] = {}
        for spec, tensor in zip(self.inputs, tensors, strict=True):
            _check(spec, tensor, sizes)
        if not self.batchable:
            return rows_given
        found = {len(tensor) for tensor in tensors}
        if len(found) > 1 and not rows.one_name(self.inputs):
            return 1  # axes of their own: the request is a whole
        if len(found) > 1:
            counts = ", ".join(f"{spec.name}: {len(tensor)}" for spec, tensor in zip(self.inputs, tensors, strict=True))
            raise InvalidInput(
                "inputs", got=f"different numbers of rows ({counts})", expected="as many rows in each input"
            )
        count = found.pop()
        if not count:
            raise InvalidInput("inputs", got="no rows", expected="at least one row")
        return count


def _check(spec: TensorSpec, tensor: np.ndarray, sizes: dict[str, int]) -> None:
    if tensor.dtype != spec.dtype:
        raise InvalidInput(f"inputs.{spec.name}", got=f"element type {tensor.dtype.name}", expected=spec.describe())
    if spec.shape is None:
        return
    if tensor.ndim != len(spec.shape):
        raise InvalidInput(f"inputs.{spec.name}", got=f"shape {list(tensor.shape)}", expected=spec.describe())
    for size, expected in zip(tensor.shape, spec.shape, strict=True):
        wanted = sizes.setdefault(expected, size) if isinstance(expected, str) else expected
        if wanted is not None and size != wanted:
            same = f", where {expected} is {wanted}" if isinstance(expected, str) else ""
            raise InvalidInput(
                f"inputs.{spec.name}", got=f"shape {list(tensor.shape)}", expected=spec.describe() + same
            )
