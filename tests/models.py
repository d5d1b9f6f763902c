"""Small ONNX models for tests. Each function writes one model and returns its path; its docstring defines the model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
Axes = Sequence[int | str | None]


def value(name: str, element: int, shape: Axes | None) -> onnx.ValueInfoProto:
    """Return an input or output. With a shape of None, even the rank is unknown."""
    return helper.make_tensor_value_info(name, element, shape)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    opset: int = 17,
    /,
    **constants: np.ndarray,
) -> Path:
    """Write the graph with `constants` as initializers; return the path."""
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializers)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset <= 17 else 10),
        path,
    )
    return path


def identity(path: Path, *, element: int = FLOAT, shape: Axes | None = ("batch", 3)) -> Path:
    """`y` = `x`."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return save(path, [node], [value("x", element, shape)], [value("y", element, shape)])


def doubling(path: Path, *, width: int | str | None = 2) -> Path:
    """`y` = 2 `x`, float32 [batch, width]."""
    node = helper.make_node("Add", ["x", "x"], ["y"])
    shape = ("batch", width)
    return save(path, [node], [value("x", FLOAT, shape)], [value("y", FLOAT, shape)])


def two_in_two_out(path: Path) -> Path:
    """`total` = `a` + `b` and `rest` = `a` - `b`, both float32 [batch, 2]."""
    shape = ("batch", 2)
    nodes = [helper.make_node("Add", ["a", "b"], ["total"]), helper.make_node("Sub", ["a", "b"], ["rest"])]
    inputs = [value("a", FLOAT, shape), value("b", FLOAT, shape)]
    return save(path, nodes, inputs, [value("total", FLOAT, shape), value("rest", FLOAT, shape)])


def lookup(path: Path, *, entries: int = 10) -> Path:
    """`y` = 10 `index`, from a table, [batch] -> [batch]. An index outside of [-entries, entries) is an error."""
    node = helper.make_node("Gather", ["table", "index"], ["y"], axis=0)
    table = np.arange(entries, dtype=np.float32) * 10
    return save(path, [node], [value("index", INT64, ["batch"])], [value("y", FLOAT, ["batch"])], table=table)


def pairs(path: Path) -> Path:
    """`y` = `x` in rows of two. An odd number of elements is an error, and one row may become several."""
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    shape = np.array([-1, 2], dtype=np.int64)
    return save(path, [node], [value("x", FLOAT, ["n", "m"])], [value("y", FLOAT, ["rows", 2])], shape=shape)


def every_second_row(path: Path) -> Path:
    """`y` = the rows 0, 2, 4, ... of `x`, [time, 2] -> [steps, 2]: a dynamic axis that is not a batch axis.

    Only a run of more than one row can detect this.
    """
    node = helper.make_node("Slice", ["x", "start", "to", "along", "step"], ["y"])
    return save(
        path,
        [node],
        [value("x", FLOAT, ["time", 2])],
        [value("y", FLOAT, ["steps", 2])],
        start=np.array([0]),
        to=np.array([2**31]),
        along=np.array([0]),
        step=np.array([2]),
    )


def total(path: Path) -> Path:
    """`y` = the sum of all elements, a scalar."""
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    return save(path, [node], [value("x", FLOAT, ["n", 2])], [value("y", FLOAT, [])])


def fixed_rows(path: Path, *, rows: int = 2) -> Path:
    """`y` = 2 `x`, float32 [rows, 2], with a fixed number of rows."""
    node = helper.make_node("Add", ["x", "x"], ["y"])
    return save(path, [node], [value("x", FLOAT, [rows, 2])], [value("y", FLOAT, [rows, 2])])


def cast(path: Path, *, to: int, element: int = FLOAT) -> Path:
    """`y` = `x` as another element type, [n] -> [n]."""
    node = helper.make_node("Cast", ["x"], ["y"], to=to)
    return save(path, [node], [value("x", element, ["n"])], [value("y", to, ["n"])], 25)


def scaled(path: Path, *, rows: str = "n") -> Path:
    """`y` = `x` times the scalar `k`, [n, 2] -> [n, 2]."""
    node = helper.make_node("Mul", ["x", "k"], ["y"])
    return save(path, [node], [value("x", FLOAT, [rows, 2]), value("k", FLOAT, [])], [value("y", FLOAT, [rows, 2])])


def first_step(path: Path) -> Path:
    """`present` = `past` and then `new` along the third axis, like the cache of a decoder."""
    node = helper.make_node("Concat", ["past", "new"], ["present"], axis=2)
    inputs = [value("past", FLOAT, ["batch", 2, "past", 4]), value("new", FLOAT, ["batch", 2, "seq", 4])]
    return save(path, [node], inputs, [value("present", FLOAT, ["batch", 2, "total", 4])])


def pooled(path: Path) -> Path:
    """The mean of each channel. Both axes of an image have the name "?", which does not make them equal."""
    node = helper.make_node("GlobalAveragePool", ["x"], ["y"])
    return save(path, [node], [value("x", FLOAT, ["N", 3, "?", "?"])], [value("y", FLOAT, ["N", 3, 1, 1])])


def repeated(path: Path) -> Path:
    """The strings `x`, twice, as a sequence of two tensors."""
    node = helper.make_node("SequenceConstruct", ["x", "x"], ["y"])
    output = helper.make_tensor_sequence_value_info("y", STRING, None)
    return save(path, [node], [value("x", STRING, ["n"])], [output])


def absent(path: Path) -> Path:
    """An optional output `o` without a value, and `z` = `x`."""
    of = helper.make_tensor_type_proto(FLOAT, ["n"])
    nodes = [helper.make_node("Optional", [], ["o"], type=of), helper.make_node("Identity", ["x"], ["z"])]
    optional = helper.make_value_info("o", helper.make_optional_type_proto(of))
    return save(path, nodes, [value("x", FLOAT, ["n"])], [optional, value("z", FLOAT, ["n"])])


def optional_input(path: Path) -> Path:
    """`y` = whether the optional input `x` has a value."""
    node = helper.make_node("OptionalHasElement", ["x"], ["y"])
    of = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, ["n"]))
    return save(path, [node], [helper.make_value_info("x", of)], [value("y", TensorProto.BOOL, [])], 18)


def optional_value(path: Path) -> Path:
    """`y` = the optional input `x`, which must have a value."""
    node = helper.make_node("OptionalGetElement", ["x"], ["y"])
    of = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, ["n"]))
    return save(path, [node], [helper.make_value_info("x", of)], [value("y", FLOAT, ["n"])], 18)


def joined(path: Path) -> Path:
    """`y` = the tensors of the sequence `x`, concatenated."""
    node = helper.make_node("ConcatFromSequence", ["x"], ["y"], axis=0)
    sequence = helper.make_tensor_sequence_value_info("x", FLOAT, None)
    return save(path, [node], [sequence], [value("y", FLOAT, ["n"])])


def people(path: Path) -> Path:
    """`score` = `age` / 100 and `label` = `sex`. Both inputs are columns, [n, 1], as of a pandas table."""
    nodes = [helper.make_node("Div", ["age", "hundred"], ["score"]), helper.make_node("Identity", ["sex"], ["label"])]
    inputs = [value("age", INT64, ["n", 1]), value("sex", STRING, ["n", 1])]
    nodes = [helper.make_node("Cast", ["age"], ["years"], to=FLOAT), *nodes]
    nodes[1].input[0] = "years"
    outputs = [value("score", FLOAT, ["n", 1]), value("label", STRING, ["n", 1])]
    return save(path, nodes, inputs, outputs, hundred=np.array(100, np.float32))


def split_rows(path: Path) -> Path:
    """The rows of `x` as a sequence of tensors."""
    node = helper.make_node("SplitToSequence", ["x"], ["y"], axis=0, keepdims=0)
    output = helper.make_tensor_sequence_value_info("y", FLOAT, None)
    return save(path, [node], [value("x", FLOAT, ["batch", 2])], [output])


def zeros(path: Path) -> Path:
    """`y` = `count` zeros, [1] -> [rows], so the caller controls how much memory a run needs."""
    node = helper.make_node("ConstantOfShape", ["count"], ["y"])
    return save(path, [node], [value("count", INT64, [1])], [value("y", FLOAT, ["rows"])])


def constant(path: Path) -> Path:
    """`y` = [1, 2, 3], without an input."""
    node = helper.make_node("Identity", ["three"], ["y"])
    return save(path, [node], [], [value("y", FLOAT, [3])], three=np.array([1, 2, 3], np.float32))


def with_sequence(path: Path) -> Path:
    """Save `y` = 2 `x` beside `x`, float32 [n, 4] of [n, 2], by a sequence, which OpenVINO does not take."""
    nodes = [
        helper.make_node("Add", ["x", "x"], ["a"]),
        helper.make_node("SequenceConstruct", ["a", "x"], ["s"]),
        helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=1),
    ]
    return save(path, nodes, [value("x", FLOAT, ["n", 2])], [value("y", FLOAT, ["n", 4])])


def heavy(path: Path, *, size: int = 1400) -> Path:
    """`y` = `x`, float32 [batch, 2], with a large matrix product that does not depend on `x`: every run is slow."""
    nodes = [
        helper.make_node("MatMul", ["a", "b"], ["ab"]),
        helper.make_node("ReduceMax", ["ab"], ["peak"], keepdims=0),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["zero_of_x"]),
        helper.make_node("Add", ["a_", "zero_of_x"], ["a"]),
        helper.make_node("Mul", ["peak", "zero"], ["zero_of_product"]),
        helper.make_node("Add", ["x", "zero_of_product"], ["y"]),
    ]
    ordered = [nodes[index] for index in (2, 3, 4, 0, 1, 5, 6)]
    square = np.full((size, size), 0.5, np.float32)
    shape = ("batch", 2)
    return save(
        path,
        ordered,
        [value("x", FLOAT, shape)],
        [value("y", FLOAT, shape)],
        a_=square,
        b=square,
        zero=np.array(0, np.float32),
    )


def running_sum(path: Path) -> Path:
    """`y` = the sums of the rows of `x` up to each row, float32 [batch, 2]. The first axis is not a batch axis."""
    node = helper.make_node("CumSum", ["x", "axis"], ["y"])
    shape = ("batch", 2)
    return save(path, [node], [value("x", FLOAT, shape)], [value("y", FLOAT, shape)], axis=np.array(0, np.int64))


def share(path: Path) -> Path:
    """`y` = the softmax of `x` along the first axis, float32 [batch, 2]."""
    node = helper.make_node("Softmax", ["x"], ["y"], axis=0)
    shape = ("batch", 2)
    return save(path, [node], [value("x", FLOAT, shape)], [value("y", FLOAT, shape)])


def identities(path: Path, elements: Mapping[str, int]) -> Path:
    """`y_NAME` = `x_NAME` for each element type, [n] -> [n]."""
    nodes = [helper.make_node("Identity", [f"x_{name}"], [f"y_{name}"]) for name in elements]
    inputs = [value(f"x_{name}", element, ["n"]) for name, element in elements.items()]
    return save(path, nodes, inputs, [value(f"y_{name}", element, ["n"]) for name, element in elements.items()])


def scored(path: Path) -> Path:
    """`scores` = `a` + `b`, float32 [batch, 2], and `value` = the sum of its scores, [batch, 1]."""
    shape = ("batch", 2)
    nodes = [
        helper.make_node("Add", ["a", "b"], ["scores"]),
        helper.make_node("ReduceSum", ["scores", "along"], ["value"], keepdims=1),
    ]
    inputs = [value("a", FLOAT, shape), value("b", FLOAT, shape)]
    outputs = [value("scores", FLOAT, shape), value("value", FLOAT, ("batch", 1))]
    return save(path, nodes, inputs, outputs, along=np.array([1]))


def rotated(path: Path, *, share: float = 0.5) -> Path:
    """`y` = the columns of `x` in another order, plus `share` times `x`, float32 [batch, 3]."""
    nodes = [
        helper.make_node("Gather", ["x", "order"], ["turned"], axis=1),
        helper.make_node("Mul", ["x", "share"], ["added"]),
        helper.make_node("Add", ["turned", "added"], ["y"]),
    ]
    shape = ("batch", 3)
    weights = {"order": np.array([2, 0, 1]), "share": np.array(share, np.float32)}
    return save(path, nodes, [value("x", FLOAT, shape)], [value("y", FLOAT, shape)], **weights)
