"""Real ONNX files of every kind, opened and run by the real ONNX Runtime."""

import logging
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from runtime.errors import InvalidInput, InvalidModel, ModelFailed, RejectedByModel
from runtime.model.session import Session
from runtime.tensors import STRING, as_array
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


@pytest.mark.parametrize(
    ("element", "dtype", "numbers"),
    [
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16, [1.5, -2.0, 3.0]),
        (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn, [1.5, -2.0, 448.0]),
        (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2, [1.5, -2.0, 3.0]),
        (TensorProto.INT4, ml_dtypes.int4, [-8.0, 0.0, 7.0]),
        (TensorProto.UINT4, ml_dtypes.uint4, [0.0, 8.0, 15.0]),
        (TensorProto.UINT2, ml_dtypes.uint2, [0.0, 2.0, 3.0]),
    ],
)
def test_element_types_that_onnx_runtime_takes_from_no_array_go_in_and_out(
    tmp_path: Path, element: int, dtype: type, numbers: list[float]
) -> None:
    gives = opened(models.cast(tmp_path / "gives.onnx", to=element))
    (narrow,) = gives.run([np.array(numbers, np.float32)])
    assert (narrow.dtype, gives.signature.outputs[0].dtype) == (np.dtype(dtype), np.dtype(dtype))
    assert narrow.astype(np.float32).tolist() == numbers
    takes = opened(models.cast(tmp_path / "takes.onnx", to=models.FLOAT, element=element))
    assert takes.signature.inputs[0].dtype == np.dtype(dtype)
    assert takes.run([narrow])[0].tolist() == numbers
    assert takes.run([narrow[:0]])[0].tolist() == []
    assert [len(each.warm_up()) for each in (gives, takes)] == [1, 1]


def test_a_narrow_type_goes_in_and_out_of_one_model_beside_others(tmp_path: Path) -> None:
    session = opened(models.identity(tmp_path / "m.onnx", element=TensorProto.BFLOAT16))
    sent = np.array([[1.5, -2, 3]], np.float32).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(session.run([sent])[0], sent)


def test_a_narrow_output_beside_a_sequence_is_refused_with_the_next_step(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16),
        helper.make_node("SequenceConstruct", ["x"], ["z"]),
    ]
    outputs = [
        models.value("y", TensorProto.BFLOAT16, ["n"]),
        helper.make_tensor_sequence_value_info("z", models.FLOAT, None),
    ]
    models.save(tmp_path / "m.onnx", nodes, [models.value("x", models.FLOAT, ["n"])], outputs)
    with pytest.raises(InvalidModel, match=r"beside strings, sequences, .* Cast to float at that output"):
        opened(tmp_path / "m.onnx")


def test_an_element_type_without_a_form_is_refused(tmp_path: Path) -> None:
    models.cast(tmp_path / "m.onnx", to=TensorProto.FLOAT8E8M0)
    with pytest.raises(InvalidModel, match=r"'y' is a tensor\(float8e8m0\).*export the model with a Cast to float"):
        opened(tmp_path / "m.onnx")


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
    assert session.signature.outputs[1].describe() == "sequence(map(string, float32))"


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


def test_a_sequence_goes_in(tmp_path: Path) -> None:
    session = opened(models.joined(tmp_path / "m.onnx"))
    assert session.signature.inputs[0].containers == ("sequence",)
    assert not session.signature.batchable
    sent = as_array([np.array([1.0], np.float32), np.array([2.0, 3.0], np.float32)])
    assert session.signature.validate([sent]) == 1
    assert session.run([sent])[0].tolist() == [1, 2, 3]


def test_strings_in_a_sequence_come_item_by_item(tmp_path: Path) -> None:
    session = opened(models.repeated(tmp_path / "m.onnx"))
    assert session.signature.outputs[0].datatype == "sequence(string)"
    (got,) = session.run([np.array(["a", "b"], dtype=object)])
    assert [each.tolist() for each in got] == [["a", "b"], ["a", "b"]]


def test_an_optional_output_without_a_value_is_none(tmp_path: Path) -> None:
    session = opened(models.absent(tmp_path / "m.onnx"))
    absent, same = session.run([np.ones(1, np.float32)])
    assert (absent.shape, absent.item(), same.tolist()) == ((), None, [1])
    assert session.signature.outputs[0].datatype == "optional(float32)"
    assert len(session.warm_up()) == 1


def test_an_optional_input_may_be_absent(tmp_path: Path) -> None:
    session = opened(models.optional_input(tmp_path / "m.onnx"))
    assert session.run([as_array(None)])[0].item() is False
    assert session.run([np.ones(2, np.float32)])[0].item() is True


def test_an_optional_input_that_is_there_arrives_as_it_is(tmp_path: Path) -> None:
    session = opened(models.optional_value(tmp_path / "m.onnx"))
    assert session.run([np.array([1.5, 2.5], np.float32)])[0].tolist() == [1.5, 2.5]
    with pytest.raises(RejectedByModel):
        session.run([as_array(None)])


def test_a_scalar_is_told_from_an_unknown_rank(tmp_path: Path) -> None:
    session = opened(models.scaled(tmp_path / "m.onnx"))
    assert [spec.shape for spec in session.signature.inputs] == [("n", 2), ()]
    assert opened(models.identity(tmp_path / "o.onnx", shape=None)).signature.inputs[0].shape is None
    with pytest.raises(InvalidInput, match=r"inputs\.k: got shape \[2\]; expected float32\[\]"):
        session.signature.validate([np.ones((1, 2), np.float32), np.ones(2, np.float32)])


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
