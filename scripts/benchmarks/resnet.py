"""ResNet-50 with seeded random weights, for requests of 3 x 224 x 224 float32 numbers.

The graph is that of ONNX's own tests, where nodes generate weights that are all equal. Here the weights are random (He
initialization) and stored as initializers, and the batch can have any size.
"""

import math
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper, version_converter

SHAPE: Final = (3, 224, 224)
CLASSES: Final = 1000
SEED: Final = 7
OPSET: Final = 17
INPUT: Final = "input"
_NORMAL: Final = {1: 1.0, 2: 0.0, 3: 0.0, 4: 1.0}  # scale, shift, mean and variance of a BatchNormalization, by place


def _original() -> onnx.ModelProto:
    from onnx.backend.test.data import light

    return onnx.load(Path(next(iter(light.__path__))) / "light_resnet50.onnx")


class _Frozen:
    """The graph with its weights as initializers."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._random = np.random.default_rng(SEED)
        self._known = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self._uses = {name: (node, place) for node in graph.node for place, name in enumerate(node.input)}
        (given,) = (each.name for each in graph.input if each.name not in self._known)
        self._renamed = {given: INPUT, graph.output[0].name: "output"}
        self.weights: list[TensorProto] = []
        self.nodes = [node for node in map(self._node, graph.node) if node is not None]
        used = {name for node in self.nodes for name in node.input} - {each.name for each in self.weights}
        self.weights += [each for each in graph.initializer if each.name in used]

    def _node(self, node: NodeProto) -> NodeProto | None:
        """Return the converted node, or None if it generates weights."""
        if node.op_type == "ConstantOfShape":
            shape = [int(size) for size in self._known[node.input[0]]]
            self.weights.append(numpy_helper.from_array(self._weights(node.output[0], shape), node.output[0]))
            return None
        if node.op_type == "Reshape":
            self.weights.append(numpy_helper.from_array(np.array([0, -1], np.int64), f"{node.name}.any_batch"))
            node.input[1] = f"{node.name}.any_batch"
        node.input[:] = [self._renamed.get(name, name) for name in node.input]
        node.output[:] = [self._renamed.get(name, name) for name in node.output]
        return node

    def _weights(self, name: str, shape: list[int]) -> np.ndarray:
        node, place = self._uses[name]
        if node.op_type == "BatchNormalization":
            return np.full(shape, _NORMAL[place], np.float32)
        inputs = math.prod(shape[1:]) or 1
        weights: np.ndarray = (self._random.standard_normal(shape) * (2.0 / inputs) ** 0.5 * 0.5).astype(np.float32)
        return weights


def build() -> onnx.ModelProto:
    """Build the model: `input` float32 [batch, 3, 224, 224] -> `output` float32 [batch, 1000]. Weights are seeded."""
    original = _original()
    frozen = _Frozen(original.graph)
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", *SHAPE])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", CLASSES])]
    graph = helper.make_graph(frozen.nodes, "resnet50", inputs, outputs, frozen.weights)
    model = helper.make_model(graph, opset_imports=original.opset_import, ir_version=8)
    model = version_converter.convert_version(model, OPSET)
    onnx.checker.check_model(model)
    return model


def write(path: Path) -> None:
    """Save the model."""
    onnx.save(build(), path)


def rows(count: int) -> list[list[float]]:
    """Return seeded images, [count, 3 * 224 * 224], in steps of 1/64, which need few digits in JSON."""
    images: list[list[float]] = (
        np.random.default_rng(SEED).integers(-128, 128, (count, math.prod(SHAPE))) / 64
    ).tolist()
    return images
