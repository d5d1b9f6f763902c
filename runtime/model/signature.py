"""The inputs and outputs of a model, and the check of a request against them before it is queued. Pure.

Only fixed sizes are checked, as in ONNX Runtime. Axes with the same name may differ in size; if the graph cannot
compute on that, the model rejects the input.
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
    """The inputs and outputs of a model, in the order of the model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batchable: bool = field(init=False)  # the inputs have rows along a first axis of variable size
    fixed_batch: bool = field(init=False)  # the model fixes that axis to 1: several rows run one by one
    row_outputs: tuple[bool, ...] = field(init=False)  # for each output: it may have one row per input row
    reason_against_sharing: str | None = field(init=False)  # from shapes and names, why callers must not share a run
    uniform: bool = field(init=False)  # all rows have one shape, all inputs the same number of rows
    plain: tuple[np.dtype[np.generic], tuple[int, ...]] | None = field(
        init=False
    )  # the element type and row shape of the only input, if these two suffice to check a request
    packer: Struct | None = field(init=False)  # packs a row of that input, if it is one axis of floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "batchable", rows.has_rows(self.inputs))
        object.__setattr__(self, "fixed_batch", rows.one_row_only(self.inputs, self.outputs))
        object.__setattr__(self, "row_outputs", rows.row_outputs(self.inputs, self.outputs))
        object.__setattr__(self, "reason_against_sharing", rows.reason_against_sharing(self.inputs, self.outputs))
        uniform = rows.same_first_axis(self.inputs) and all(spec.row_shape is not None for spec in self.inputs)
        object.__setattr__(self, "uniform", uniform)
        # A scalar and a rank-1 input both have no axes after the first, so a rank-1 input gets the full check.
        simple = (
            (self.batchable or self.fixed_batch)
            and self.uniform
            and len(self.inputs) == 1
            and self.inputs[0].row_shape != ()
        )
        object.__setattr__(self, "plain", (self.inputs[0].dtype, self.inputs[0].row_shape) if simple else None)
        object.__setattr__(self, "packer", _packer(self.plain))

    def validate(self, tensors: Sequence[np.ndarray]) -> int:
        """Check one array per input, in order, and return the number of rows.

        The number is 1 for a model without rows, and 0 for a request that must run alone and in one piece, because it
        has no rows or different numbers of rows in its inputs. Raises `InvalidInput`, which names the input, what was
        received and what is expected.
        """
        if self.plain is not None and len(tensors) == 1:
            tensor = tensors[0]
            if tensor.dtype == self.plain[0] and tensor.shape[1:] == self.plain[1] and (count := len(tensor)):
                return count
        first = 1 if self.fixed_batch else 0  # the number of rows is checked below
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
    return Struct(
        f"={plain[1][0]}{plain[0].char}"
    )  # with native sizes ("@"), floats beyond the range would become infinity


def _check(spec: TensorSpec, tensor: np.ndarray, first: int) -> None:
    """Check the element type and, from the axis `first` on, the sizes that the model fixes. Raises `InvalidInput`."""
    if spec.containers:  # its values were checked when they were decoded
        return
    if tensor.dtype != spec.dtype:
        raise InvalidInput(f"inputs.{spec.name}", got=f"element type {tensor.dtype.name}", expected=spec.describe())
    check_sizes(spec, tensor.shape, first)


def check_sizes(spec: TensorSpec, shape: tuple[int, ...], first: int) -> None:
    """Check the rank and, from the axis `first` on, the sizes that the model fixes. Raises `InvalidInput`."""
    if not fits(spec, shape, first):
        raise InvalidInput(f"inputs.{spec.name}", got=f"shape {list(shape)}", expected=spec.describe())


def fits(spec: TensorSpec, shape: tuple[int, ...], first: int) -> bool:
    """Return whether the rank and, from the axis `first` on, the fixed sizes match those of the model."""
    if spec.shape is None:
        return True
    return len(shape) == len(spec.shape) and all(
        size == fixed for size, fixed in zip(shape[first:], spec.shape[first:], strict=True) if isinstance(fixed, int)
    )
