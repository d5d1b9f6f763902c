"""A text encoder with seeded random weights: as expensive as ResNet-50 (8.2 GFLOP per row), but with small requests.

It has twelve post-norm layers of width 384, as MiniLM-L12. The input is 180 token ids, the output one vector of 384.
Only its cost matters for the benchmark, not the meaning of the numbers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

LAYERS: Final = 12
WIDTH: Final = 384
HEADS: Final = 12
INNER: Final = 1536
TOKENS: Final = 180
VOCABULARY: Final = 1000
SEED: Final = 7


def flops_per_row(*, layers: int = LAYERS, width: int = WIDTH, inner: int = INNER, tokens: int = TOKENS) -> int:
    """Return the floating-point operations of the matrix products, two for each multiply-add."""
    projections = 4 * width * width
    feed_forward = 2 * width * inner
    attention = 2 * tokens * width
    return 2 * layers * tokens * (projections + feed_forward + attention)


class Size(NamedTuple):
    """The size of an encoder that differs between models."""

    layers: int = LAYERS
    tokens: int = TOKENS
    vocabulary: int = VOCABULARY


class _Graph:
    """Collects nodes and weights. Every node has one output with the name of the node."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self._random = np.random.default_rng(SEED)

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX's own
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:  # noqa: ANN401 - any value that numpy accepts
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def random(self, name: str, *shape: int, scale: float) -> str:
        return self.constant(name, self._random.standard_normal(shape) * scale)

    def linear(self, x: str, name: str, width: int, out: int) -> str:
        product = self.node("MatMul", [x, self.random(f"{name}.w", width, out, scale=width**-0.5)], f"{name}.product")
        return self.node("Add", [product, self.random(f"{name}.b", out, scale=0.02)], name)

    def norm(self, x: str, name: str) -> str:
        scale, shift = self.constant(f"{name}.scale", np.ones(WIDTH)), self.constant(f"{name}.shift", np.zeros(WIDTH))
        return self.node("LayerNormalization", [x, scale, shift], name, axis=-1)

    def attention(self, x: str, name: str) -> str:
        heads = {}
        for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            split = self.node(
                "Reshape", [self.linear(x, f"{name}.{part}", WIDTH, WIDTH), "split"], f"{name}.{part}.split"
            )
            heads[part] = self.node("Transpose", [split], f"{name}.{part}.heads", perm=order)
        scores = self.node("MatMul", [heads["q"], heads["k"]], f"{name}.scores")
        weights = self.node(
            "Softmax", [self.node("Mul", [scores, "shrink"], f"{name}.shrunk")], f"{name}.weights", axis=-1
        )
        mixed = self.node("MatMul", [weights, heads["v"]], f"{name}.mixed")
        joined = self.node("Transpose", [mixed], f"{name}.joined", perm=[0, 2, 1, 3])
        return self.linear(self.node("Reshape", [joined, "merge"], f"{name}.merged"), f"{name}.out", WIDTH, WIDTH)

    def feed_forward(self, x: str, name: str) -> str:
        """Add a feed-forward layer with the exact GELU: h * (1 + erf(h / sqrt 2)) / 2."""
        hidden = self.linear(x, f"{name}.in", WIDTH, INNER)
        erf = self.node("Erf", [self.node("Mul", [hidden, "half_root"], f"{name}.scaled")], f"{name}.erf")
        gate = self.node("Mul", [self.node("Add", [erf, "one"], f"{name}.up"), "half"], f"{name}.gate")
        return self.linear(self.node("Mul", [hidden, gate], f"{name}.gelu"), f"{name}.out", INNER, WIDTH)

    def layer(self, x: str, name: str) -> str:
        attended = self.node("Add", [x, self.attention(x, f"{name}.attention")], f"{name}.first")
        middle = self.norm(attended, f"{name}.first_norm")
        fed = self.node("Add", [middle, self.feed_forward(middle, f"{name}.feed")], f"{name}.second")
        return self.norm(fed, f"{name}.second_norm")


def _constants(graph: _Graph, tokens: int) -> None:
    graph.constant("split", [0, tokens, HEADS, WIDTH // HEADS], np.int64)
    graph.constant("merge", [0, tokens, WIDTH], np.int64)
    graph.constant("shrink", (WIDTH // HEADS) ** -0.5)
    graph.constant("half_root", 0.5**0.5)
    graph.constant("one", 1.0)
    graph.constant("half", 0.5)


def build(size: Size) -> onnx.ModelProto:
    """Build the model: `input_ids` int64 [batch, tokens] -> `embedding` float32 [batch, 384]. Weights are seeded."""
    graph = _Graph()
    _constants(graph, size.tokens)
    tokens = graph.node("Gather", [graph.random("tokens", size.vocabulary, WIDTH, scale=0.05), "input_ids"], "token")
    placed = graph.node("Add", [tokens, graph.random("places", size.tokens, WIDTH, scale=0.05)], "placed")
    x = graph.norm(placed, "embedded")
    for index in range(size.layers):
        x = graph.layer(x, f"layer{index}")
    graph.node("ReduceMean", [x], "embedding", axes=[1], keepdims=0)
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", size.tokens])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", WIDTH])]
    whole = helper.make_graph(graph.nodes, "text-encoder", inputs, outputs, graph.weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def write(path: Path, size: Size | None = None) -> None:
    """Save the model."""
    onnx.save(build(size or Size()), path)


def rows(count: int) -> list[list[int]]:
    """Return seeded token ids, [count, 180]."""
    drawn: list[list[int]] = np.random.default_rng(SEED).integers(0, VOCABULARY, (count, TOKENS)).tolist()
    return drawn
