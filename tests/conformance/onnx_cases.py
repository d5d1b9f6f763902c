"""The backend test cases of the onnx package: models with inputs and expected outputs.

The package computes the cases of single operators itself; the others are files in it. Source: onnx.backend.test.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")


class Case(NamedTuple):
    """A model and one set of inputs and outputs by name, with the relative and absolute tolerance of the outputs."""

    name: str
    model: onnx.ModelProto
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    rtol: float
    atol: float


def cases() -> Iterator[Case]:
    """Yield all cases, about 2,000."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package computes with infinities
        found = [each for kind in KINDS for each in load_model_tests(kind=kind)]
    for each in found:
        folder = Path(each.model_dir or "")  # computed cases have no folder
        model = each.model or onnx.load(folder / "model.onnx")
        for inputs, outputs in each.data_sets or _stored(folder):
            yield Case(
                each.name,
                model,
                _named(model.graph.input, inputs),
                _named(model.graph.output, outputs),
                each.rtol,
                each.atol,
            )


def _named(values: Any, data: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf has no types
    """Return data by name. A model of an old version lists its weights after the actual inputs; they get no data."""
    return {value.name: _array(each) for value, each in zip(values, data, strict=False)}


def _array(value: Any) -> Any:  # noqa: ANN401 - an array, a sequence of them, or None
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, (list, tuple)):
        return [_array(each) for each in value]
    return None if value is None else np.asarray(value)


def _stored(folder: Path) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    for data_set in sorted(folder.glob("test_data_set_*")):
        yield _tensors(data_set, "input"), _tensors(data_set, "output")


def _tensors(data_set: Path, role: str) -> list[np.ndarray]:
    count = len(list(data_set.glob(f"{role}_*.pb")))
    paths = [data_set / f"{role}_{index}.pb" for index in range(count)]
    return [numpy_helper.to_array(onnx.load_tensor(path)) for path in paths]
