"""Whether the first axis of a model's inputs and outputs can be the batch axis, from shapes and names. Pure.

ONNX does not mark the batch axis. Names and shapes can rule out a batch axis, but cannot prove it.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from runtime.tensors import TensorSpec

Dimension: TypeAlias = int | str | None

# Names that exporters generate: tf2onnx, PyTorch (TorchScript, then torch.export), Paddle, ONNX Runtime, skl2onnx.
_GENERATED: Final = re.compile(
    r"\??|-?\d+|None|unk_+\d+|dynamic_axes_\d+|[sud]\d+|.*_dim_\d+|(sym(bolic)?_)?dim_?\d+|(p2o\.)?DynamicDimension\.\d+"
)
_BATCH: Final = {"n", "b", "bs", "batch", "batch_size", "batchsize", "batch_dim"}  # different names of a batch axis


def meaning(axis: Dimension) -> str | None:
    """Return the meaning of a dynamic axis' name; None: it has no name, or an exporter generated the name."""
    if not isinstance(axis, str) or _GENERATED.fullmatch(axis):
        return None
    return "batch" if axis.lower() in _BATCH else axis


def has_rows(inputs: Sequence["TensorSpec"]) -> bool:
    """Return whether the first axis of every input is dynamic and, judging by the names, the same."""
    if not inputs or any(not spec.shape or isinstance(spec.shape[0], int) for spec in inputs):
        return False
    leading = _first_axes(inputs)
    return len(leading) <= 1 and not leading & _other_axes(inputs)


def same_first_axis(inputs: Sequence["TensorSpec"]) -> bool:
    """Return whether all first axes have one name or none; otherwise their lengths may differ (`unk__1`, `unk__2`)."""
    return len({spec.shape[0] for spec in inputs if spec.shape}) <= 1


def one_row_only(inputs: Sequence["TensorSpec"], outputs: Sequence["TensorSpec"]) -> bool:
    """Return whether the model fixes all first axes, of inputs and outputs, to 1: several rows then run one by one."""
    return bool(inputs) and all(bool(spec.shape) and spec.shape[0] == 1 for spec in (*inputs, *outputs))  # type: ignore[index] # a shape is not None here


def row_outputs(inputs: Sequence["TensorSpec"], outputs: Sequence["TensorSpec"]) -> tuple[bool, ...]:
    """Return for each output whether it may have one row for each input row, judging by shapes and names."""
    if one_row_only(inputs, outputs):
        return (True,) * len(outputs)
    if not has_rows(inputs):
        return (False,) * len(outputs)
    leading, others = _first_axes(inputs), _other_axes(inputs)
    return tuple(_may_have_rows(spec, leading, others) for spec in outputs)


def reason_against_sharing(inputs: Sequence["TensorSpec"], outputs: Sequence["TensorSpec"]) -> str | None:
    """Return why callers must not share a run, from shapes and names; None: they do not rule it out."""
    if not inputs:
        return "the model has no input"
    for spec in inputs:
        if not spec.shape:
            return f"input {spec.name!r} has no known first axis"
        if isinstance(spec.shape[0], int):
            return f"the model fixes the first axis of input {spec.name!r} to {spec.shape[0]}"
    if not has_rows(inputs):
        return "according to the names of the inputs' axes, the first axis is not a batch axis"
    for spec, rows in zip(outputs, row_outputs(inputs, outputs), strict=True):
        if not rows:
            first = "no axis" if not spec.shape else f"the first axis {spec.shape[0]}"
            return f"output {spec.name!r} has {first}; the inputs have {inputs[0].shape[0]}"  # type: ignore[index] # as above
    return None


def _may_have_rows(spec: "TensorSpec", leading: set[str], others: set[str]) -> bool:
    if spec.kind in ("map", "optional"):
        return False
    if spec.shape is None:  # the rank is unknown: the proof decides
        return True
    if not spec.shape or isinstance(spec.shape[0], int):
        return False
    name = meaning(spec.shape[0])
    return name is None or (name not in others and (not leading or name in leading))


def _first_axes(inputs: Sequence["TensorSpec"]) -> set[str]:
    return {name for spec in inputs if spec.shape and (name := meaning(spec.shape[0]))}


def _other_axes(inputs: Sequence["TensorSpec"]) -> set[str]:
    """Return the names of all axes after the first."""
    return {name for spec in inputs for axis in (spec.shape or ())[1:] if (name := meaning(axis))}
