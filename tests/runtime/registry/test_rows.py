"""The publisher proves with real rows whether the rows of a model are independent."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtime.batching.independence import Outcome, Verdict
from runtime.model.session import Session
from runtime.registry.rows import proof_of, prove_rows, single_rows
from runtime.variants.values import CPU_PROVIDER, RowsProof

ROWS = np.arange(40, dtype=np.float32).reshape(20, 2)


def graph(folder: Path, *nodes: onnx.NodeProto, shape: tuple[str | int, ...] | None = ("batch", 2)) -> Path:
    """Write a model with the input x and the output y of one shape."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    made = helper.make_graph(list(nodes), "g", values[:1], values[1:])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def proof(path: Path, rows: np.ndarray = ROWS) -> RowsProof:
    """Prove the model at a path with these rows."""
    return prove_rows(path, {"x": rows}, name="m", provider=CPU_PROVIDER, batch_size=8, source="evaluation")


def test_independent_rows_are_proven_with_the_evidence(tmp_path: Path) -> None:
    found = proof(graph(tmp_path, helper.make_node("Sigmoid", ["x"], ["y"])))
    assert found.state == "proven"
    assert found.reason == "4 rows of the evaluation data had the same outputs alone and together"


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([helper.make_node("Sub", ["x", "m"], ["y"])], "output 1"),
        ([helper.make_node("CumSum", ["x", "zero"], ["y"])], "output 1"),
    ],
)
def test_rows_that_depend_on_each_other_are_refuted(tmp_path: Path, nodes: list[onnx.NodeProto], reason: str) -> None:
    mean = helper.make_node("ReduceMean", ["x"], ["m"], axes=[0])
    zero = helper.make_node("Constant", [], ["zero"], value_int=0)
    found = proof(graph(tmp_path, mean, zero, *nodes))
    assert found.state == "refuted"
    assert found.reason


def test_a_file_whose_operator_mixes_rows_is_refuted_without_a_run(tmp_path: Path) -> None:
    """So is ONNX Runtime's dynamic int8: its scale is that of all rows of a run."""
    quantize = helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])
    found = proof(graph(tmp_path, quantize, helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])))
    assert found.state == "refuted"
    assert "DynamicQuantizeLinear" in found.reason


def test_a_model_without_an_axis_of_rows_is_refuted(tmp_path: Path) -> None:
    found = proof(graph(tmp_path, helper.make_node("Sigmoid", ["x"], ["y"]), shape=(1, 2)))
    assert found.state == "refuted"


def test_a_proof_that_could_not_run_is_recorded_as_such() -> None:
    assert proof_of(Verdict(Outcome.COULD_NOT_RUN, "why"), source="calibration").state == "not_provable"


@pytest.mark.parametrize(
    ("shape", "expected"), [(("batch", 2), (1, 2)), ((3, 2), (3, 2)), ((1, 2), (1, 2)), (None, (1, 2)), ((), ())]
)
def test_a_single_row_fits_the_input(
    tmp_path: Path, shape: tuple[str | int, ...] | None, expected: tuple[int, ...]
) -> None:
    path = graph(tmp_path, helper.make_node("Sigmoid", ["x"], ["y"]), shape=shape)
    signature = Session(path, uri="m", name="m", threads=1).signature
    data = np.zeros((5, *expected[1 if shape is None or signature.inputs[0].holds_rows else 0 :]), np.float32)
    rows = single_rows(signature, {"x": data})
    assert len(rows) == 5
    assert all(each.shape == expected for row in rows for each in row)
