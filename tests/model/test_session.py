"""Real ONNX files of every kind, opened and run by the real ONNX Runtime."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from runtime.errors import InvalidModel, ModelFailed, RejectedByModel
from runtime.model.session import Session
from runtime.tensors import STRING
from tests import models


def opened(path: Path) -> Session:
    return Session(path, uri=str(path), name="m", threads=1)


@pytest.mark.parametrize(
    ("element", "dtype"),
    [
        (TensorProto.FLOAT, np.float32),
        (TensorProto.DOUBLE, np.float64),
        (TensorProto.FLOAT16, np.float16),
        (TensorProto.INT8, np.int8),
        (TensorProto.INT16, np.int16),
        (TensorProto.INT32, np.int32),
        (TensorProto.INT64, np.int64),
        (TensorProto.UINT8, np.uint8),
        (TensorProto.UINT16, np.uint16),
        (TensorProto.UINT32, np.uint32),
        (TensorProto.UINT64, np.uint64),
        (TensorProto.BOOL, np.bool_),
        (TensorProto.STRING, object),
    ],
)
def test_every_element_type_goes_in_and_out(tmp_path: Path, element: int, dtype: type) -> None:
    session = opened(models.identity(tmp_path / "m.onnx", element=element))
    spec = session.signature.inputs[0]
    assert (spec.name, spec.dtype, spec.shape) == ("x", np.dtype(dtype), ("batch", 3))
    sent: np.ndarray = np.array([["a", "ä", ""]] if dtype is object else [[0, 1, 1]], dtype=dtype)
    assert session.signature.validate([sent]) == 1
    (got,) = session.run([sent])
    assert got.dtype == sent.dtype
    np.testing.assert_array_equal(got, sent)
    assert len(session.warm_up()) == 1


def test_an_element_type_that_numpy_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"'x' is a tensor\(bfloat16\); NumPy has no such element type"):
        opened(models.identity(tmp_path / "m.onnx", element=TensorProto.BFLOAT16))


def test_several_inputs_and_outputs_keep_the_models_order(tmp_path: Path) -> None:
    session = opened(models.two_in_two_out(tmp_path / "m.onnx"))
    assert [spec.name for spec in session.signature.inputs] == ["a", "b"]
    assert [spec.name for spec in session.signature.outputs] == ["total", "rest"]
    total, rest = session.run([np.full((1, 2), 5, np.float32), np.full((1, 2), 3, np.float32)])
    assert (total[0, 0], rest[0, 0]) == (8, 2)


def test_symbolic_and_open_axes_are_told_apart(tmp_path: Path) -> None:
    shape = opened(models.identity(tmp_path / "m.onnx", shape=["N", None, 4, "length"])).signature.inputs[0].shape
    assert shape == ("N", None, 4, "length")
    assert opened(models.identity(tmp_path / "o.onnx", shape=None)).signature.inputs[0].shape is None


def test_a_scalar_output_comes_as_an_array_without_axes(tmp_path: Path) -> None:
    session = opened(models.total(tmp_path / "m.onnx"))
    (got,) = session.run([np.ones((3, 2), np.float32)])
    assert got.shape == ()
    assert got == 6


def test_a_sequence_of_tensors_comes_item_by_item(tmp_path: Path) -> None:
    (got,) = opened(models.split_rows(tmp_path / "m.onnx")).run([np.array([[1, 2], [3, 4]], np.float32)])
    assert got.shape == (2,)
    np.testing.assert_array_equal(got[1], [3, 4])


def test_scikit_learns_zipmap_is_one_mapping_a_row(tmp_path: Path) -> None:
    features = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    fitted = LogisticRegression().fit(features, ["no", "no", "yes", "yes"])
    (tmp_path / "m.onnx").write_bytes(to_onnx(fitted, features[:1]).SerializeToString())
    session = opened(tmp_path / "m.onnx")
    assert session.signature.batchable
    labels, probabilities = session.run([features])
    assert labels.tolist() == ["no", "no", "yes", "yes"]
    assert probabilities.shape == (4,)
    assert set(probabilities[0]) == {"no", "yes"}
    assert session.signature.outputs[0].dtype == STRING


def test_an_input_that_the_graph_cannot_compute_on_is_the_callers_fault(tmp_path: Path) -> None:
    lookup = opened(models.lookup(tmp_path / "m.onnx"))
    np.testing.assert_array_equal(lookup.run([np.array([3, 9])])[0], [30, 90])
    with pytest.raises(RejectedByModel, match=r"model 'm' cannot compute on this input: .*out of data bounds"):
        lookup.run([np.array([3, 10])])
    pairs = opened(models.pairs(tmp_path / "p.onnx"))
    with pytest.raises(RejectedByModel, match="cannot be reshaped") as rejected:
        pairs.run([np.zeros((1, 3), np.float32)])
    assert "[ONNXRuntimeError]" not in str(rejected.value)
    assert "\n" not in str(rejected.value)


def test_memory_that_is_not_to_be_had_is_no_fault_of_the_input(tmp_path: Path) -> None:
    zeros = opened(models.zeros(tmp_path / "m.onnx"))
    assert zeros.run([np.array([3])])[0].tolist() == [0, 0, 0]
    with pytest.raises(ModelFailed, match="model 'm' failed: out of memory"):
        zeros.run([np.array([2**50])])
    assert zeros.run([np.array([1])])[0].tolist() == [0]


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x00" * 1000, b"<html>403</html>"])
def test_what_is_not_onnx_is_refused_with_the_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InvalidModel, match=r"m\.onnx: .+") as refused:
        opened(tmp_path / "m.onnx")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, part: float) -> None:
    whole = models.lookup(tmp_path / "m.onnx", entries=1000).read_bytes()
    (tmp_path / "m.onnx").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InvalidModel):
        opened(tmp_path / "m.onnx")


def test_a_graph_with_an_operator_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    shape: list[int | str | None] = ["batch", 1]
    node = helper.make_node("Frobnicate", ["x"], ["y"])
    models.save(
        tmp_path / "m.onnx", [node], [models.value("x", models.FLOAT, shape)], [models.value("y", models.FLOAT, shape)]
    )
    with pytest.raises(InvalidModel, match="Frobnicate"):
        opened(tmp_path / "m.onnx")


def test_an_input_that_is_no_tensor_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("SequenceLength", ["x"], ["y"])
    models.save(
        tmp_path / "m.onnx",
        [node],
        [helper.make_tensor_sequence_value_info("x", models.FLOAT, None)],
        [models.value("y", models.INT64, [])],
    )
    with pytest.raises(InvalidModel, match=r"input 'x' is a seq\(tensor\(float\)\); only tensors can be served"):
        opened(tmp_path / "m.onnx")


def test_the_file_tells_its_version_if_it_has_one(tmp_path: Path) -> None:
    path = models.identity(tmp_path / "m.onnx")
    assert opened(path).version == "1"
    numbered = onnx.load(path)
    numbered.model_version = 7
    onnx.save(numbered, path)
    assert opened(path).version == "7"


def test_a_model_that_refuses_zeros_is_served_cold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = opened(models.pairs(tmp_path / "m.onnx"))  # [1, 1] is no pair
    with caplog.at_level(logging.WARNING, "scalezero.model"):
        assert session.warm_up() == []
    assert [record.getMessage() for record in caplog.records] == ["no warm-up"]
    assert session.run([np.zeros((1, 4), np.float32)])[0].shape == (2, 2)


def test_a_quick_model_is_warmed_up_twice_and_the_second_run_counts(tmp_path: Path) -> None:
    (seconds,) = opened(models.identity(tmp_path / "m.onnx")).warm_up()
    assert 0 < seconds < 0.005
