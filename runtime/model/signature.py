"""What a model takes and gives: pure values, read by the translators, checked before anything can reach a batch.

Only fixed sizes are checked, as ONNX Runtime does it: axes of one name may differ in size, and where the graph cannot
compute on that, the model itself refuses the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct

import numpy as np

from runtime.errors import InvalidInput
from runtime.model import rows
from runtime.tensors import TensorSpec


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
    packer: Struct | None = field(init=False)  # packs a row of that input, where it is one axis of floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "batchable", rows.has_rows(self.inputs))
        object.__setattr__(self, "fixed_batch", rows.one_row_only(self.inputs, self.outputs))
        object.__setattr__(self, "row_outputs", rows.row_outputs(self.inputs, self.outputs))
        object.__setattr__(self, "against_sharing", rows.against_sharing(self.inputs, self.outputs))
        uniform = rows.one_name(self.inputs) and all(spec.row_shape is not None for spec in self.inputs)
        object.__setattr__(self, "uniform", uniform)
        # (A scalar has the same no axes behind the first as a row of a rank-1 input: these are looked at in full.)
        simple = (
            (self.batchable or self.fixed_batch)
            and self.uniform
            and len(self.inputs) == 1
            and self.inputs[0].row_shape != ()
        )
        object.__setattr__(self, "plain", (self.inputs[0].dtype, self.inputs[0].row_shape) if simple else None)
        object.__setattr__(self, "packer", _packer(self.plain))

    def validate(self, tensors: Sequence[np.ndarray]) -> int:
        """Check one array per input, in order; return how many rows they hold.

        It is 1 for a model without rows, and 0 for a request that must run alone and whole: it has no rows, or not as
        many in each input. Raises `InvalidInput`, naming the input, what came and what it takes.
        """
        if self.plain is not None and len(tensors) == 1:
            tensor = tensors[0]
            if tensor.dtype == self.plain[0] and tensor.shape[1:] == self.plain[1] and (count := len(tensor)):
                return count
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


def _packer(plain: tuple[np.dtype[np.generic], tuple[int, ...]] | None) -> Struct | None:
    if plain is None or len(plain[1]) != 1 or plain[0].char not in "fd":
        return None
    return Struct(f"={plain[1][0]}{plain[0].char}")  # native floats would become infinity beyond their range


def _check(spec: TensorSpec, tensor: np.ndarray, first: int) -> None:
    """Compare the element type and, from the axis `first` on, the sizes that the model fixes."""
    if spec.containers:  # its values were checked one by one as they were read
        return
    if tensor.dtype != spec.dtype:
        raise InvalidInput(f"inputs.{spec.name}", got=f"element type {tensor.dtype.name}", expected=spec.describe())
    check_sizes(spec, tensor.shape, first)


def check_sizes(spec: TensorSpec, shape: tuple[int, ...], first: int) -> None:
    """Compare the rank and, from the axis `first` on, the sizes that the model fixes. Raises `InvalidInput`."""
    if not fits(spec, shape, first):
        raise InvalidInput(f"inputs.{spec.name}", got=f"shape {list(shape)}", expected=spec.describe())


def fits(spec: TensorSpec, shape: tuple[int, ...], first: int) -> bool:
    """Whether the rank and, from the axis `first` on, the sizes are those that the model fixes."""
    if spec.shape is None:
        return True
    return len(shape) == len(spec.shape) and all(
        size == fixed for size, fixed in zip(shape[first:], spec.shape[first:], strict=True) if isinstance(fixed, int)
    )
