"""Models for the tests of optimizing. Each function writes one model and returns its path."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.models import FLOAT, INT64, STRING, save, value

WIDTH = 16


def weights(*shape: int, seed: int = 3) -> np.ndarray:
    """Return the same weights for a shape and a seed, whichever tests ran before in this process."""
    random = np.random.default_rng((seed, *shape))
    drawn: np.ndarray = (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
    return drawn


def mlp(path: Path, *, width: int = WIDTH, batch: int | str = "batch", opset: int = 17) -> Path:
    """`y` = Relu(`x` A) B, float32 [batch, width] -> [batch, 4]."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["product"]),
        helper.make_node("Relu", ["product"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "b"], ["y"]),
    ]
    inputs, outputs = [value("x", FLOAT, (batch, width))], [value("y", FLOAT, (batch, 4))]
    return save(path, nodes, inputs, outputs, opset, a=weights(width, width), b=weights(width, 4))


def attention(path: Path) -> Path:
    """`y` = Softmax(Q K) V, with Q, K and V computed from `x`, float32 [batch, 4, width]."""
    nodes = [
        *(helper.make_node("MatMul", ["x", name], [f"x{name}"]) for name in "qkv"),
        helper.make_node("Transpose", ["xk"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["xq", "keys"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "xv"], ["y"]),
    ]
    shape = ("batch", 4, WIDTH)
    constants = {name: weights(WIDTH, WIDTH, seed=place) for place, name in enumerate("qkv")}
    return save(path, nodes, [value("x", FLOAT, shape)], [value("y", FLOAT, shape)], **constants)


def convolution(path: Path, *, size: tuple[int | str, int | str] = (8, 8), pad: int = 1) -> Path:
    """A convolution, Relu, and the mean of each channel: float32 [batch, 3, *size] -> [batch, 8, 1, 1]."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[pad] * 4),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["y"]),
    ]
    inputs, outputs = [value("x", FLOAT, ("batch", 3, *size))], [value("y", FLOAT, ("batch", 8, 1, 1))]
    return save(path, nodes, inputs, outputs, w=weights(8, 3, 3, 3))


def unranked(path: Path) -> Path:
    """As `mlp`, behind a Scaler of ai.onnx.ml, whose output has no stated rank: as skl2onnx writes a perceptron."""
    nodes = [
        helper.make_node("Scaler", ["x"], ["scaled"], domain="ai.onnx.ml", offset=[0.5], scale=[2.0]),
        helper.make_node("MatMul", ["scaled", "a"], ["product"]),
        helper.make_node("Relu", ["product"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "b"], ["y"]),
    ]
    inputs, outputs = [value("x", FLOAT, ("batch", WIDTH))], [value("y", FLOAT, ("batch", 4))]
    save(path, nodes, inputs, outputs, a=weights(WIDTH, WIDTH), b=weights(WIDTH, 4))
    return _with_ml(path)


def linear_classifier(path: Path) -> Path:
    """A LinearClassifier of ai.onnx.ml: float32 [batch, 2] -> `label` int64 [batch], `scores` float32 [batch, 2]."""
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        coefficients=[1.0, -1.0, -1.0, 1.0],
        intercepts=[0.0, 0.0],
        classlabels_ints=[0, 1],
        post_transform="SOFTMAX",
    )
    outputs = [value("label", INT64, ("batch",)), value("scores", FLOAT, ("batch", 2))]
    save(path, [node], [value("x", FLOAT, ("batch", 2))], outputs)
    return _with_ml(path)


def text_length(path: Path) -> Path:
    """`same` = `text`, strings [batch]: a model without numbers."""
    node = helper.make_node("Identity", ["text"], ["same"])
    return save(path, [node], [value("text", STRING, ("batch",))], [value("same", STRING, ("batch",))])


def logarithm(path: Path) -> Path:
    """`y` = log `x` A, float32 [batch, 4]: NaN for negative numbers."""
    nodes = [helper.make_node("Log", ["x"], ["l"]), helper.make_node("MatMul", ["l", "a"], ["y"])]
    shape = ("batch", 4)
    return save(path, nodes, [value("x", FLOAT, shape)], [value("y", FLOAT, shape)], a=weights(4, 4))


def quantized(path: Path) -> Path:
    """`y` = `x` quantized and dequantized, float32 [batch, 2]."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    shape = ("batch", 2)
    constants: dict[str, np.ndarray] = {"scale": np.array(0.1, np.float32), "zero": np.array(0, np.uint8)}
    return save(path, nodes, [value("x", FLOAT, shape)], [value("y", FLOAT, shape)], **constants)


def _with_ml(path: Path) -> Path:
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    onnx.save(model, path)
    return path


def nodes(path: Path) -> list[onnx.NodeProto]:
    return list(onnx.load(path).graph.node)


def has_int8_weights(path: Path) -> bool:
    kinds = {each.data_type for each in onnx.load(path).graph.initializer if len(each.dims) > 1}
    return bool(kinds & {TensorProto.INT8, TensorProto.UINT8})
