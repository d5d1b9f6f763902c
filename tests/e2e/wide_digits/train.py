"""Trains the models of test_variants: digits, with layers so wide that int8 is faster on any CPU, and its companion.

digits    `pixels` (float32 [batch, 64], 0 to 16) -> `label` (int64 [batch]) and `probabilities` (float32 [batch, 10])
doubled   `x` (float32 [batch, 2]) -> `y` = 2 x

Only the last layer of digits is fitted, by least squares; the others are random. That takes about a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

Array = npt.NDArray[np.float32]

WIDTH = 1536  # elements of a hidden layer; the weights between two of them are 9 MiB in float32
HELD_OUT = 450  # images that are not used for training
RIDGE = 1.0  # keeps the weights of the last layer small, so that rounding them costs no accuracy
OPSET = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """An exported model, its metrics, and the data for its variants."""

    path: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    calibration: Mapping[str, npt.NDArray[Any]] | None = None
    evaluation: Mapping[str, npt.NDArray[Any]] | None = None


def train(version: str, out: Path, model: str) -> TrainedModel:
    """Write the model to `out`."""
    path = out / f"{model}-{version}.onnx"
    if model == "doubled":
        node = helper.make_node("Add", ["x", "x"], ["y"])
        return TrainedModel(path=save(path, [node], [value("x", 2)], [value("y", 2)], {}))
    pixels, digits = load_digits(return_X_y=True)
    pixels = pixels.astype(np.float32)
    known, held_out = slice(HELD_OUT, None), slice(HELD_OUT)
    weights = fit(pixels[known], digits[known])
    nodes = [
        helper.make_node("MatMul", ["pixels", "first"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "second"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "last"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"])
    save(path, nodes, [value("pixels", pixels.shape[1])], [label, value("probabilities", 10)], weights)
    return TrainedModel(
        path=path,
        calibration={"pixels": pixels[known][:300]},
        evaluation={"pixels": pixels[held_out], "label": digits[held_out]},
    )


def fit(pixels: Array, digits: npt.NDArray[np.int64]) -> Mapping[str, Array]:
    """Return the weights of the three layers."""
    random = np.random.default_rng(2026)
    first = random.normal(0, 0.1 / np.sqrt(pixels.shape[1]), (pixels.shape[1], WIDTH)).astype(np.float32)
    second = random.normal(0, np.sqrt(2 / WIDTH), (WIDTH, WIDTH)).astype(np.float32)
    hidden = np.maximum(np.maximum(pixels @ first, 0) @ second, 0)
    wanted = np.eye(10, dtype=np.float32)[digits]
    last = np.linalg.solve(hidden.T @ hidden + RIDGE * np.eye(WIDTH, dtype=np.float32), hidden.T @ wanted)
    return {"first": first, "second": second, "last": last.astype(np.float32)}


def value(name: str, width: int) -> onnx.ValueInfoProto:
    """Return an input or output, float32 [batch, width]."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: Mapping[str, Array],
) -> Path:
    """Write the graph and return its path."""
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), path)
    return path
