"""Which axis holds the rows, as far as shapes and names tell. Pure.

ONNX marks no axis as the batch. Names and shapes can rule out a batch axis, but cannot prove it.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from runtime.tensors import TensorSpec

Dimension: TypeAlias = int | str | None

# Names that exporters make up: tf2onnx, PyTorch (TorchScript, then torch.export), Paddle, ONNX Runtime, skl2onnx.
_GENERATED: Final = re.compile(
    r"\??|-?\d+|None|unk_+\d+|dynamic_axes_\d+|[sud]\d+|.*_dim_\d+|(sym(bolic)?_)?dim_?\d+|(p2o\.)?DynamicDimension\.\d+"
)
_BATCH: Final = {"n", "b", "bs", "batch", "batch_size", "batchsize", "batch_dim"}  # one meaning, many spellings


def meaning(axis: Dimension) -> str | None:
    """What a dynamic axis' name says; None where it has none or an exporter made it up."""
    if not isinstance(axis, str) or _GENERATED.fullmatch(axis):
        return None
    return "batch" if axis.lower() in _BATCH else axis


def has_rows(inputs: Sequence["TensorSpec"]) -> bool:
    """Whether every input begins with a dynamic axis and, as far as names tell, with the same one."""
    if not inputs or any(not spec.shape or isinstance(spec.shape[0], int) for spec in inputs):
        return False
    leading = _leading(inputs)
    return len(leading) <= 1 and not leading & _others(inputs)


def one_name(inputs: Sequence["TensorSpec"]) -> bool:
    """Whether the inputs' first axes have one name or none: else they may differ in length (`unk__1`, `unk__2`)."""
    return len({spec.shape[0] for spec in inputs if spec.shape}) <= 1


def one_row_only(inputs: Sequence["TensorSpec"], outputs: Sequence["TensorSpec"]) -> bool:
    """Whether the model fixes the first axis to 1 in every input and output: several rows are then run one by one."""
    return bool(inputs) and all(bool(spec.shape) and spec.shape[0] == 1 for spec in (*inputs, *outputs))  # type: ignore[index] # no shape, no axis


def row_outputs(inputs: Sequence["TensorSpec"], outputs: Sequence["TensorSpec"]) -> tuple[bool, ...]:
    """For each output, whether shapes and names let it have one row for each row of the inputs."""
    if one_row_only(inputs, outputs):
        return (True,) * len(outputs)
    if not has_rows(inputs):
        return (False,) * len(outputs)
    leading, others = _leading(inputs), _others(inputs)
    return tuple(_may_hold_rows(spec, leading, others) for spec in outputs)


def against_sharing(inputs: Sequence["TensorSpec"], outputs: Sequence["TensorSpec"]) -> str | None:
    """Why shapes and names forbid that callers share a run, None where they do not."""
    if not inputs:
        return "the model has no input"
    for spec in inputs:
        if not spec.shape:
            return f"input {spec.name!r} has no first axis that is known"
        if isinstance(spec.shape[0], int):
            return f"the model fixes the first axis of input {spec.name!r} to {spec.shape[0]}"
    if not has_rows(inputs):
        return "the names of the inputs' axes tell that the first is no batch axis"
    for spec, rows in zip(outputs, row_outputs(inputs, outputs), strict=True):
        if not rows:
            first = "no axis" if not spec.shape else f"the first axis {spec.shape[0]}"
            return f"output {spec.name!r} has {first}, the inputs have {inputs[0].shape[0]}"  # type: ignore[index] # as above
    return None


def _may_hold_rows(spec: "TensorSpec", leading: set[str], others: set[str]) -> bool:
    if spec.kind in ("map", "optional"):
        return False
    if spec.shape is None:  # its rank is unknown: the proof tells
        return True
    if not spec.shape or isinstance(spec.shape[0], int):
        return False
    name = meaning(spec.shape[0])
    return name is None or (name not in others and (not leading or name in leading))


def _leading(inputs: Sequence["TensorSpec"]) -> set[str]:
    return {name for spec in inputs if spec.shape and (name := meaning(spec.shape[0]))}


def _others(inputs: Sequence["TensorSpec"]) -> set[str]:
    """The names of all axes behind the first."""
    return {name for spec in inputs for axis in (spec.shape or ())[1:] if (name := meaning(axis))}
