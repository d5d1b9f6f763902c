"""A model as heavy as ResNet-50 (8.2 GFLOP a row) whose requests stay small: a text encoder with seeded random weights.

Twelve post-norm layers of width 384, as in MiniLM-L12; 180 token ids in, one vector of 384 out. What the numbers mean
does not matter here, what they cost does.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

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
    """Floating-point operations of the matrix products, two for each multiply-add."""
    projections = 4 * width * width
    feed_forward = 2 * width * inner
    attention = 2 * tokens * width
    return 2 * layers * tokens * (projections + feed_forward + attention)


class _Graph:
    """Nodes and weights as they come; every node has one output, which is named like it."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self._random = np.random.default_rng(SEED)

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX's own
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:  # noqa: ANN401 - what numpy takes
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
        """The exact GELU: h * (1 + erf(h / sqrt 2)) / 2."""
        hidden = self.linear(x, f"{name}.in", WIDTH, INNER)
        erf = self.node("Erf", [self.node("Mul", [hidden, "half_root"], f"{name}.scaled")], f"{name}.erf")
        gate = self.node("Mul", [self.node("Add", [erf, "one"], f"{name}.up"), "half"], f"{name}.gate")
        return self.linear(self.node("Mul", [hidden, gate], f"{name}.gelu"), f"{name}.out", INNER, WIDTH)

    def layer(self, x: str, name: str) -> str:
        attended = self.node("Add", [x, self.attention(x, f"{name}.attention")], f"{name}.first")
        middle = self.norm(attended, f"{name}.first_norm")
        fed = self.node("Add", [middle, self.feed_forward(middle, f"{name}.feed")], f"{name}.second")
        return self.norm(fed, f"{name}.second_norm")


def _constants(graph: _Graph) -> None:
    graph.constant("split", [0, TOKENS, HEADS, WIDTH // HEADS], np.int64)
    graph.constant("merge", [0, TOKENS, WIDTH], np.int64)
    graph.constant("shrink", (WIDTH // HEADS) ** -0.5)
    graph.constant("half_root", 0.5**0.5)
    graph.constant("one", 1.0)
    graph.constant("half", 0.5)


def build() -> onnx.ModelProto:
    """`input_ids` int64 [batch, 180] -> `embedding` float32 [batch, 384]; the same weights every time."""
    graph = _Graph()
    _constants(graph)
    tokens = graph.node("Gather", [graph.random("tokens", VOCABULARY, WIDTH, scale=0.05), "input_ids"], "token")
    placed = graph.node("Add", [tokens, graph.random("places", TOKENS, WIDTH, scale=0.05)], "placed")
    x = graph.norm(placed, "embedded")
    for index in range(LAYERS):
        x = graph.layer(x, f"layer{index}")
    graph.node("ReduceMean", [x], "embedding", axes=[1], keepdims=0)
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", TOKENS])]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", WIDTH])]
    whole = helper.make_graph(graph.nodes, "text-encoder", inputs, outputs, graph.weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def write(path: Path) -> None:
    """Save the model."""
    onnx.save(build(), path)


def rows(count: int) -> list[list[int]]:
    """Seeded token ids, [count, 180]."""
    drawn: list[list[int]] = np.random.default_rng(SEED).integers(0, VOCABULARY, (count, TOKENS)).tolist()
    return drawn
