"""The facts of a model file that ONNX Runtime does not provide, read without onnx and without the weights."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.model.graph import UNKNOWN, GraphFacts, Operator, Use, facts_of, read_facts
from runtime.model.operators import costs_by_shape, reason_against_sharing
from tests import models
from tests.models import FLOAT, INT64, Axes, save, value
from tests.runtime import independence_models as zoo
from tests.runtime.independence_models import node

ROW: Axes = ["batch", 3]


def names(facts: GraphFacts) -> set[str]:
    return {str(operator) for operator in facts.operators}


def test_the_operators_of_the_graph_are_read(tmp_path: Path) -> None:
    assert names(read_facts(zoo.mean(tmp_path / "m.onnx"))) == {"ReduceMean", "Mul", "Add"}


def test_the_operators_in_loops_and_branches_are_read(tmp_path: Path) -> None:
    inner = helper.make_graph([node("NonZero", ["x"], ["n"])], "then", [], [value("n", INT64, None)])
    other = helper.make_graph([node("Unique", ["x"], ["u"])], "else", [], [value("u", FLOAT, None)])
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
        node("If", ["c"], ["y"], then_branch=inner, else_branch=other),
    ]
    path = save(tmp_path / "m.onnx", nodes, [value("x", FLOAT, ROW)], [value("y", INT64, None)])
    assert {"If", "NonZero", "Unique"} <= names(read_facts(path))


def test_the_operators_in_functions_of_the_model_are_read_and_their_calls_are_known() -> None:
    body = helper.make_function(
        "mine", "Find", ["a"], ["b"], [node("NonZero", ["a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    graph = helper.make_graph(
        [helper.make_node("Find", ["x"], ["y"], domain="mine")],
        "g",
        [value("x", FLOAT, ROW)],
        [value("y", INT64, None)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    facts = facts_of(helper.make_model(graph, functions=[body], opset_imports=opsets).SerializeToString())
    assert names(facts) == {"mine.Find", "NonZero"}
    assert facts.functions == {Operator("mine", "Find")}


def branch(kind: str) -> onnx.GraphProto:
    return helper.make_graph([node(kind, ["x"], [f"of_{kind}"])], kind, [], [value(f"of_{kind}", FLOAT, None)])


def test_an_if_on_a_shape_does_not_count_but_its_branches_do(tmp_path: Path) -> None:
    nodes = [
        node("Size", ["x"], ["s"]),
        node("Equal", ["s", "three"], ["c"]),
        node("If", ["c"], ["y"], then_branch=branch("Tanh"), else_branch=branch("Relu")),
    ]
    path = save(tmp_path / "m.onnx", nodes, [value("x", FLOAT, ROW)], [value("y", FLOAT, None)], three=np.array(3))
    assert names(read_facts(path)) == {"Tanh", "Relu"}


def test_branches_in_the_body_of_a_function_are_read() -> None:
    choice = node("If", ["c"], ["b"], then_branch=branch("NonZero"), else_branch=branch("Relu"))
    body = helper.make_function("mine", "Choose", ["x", "c"], ["b"], [choice], [helper.make_opsetid("", 17)])
    body.doc_string = "has fields that say nothing of operators"
    calls = [helper.make_node("Choose", ["x", "c"], ["y"], domain="mine")]
    inputs = [value("x", FLOAT, ROW), value("c", TensorProto.BOOL, [])]
    graph = helper.make_graph(calls, "g", inputs, [value("y", FLOAT, None)])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    facts = facts_of(helper.make_model(graph, functions=[body], opset_imports=opsets).SerializeToString())
    assert names(facts) == {"mine.Choose", "If", "NonZero", "Relu"}


def test_operators_on_shapes_and_constants_are_left_out(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("ConstantOfShape", ["s"], ["o"], value=numpy_helper.from_array(np.array([1], np.float32))),
        node("NonZero", ["o"], ["n"]),
        node("Expand", ["k", "s"], ["e"]),
        node("Add", ["x", "e"], ["y"]),
    ]
    path = save(
        tmp_path / "m.onnx", nodes, [value("x", FLOAT, ROW)], [value("y", FLOAT, ROW)], k=np.ones(1, np.float32)
    )
    facts = read_facts(path)
    assert names(facts) == {"Add"}
    assert reason_against_sharing(facts) is None
    assert costs_by_shape(facts)


def test_the_output_of_a_random_operator_is_not_static(tmp_path: Path) -> None:
    nodes = [node("RandomNormal", [], ["r"], shape=[1, 3]), node("Add", ["x", "r"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, [value("x", FLOAT, ROW)], [value("y", FLOAT, ROW)])
    assert "RandomNormal" in names(read_facts(path))


def test_scalars_and_unknown_ranks_are_distinguished(tmp_path: Path) -> None:
    nodes = [node("Mul", ["x", "k"], ["y"]), node("Identity", ["u"], ["v"])]
    inputs = [value("x", FLOAT, ["n", 2]), value("k", FLOAT, []), value("u", FLOAT, None)]
    facts = read_facts(save(tmp_path / "m.onnx", nodes, inputs, [value("y", FLOAT, ["n", 2]), value("v", FLOAT, None)]))
    assert facts.scalars == {"k"}
    assert facts.unranked == {"u", "v"}


def test_a_sequence_is_neither_a_scalar_nor_unranked(tmp_path: Path) -> None:
    facts = read_facts(models.split_rows(tmp_path / "m.onnx"))
    assert not facts.scalars
    assert not facts.unranked


def test_the_step_of_a_quantized_output_is_found_behind_operators_that_move_elements(tmp_path: Path) -> None:
    assert read_facts(zoo.static_quantized(tmp_path / "m.onnx")).output_steps == {"y": 0.125}


@pytest.mark.parametrize(
    ("kind", "array", "step"),
    [(10, np.array(0.5, np.float16), 0.5), (11, np.array(0.25), None), (1, np.array([0.5, 2], np.float32), 2.0)],
)
def test_the_largest_scale_counts_for_each_type(kind: int, array: np.ndarray, step: float | None) -> None:
    for raw in (True, False):
        scale = numpy_helper.from_array(array, "s") if raw else helper.make_tensor("s", 1, [2], [0.5, 2.0])
        graph = helper.make_graph(
            [node("DequantizeLinear", ["x", "s"], ["y"])],
            "g",
            [value("x", TensorProto.INT8, ROW)],
            [value("y", kind, ROW)],
            [scale],
        )
        facts = facts_of(helper.make_model(graph).SerializeToString())
        assert facts.output_steps == {"y": (step or float(array)) if raw else 2.0}


def test_a_computed_scale_or_one_of_an_unknown_type_has_no_step() -> None:
    odd = onnx.TensorProto(name="s", data_type=TensorProto.BFLOAT16, raw_data=b"\x80\x3f", dims=[1])
    for scale in ([], [odd]):
        graph = helper.make_graph(
            [node("Identity", ["t"], ["s2"]), node("DequantizeLinear", ["x", "s" if scale else "s2"], ["y"])],
            "g",
            [value("x", TensorProto.INT8, ROW), value("t", FLOAT, [])],
            [value("y", FLOAT, ROW)],
            scale,
        )
        assert facts_of(helper.make_model(graph).SerializeToString()).output_steps == {}


def test_a_file_in_the_format_of_onnx_runtime_is_unknown(tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "m.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(models.doubling(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
    facts = read_facts(tmp_path / "m.ort")
    assert facts is UNKNOWN
    assert not costs_by_shape(facts)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff" * 20])
def test_a_file_that_is_not_a_model_is_unknown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert not read_facts(tmp_path / "m.onnx").operators
    assert read_facts(tmp_path / "none.onnx") is UNKNOWN


def used(*operators: str, static: bool = True) -> GraphFacts:
    made = (each.rpartition(".") for each in operators)
    return GraphFacts(known=True, uses=frozenset(Use(Operator(domain, name), static) for domain, _, name in made))


@pytest.mark.parametrize(
    "operator",
    [
        "NonZero",
        "NonMaxSuppression",
        "Compress",
        "Unique",
        "DynamicQuantizeLinear",
        "If",
        "Loop",
        "com.microsoft.BeamSearch",
    ],
)
def test_operators_that_mix_rows_or_change_their_number_rule_out_shared_runs(operator: str) -> None:
    assert str(reason_against_sharing(used("Add", operator))).startswith(f"operator {operator}: ")


def test_other_operators_do_not_rule_out_shared_runs() -> None:
    assert (
        reason_against_sharing(used("Add", "Conv", "QuantizeLinear", "LSTM", "ai.onnx.ml.TreeEnsembleRegressor"))
        is None
    )


@pytest.mark.parametrize(
    ("facts", "by_shape"),
    [
        (used("MatMul", "ai.onnx.ml.TreeEnsembleClassifier", "Softmax"), True),
        (used("Expand", "Tile", "Resize", "Pad"), True),  # to a constant size
        (used("Expand", static=False), False),
        (used("Resize", static=False), False),
        (used("Add", static=False), True),
        *((used(each), False) for each in ("Loop", "Scan", "If", "Range", "ConstantOfShape", "NonMaxSuppression")),
        (used("com.microsoft.Gelu"), False),
        (used("mine.Find")._replace(functions=frozenset({Operator("mine", "Find")})), True),
        (UNKNOWN, False),
    ],
)
def test_whether_the_cost_depends_only_on_shapes(facts: GraphFacts, by_shape: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert costs_by_shape(facts) is by_shape
