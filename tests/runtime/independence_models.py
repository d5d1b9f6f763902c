"""Models whose rows seem independent but are not, and models with independent rows; each tests one possible mistake."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from tests.models import FLOAT, INT64, STRING, Axes, save, value

F32 = np.float32
BOOL = TensorProto.BOOL


def node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> NodeProto:  # noqa: ANN401 - ONNX's attributes
    """Return one operator."""
    return helper.make_node(kind, inputs, outputs, **attributes)


def counts(path: Path) -> Path:
    """Write a model with as many output rows as the sum of its inputs, like NonMaxSuppression. [batch, 1]."""
    nodes = [
        node("Less", ["k", "x"], ["m"]),
        node("NonZero", ["m"], ["nz"]),
        node("Gather", ["nz", "zero"], ["rows"], axis=0),
        node("Gather", ["x", "rows"], ["y"], axis=0),
    ]
    constants: dict[str, np.ndarray] = {"k": np.arange(5, dtype=F32).reshape(1, 5), "zero": np.array(0, np.int64)}
    return save(path, nodes, [value("x", FLOAT, ["batch", 1])], [value("y", FLOAT, ["num_dets", 1])], **constants)


def boxes(path: Path) -> Path:
    """Write a detector with two outputs: each pixel above 0.5 is a detection. [batch, 1, 4, 4]."""
    nodes = [
        node("Greater", ["x", "t"], ["m"]),
        node("NonZero", ["m"], ["nz"]),
        node("Transpose", ["nz"], ["idx"]),
        node("Cast", ["idx"], ["boxes"], to=FLOAT),
        node("GatherND", ["x", "idx"], ["scores"]),
    ]
    outputs = [value("boxes", FLOAT, ["num_dets", 4]), value("scores", FLOAT, ["num_dets"])]
    return save(path, nodes, [value("x", FLOAT, ["batch", 1, 4, 4])], outputs, t=np.array(0.5, F32))


def _filter(path: Path, nodes: list[NodeProto], **constants: np.ndarray) -> Path:
    axes = np.array([0, 1])
    return save(
        path, nodes, [value("audio", FLOAT, ["samples"])], [value("clean", FLOAT, ["samples"])], ax=axes, **constants
    )


def smooth(path: Path) -> Path:
    """Write a filter over time with small weights of the neighbours, which needs an exact comparison. [samples]."""
    nodes = [
        node("Unsqueeze", ["audio", "ax"], ["a"]),
        node("Conv", ["a", "w"], ["c"], pads=[1, 1]),
        node("Squeeze", ["c", "ax"], ["clean"]),
    ]
    return _filter(path, nodes, w=np.array([0.05, 0.9, 0.05], F32).reshape(1, 1, 3))


def denoise(path: Path) -> Path:
    """Write such a filter with reflected ends: it rejects a single sample, so the proof cannot run. [samples]."""
    kernel = np.hanning(33).astype(F32)
    nodes = [
        node("Unsqueeze", ["audio", "ax"], ["a"]),
        node("Pad", ["a", "pads"], ["p"], mode="reflect"),
        node("Conv", ["p", "w"], ["c"]),
        node("Squeeze", ["c", "ax"], ["clean"]),
    ]
    pads = np.array([0, 0, 16, 0, 0, 16])
    return _filter(path, nodes, pads=pads, w=(kernel / kernel.sum()).reshape(1, 1, -1))


def best(path: Path) -> Path:
    """Write a model that marks the best candidate: a bool that depends on all rows. [candidates, 1]."""
    nodes = [node("ReduceMax", ["score"], ["m"], axes=[0], keepdims=1), node("Equal", ["score", "m"], ["best"])]
    axes: Axes = ["candidates", 1]
    return save(path, nodes, [value("score", FLOAT, axes)], [value("best", BOOL, axes)])


def verdict(path: Path) -> Path:
    """Write the same model with text outputs."""
    nodes = [
        node("ReduceMax", ["score"], ["m"], axes=[0], keepdims=1),
        node("Equal", ["score", "m"], ["best"]),
        node("Where", ["best", "yes", "no"], ["verdict"]),
    ]
    axes: Axes = ["candidates", 1]
    words = {"yes": np.array(["winner"], object), "no": np.array(["loser"], object)}
    return save(path, nodes, [value("score", FLOAT, axes)], [value("verdict", STRING, axes)], **words)


def mean(path: Path) -> Path:
    """Write a model that adds 1/20 of the mean over all rows to each row. [batch, 3]."""
    nodes = [
        node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
        node("Mul", ["m", "w"], ["s"]),
        node("Add", ["x", "s"], ["y"]),
    ]
    axes: Axes = ["batch", 3]
    return save(path, nodes, [value("x", FLOAT, axes)], [value("y", FLOAT, axes)], w=np.array(0.05, F32))


def dynamic_quantized(path: Path) -> Path:
    """Write a model that is quantized by the range of all rows. [batch, 3]."""
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    axes: Axes = ["batch", 3]
    return save(path, nodes, [value("x", FLOAT, axes)], [value("y", FLOAT, axes)])


def static_quantized(path: Path) -> Path:
    """Write an int8 layer with fixed scales (QDQ); the step of the output is 0.125. [batch, 8] -> [batch, 4]."""
    random = np.random.default_rng(3)
    nodes = [
        node("QuantizeLinear", ["x", "xs", "z"], ["xq"]),
        node("DequantizeLinear", ["xq", "xs", "z"], ["xd"]),
        node("DequantizeLinear", ["wq", "ws", "z"], ["wd"]),
        node("MatMul", ["xd", "wd"], ["m"]),
        node("QuantizeLinear", ["m", "ys", "z"], ["yq"]),
        node("DequantizeLinear", ["yq", "ys", "z"], ["yd"]),
        node("Reshape", ["yd", "shape"], ["y"]),
    ]
    constants: dict[str, np.ndarray] = {
        "xs": np.array(0.05, F32),
        "ws": np.array(0.02, F32),
        "ys": np.array(0.125, F32),
        "z": np.array(0, np.int8),
        "wq": random.integers(-100, 100, (8, 4)).astype(np.int8),
        "shape": np.array([-1, 4]),
    }
    return save(path, nodes, [value("x", FLOAT, ["batch", 8])], [value("y", FLOAT, ["batch", 4])], **constants)


def cnn(path: Path) -> Path:
    """Write a model with two convolutions, a pooling and a layer. [N, 3, 8, 8] -> [N, 5]."""
    random = np.random.default_rng(4)
    nodes = [
        node("Conv", ["image", "w1"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w2"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["c"], ["d"]),
        node("GlobalAveragePool", ["d"], ["e"]),
        node("Flatten", ["e"], ["f"]),
        node("Gemm", ["f", "w3"], ["y"]),
    ]
    weights = {
        "w1": random.standard_normal((8, 3, 3, 3)).astype(F32),
        "w2": random.standard_normal((16, 8, 3, 3)).astype(F32),
        "w3": random.standard_normal((16, 5)).astype(F32),
    }
    return save(path, nodes, [value("image", FLOAT, ["N", 3, 8, 8])], [value("y", FLOAT, ["N", 5])], **weights)


def attention(path: Path) -> Path:
    """Write one attention layer for token ids with a mask. [batch, length] int64 -> [batch, length, 8]."""
    random = np.random.default_rng(5)
    nodes = [
        node("Gather", ["table", "ids"], ["e"]),
        node("MatMul", ["e", "wq"], ["q"]),
        node("MatMul", ["e", "wk"], ["k"]),
        node("MatMul", ["e", "wv"], ["v"]),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["s"]),
        node("Cast", ["mask"], ["mf"], to=FLOAT),
        node("Sub", ["mf", "one"], ["mm"]),
        node("Mul", ["mm", "big"], ["mb"]),
        node("Unsqueeze", ["mb", "axis"], ["mu"]),
        node("Add", ["s", "mu"], ["sm"]),
        node("Softmax", ["sm"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["y"]),
    ]
    weights = {name: random.standard_normal((8, 8)).astype(F32) for name in ("wq", "wk", "wv")}
    constants = {"one": np.array(1, F32), "big": np.array(1e4, F32), "axis": np.array([1])}
    table = random.standard_normal((20, 8)).astype(F32)
    inputs = [value("ids", INT64, ["batch", "length"]), value("mask", INT64, ["batch", "length"])]
    return save(path, nodes, inputs, [value("y", FLOAT, ["batch", "length", 8])], table=table, **weights, **constants)


def generated_names(path: Path) -> Path:
    """Write `y` = `a` + `b` with the first axes named as by tf2onnx. [unk__1, 2] and [unk__2, 2]."""
    inputs = [value("a", FLOAT, ["unk__1", 2]), value("b", FLOAT, ["unk__2", 2])]
    return save(path, [node("Add", ["a", "b"], ["y"])], inputs, [value("y", FLOAT, ["unk__3", 2])])


def one_row(path: Path) -> Path:
    """Write `y` = 2 `x` for one row at a time. [1, 3]."""
    return save(path, [node("Add", ["x", "x"], ["y"])], [value("x", FLOAT, [1, 3])], [value("y", FLOAT, [1, 3])])


def countdown(path: Path, *, axes: list[str | int] | None = None) -> Path:
    """Write a loop with as many steps as the input, which decides its duration; `y` = the steps. int64 [1]."""
    body = helper.make_graph(
        [node("Add", ["v_in", "one"], ["v_out"]), node("Identity", ["c_in"], ["c_out"])],
        "body",
        [value("i", INT64, []), value("c_in", BOOL, []), value("v_in", INT64, [1])],
        [value("c_out", BOOL, []), value("v_out", INT64, [1])],
    )
    nodes = [node("Squeeze", ["n"], ["trips"]), node("Loop", ["trips", "yes", "zero"], ["y"], body=body)]
    constants = {"yes": np.array([True]).reshape(()), "zero": np.array([0]), "one": np.array([1])}
    return save(path, nodes, [value("n", INT64, axes or [1])], [value("y", INT64, [1])], **constants)


def endless_on_zeros(path: Path) -> Path:
    """Write a loop that is endless for 0, the input of the warm-up; `y` = 0 for all other inputs. int64 [1]."""
    body = helper.make_graph(
        [node("Identity", ["zero_given"], ["c_out"]), node("Identity", ["v_in"], ["v_out"])],
        "body",
        [value("i", INT64, []), value("c_in", BOOL, []), value("v_in", INT64, [1])],
        [value("c_out", BOOL, []), value("v_out", INT64, [1])],
    )
    nodes = [
        node("Squeeze", ["n"], ["given"]),
        node("Equal", ["given", "none"], ["zero_given"]),
        node("Loop", ["", "zero_given", "zero"], ["y"], body=body),
    ]
    constants = {"none": np.array(0), "zero": np.array([0])}
    return save(path, nodes, [value("n", INT64, [1])], [value("y", INT64, [1])], **constants)


DEPENDENT: Mapping[str, Callable[[Path], Path]] = {
    each.__name__: each for each in (counts, boxes, smooth, denoise, best, verdict, mean, dynamic_quantized)
}
