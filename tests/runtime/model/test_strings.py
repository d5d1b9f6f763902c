"""Tests of the search for strings in a model, on files that onnx writes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.model.strings import uses_strings
from tests import models

NUMBERS = models.value("x", models.FLOAT, ["n"])
OUT = models.value("y", models.FLOAT, ["n"])
TEXTS = np.array(["a", "b"], object)


def written(path: Path, *nodes: onnx.NodeProto, **constants: np.ndarray) -> Path:
    return models.save(path / "m.onnx", nodes, [NUMBERS], [OUT], **constants)


def branch(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(nodes, "branch", [], [models.value("out", models.FLOAT, ["n"])])


NODES_WITH_STRINGS = {
    "a cast to strings": helper.make_node("Cast", ["x"], ["s"], to=TensorProto.STRING),
    "a constant": helper.make_node("Constant", [], ["s"], value=numpy_helper.from_array(TEXTS)),
    "a constant of one string": helper.make_node("Constant", [], ["s"], value_string="a"),
    "a constant of several strings": helper.make_node("Constant", [], ["s"], value_strings=["a", "b"]),
    "class labels": helper.make_node(
        "LabelEncoder", ["x"], ["s"], domain="ai.onnx.ml", keys_floats=[1.0], values_strings=["a"]
    ),
    "a subgraph": helper.make_node(
        "If",
        ["x"],
        ["s"],
        then_branch=branch(helper.make_node("Cast", ["x"], ["out"], to=TensorProto.STRING)),
        else_branch=branch(helper.make_node("Identity", ["x"], ["out"])),
    ),
}
NODES_WITHOUT_STRINGS = {
    "a cast to numbers": helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64),
    "a constant": helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(np.array([8]))),
    "the names of activations": helper.make_node("LSTM", ["x"], ["y"], activations=["Tanh"], hidden_size=8),
    "an attribute with the number of strings": helper.make_node("Concat", ["x"], ["y"], axis=8),
    "numbers in an operator of ai.onnx.ml": helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", scale=[8.0]),
}


@pytest.mark.parametrize("node", NODES_WITH_STRINGS.values(), ids=NODES_WITH_STRINGS)
def test_a_node_that_makes_strings_is_found(tmp_path: Path, node: onnx.NodeProto) -> None:
    assert uses_strings(written(tmp_path, node))


@pytest.mark.parametrize(("kind", "expected"), [(TensorProto.STRING, True), (TensorProto.INT64, False)])
def test_the_nodes_of_a_function_in_the_file_count(tmp_path: Path, kind: int, *, expected: bool) -> None:
    path = written(tmp_path, helper.make_node("Own", ["x"], ["y"], domain="own"))
    model = onnx.load(path)
    cast = helper.make_node("Cast", ["x"], ["y"], to=kind)
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "Own", ["x"], ["y"], [cast], opset))
    onnx.save(model, path)
    assert uses_strings(path) is expected


@pytest.mark.parametrize("node", NODES_WITHOUT_STRINGS.values(), ids=NODES_WITHOUT_STRINGS)
def test_a_node_without_strings_is_not_found(tmp_path: Path, node: onnx.NodeProto) -> None:
    assert not uses_strings(written(tmp_path, node, w=np.ones(3, np.float32)))


def test_weights_that_are_strings_are_found(tmp_path: Path) -> None:
    assert uses_strings(written(tmp_path, helper.make_node("Identity", ["x"], ["y"]), w=TEXTS))


@pytest.mark.parametrize("place", ["input", "output", "value_info"])
def test_declared_strings_are_found(tmp_path: Path, place: str) -> None:
    path = models.identity(tmp_path / "m.onnx")
    model = onnx.load(path)
    getattr(model.graph, place).append(models.value("s", TensorProto.STRING, ["n"]))
    assert not uses_strings(path)
    onnx.save(model, path)
    assert uses_strings(path)


TEXT = helper.make_tensor_type_proto(TensorProto.STRING, ["n"])
NUMBER = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (helper.make_sequence_type_proto(TEXT), True),
        (helper.make_sequence_type_proto(NUMBER), False),
        (helper.make_optional_type_proto(helper.make_sequence_type_proto(TEXT)), True),
        (helper.make_optional_type_proto(NUMBER), False),
        (helper.make_map_type_proto(TensorProto.STRING, NUMBER), True),
        (helper.make_map_type_proto(TensorProto.INT64, TEXT), True),
        (helper.make_map_type_proto(TensorProto.INT64, NUMBER), False),
    ],
)
def test_strings_in_containers_are_found(tmp_path: Path, kind: onnx.TypeProto, *, expected: bool) -> None:
    path = models.identity(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.output.append(helper.make_value_info("s", kind))
    onnx.save(model, path)
    assert uses_strings(path) is expected


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x08\x08\x3a\xff"])
def test_what_is_no_model_has_no_strings(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert not uses_strings(tmp_path / "m.onnx")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        uses_strings(tmp_path / "m.onnx")
