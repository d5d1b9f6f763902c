"""Sessions of real ONNX files of many kinds, with the real ONNX Runtime."""

import logging
from itertools import chain
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from runtime.errors import InvalidInput, InvalidModel, ModelFailed, ProviderUnavailable, RejectedByModel
from runtime.model.session import Session
from runtime.tensors import STRING, as_array
from runtime.variants.values import CPU_PROVIDER
from tests import models


def opened(path: Path, provider: str = CPU_PROVIDER) -> Session:
    return Session(path, uri=str(path), name="m", threads=1, provider=provider)


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
def test_each_element_type_can_be_an_input_and_an_output(tmp_path: Path, element: int, dtype: type) -> None:
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
def test_each_narrow_element_type_can_be_an_input_and_an_output(
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


def test_a_model_can_have_narrow_and_other_types(tmp_path: Path) -> None:
    session = opened(models.identity(tmp_path / "m.onnx", element=TensorProto.BFLOAT16))
    sent = np.array([[1.5, -2, 3]], np.float32).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(session.run([sent])[0], sent)


def test_a_narrow_output_together_with_a_sequence_is_rejected_with_the_next_step(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16),
        helper.make_node("SequenceConstruct", ["x"], ["z"]),
    ]
    outputs = [
        models.value("y", TensorProto.BFLOAT16, ["n"]),
        helper.make_tensor_sequence_value_info("z", models.FLOAT, None),
    ]
    models.save(tmp_path / "m.onnx", nodes, [models.value("x", models.FLOAT, ["n"])], outputs)
    with pytest.raises(InvalidModel, match=r"together with strings, sequences, .* Cast to float at that output"):
        opened(tmp_path / "m.onnx")


def test_an_unsupported_element_type_is_rejected(tmp_path: Path) -> None:
    models.cast(tmp_path / "m.onnx", to=TensorProto.FLOAT8E8M0)
    with pytest.raises(
        InvalidModel, match=r"'y' has the type tensor\(float8e8m0\).*export the model with a Cast to float"
    ):
        opened(tmp_path / "m.onnx")


def test_several_inputs_and_outputs_have_the_order_of_the_model(tmp_path: Path) -> None:
    session = opened(models.two_in_two_out(tmp_path / "m.onnx"))
    assert [spec.name for spec in session.signature.inputs] == ["a", "b"]
    assert [spec.name for spec in session.signature.outputs] == ["total", "rest"]
    total, rest = session.run([np.full((1, 2), 5, np.float32), np.full((1, 2), 3, np.float32)])
    assert (total[0, 0], rest[0, 0]) == (8, 2)


def test_named_and_unnamed_dynamic_axes_are_distinguished(tmp_path: Path) -> None:
    shape = opened(models.identity(tmp_path / "m.onnx", shape=["N", None, 4, "length"])).signature.inputs[0].shape
    assert shape == ("N", None, 4, "length")
    assert opened(models.identity(tmp_path / "o.onnx", shape=None)).signature.inputs[0].shape is None


def test_a_scalar_output_is_an_array_without_axes(tmp_path: Path) -> None:
    session = opened(models.total(tmp_path / "m.onnx"))
    (got,) = session.run([np.ones((3, 2), np.float32)])
    assert got.shape == ()
    assert got == 6


def test_a_sequence_of_tensors_is_an_array_of_objects(tmp_path: Path) -> None:
    (got,) = opened(models.split_rows(tmp_path / "m.onnx")).run([np.array([[1, 2], [3, 4]], np.float32)])
    assert got.shape == (2,)
    np.testing.assert_array_equal(got[1], [3, 4])


def test_the_zipmap_of_scikit_learn_has_one_mapping_per_row(tmp_path: Path) -> None:
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


def test_an_input_that_the_graph_cannot_compute_on_is_a_client_error(tmp_path: Path) -> None:
    lookup = opened(models.lookup(tmp_path / "m.onnx"))
    np.testing.assert_array_equal(lookup.run([np.array([3, 9])])[0], [30, 90])
    with pytest.raises(RejectedByModel, match=r"model 'm' cannot compute on this input: .*out of data bounds"):
        lookup.run([np.array([3, 10])])
    pairs = opened(models.pairs(tmp_path / "p.onnx"))
    with pytest.raises(RejectedByModel, match="cannot be reshaped") as rejected:
        pairs.run([np.zeros((1, 3), np.float32)])
    assert "[ONNXRuntimeError]" not in str(rejected.value)
    assert "\n" not in str(rejected.value)


def test_exhausted_memory_is_not_a_client_error(tmp_path: Path) -> None:
    zeros = opened(models.zeros(tmp_path / "m.onnx"))
    assert zeros.run([np.array([3])])[0].tolist() == [0, 0, 0]
    with pytest.raises(ModelFailed, match="model 'm' failed: out of memory"):
        zeros.run([np.array([2**50])])
    assert zeros.run([np.array([1])])[0].tolist() == [0]


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x00" * 1000, b"<html>403</html>"])
def test_a_file_that_is_not_onnx_is_rejected_with_the_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InvalidModel, match=r"m\.onnx: .+") as refused:
        opened(tmp_path / "m.onnx")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_rejected(tmp_path: Path, part: float) -> None:
    whole = models.lookup(tmp_path / "m.onnx", entries=1000).read_bytes()
    (tmp_path / "m.onnx").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InvalidModel):
        opened(tmp_path / "m.onnx")


def test_a_graph_with_an_unknown_operator_is_rejected(tmp_path: Path) -> None:
    shape: list[int | str | None] = ["batch", 1]
    node = helper.make_node("Frobnicate", ["x"], ["y"])
    models.save(
        tmp_path / "m.onnx", [node], [models.value("x", models.FLOAT, shape)], [models.value("y", models.FLOAT, shape)]
    )
    with pytest.raises(InvalidModel, match="Frobnicate"):
        opened(tmp_path / "m.onnx")


def test_a_sequence_can_be_an_input(tmp_path: Path) -> None:
    session = opened(models.joined(tmp_path / "m.onnx"))
    assert session.signature.inputs[0].containers == ("sequence",)
    assert not session.signature.batchable
    sent = as_array([np.array([1.0], np.float32), np.array([2.0, 3.0], np.float32)])
    assert session.signature.validate([sent]) == 1
    assert session.run([sent])[0].tolist() == [1, 2, 3]


def test_a_sequence_of_strings_is_an_array_of_objects(tmp_path: Path) -> None:
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


def test_an_optional_input_with_a_value_is_passed_unchanged(tmp_path: Path) -> None:
    session = opened(models.optional_value(tmp_path / "m.onnx"))
    assert session.run([np.array([1.5, 2.5], np.float32)])[0].tolist() == [1.5, 2.5]
    with pytest.raises(RejectedByModel):
        session.run([as_array(None)])


def test_a_scalar_is_distinguished_from_an_unknown_rank(tmp_path: Path) -> None:
    session = opened(models.scaled(tmp_path / "m.onnx"))
    assert [spec.shape for spec in session.signature.inputs] == [("n", 2), ()]
    assert opened(models.identity(tmp_path / "o.onnx", shape=None)).signature.inputs[0].shape is None
    with pytest.raises(InvalidInput, match=r"inputs\.k: got shape \[2\]; expected float32\[\]"):
        session.signature.validate([np.ones((1, 2), np.float32), np.ones(2, np.float32)])


def test_the_version_is_read_from_the_file_if_it_has_one(tmp_path: Path) -> None:
    path = models.identity(tmp_path / "m.onnx")
    assert opened(path).version == "1"
    numbered = onnx.load(path)
    numbered.model_version = 7
    onnx.save(numbered, path)
    assert opened(path).version == "7"


def test_a_model_that_rejects_zeros_is_served_without_a_warm_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = opened(models.pairs(tmp_path / "m.onnx"))  # the model rejects [1, 1]
    with caplog.at_level(logging.WARNING, "scalezero.model"):
        assert session.warm_up() == []
    assert [record.getMessage() for record in caplog.records] == ["warm-up failed"]
    assert session.run([np.zeros((1, 4), np.float32)])[0].shape == (2, 2)


def test_a_model_with_a_short_run_is_warmed_up_twice_and_the_second_run_counts(tmp_path: Path) -> None:
    path = models.identity(tmp_path / "m.onnx")
    seconds = [*chain.from_iterable(opened(path).warm_up() for _ in range(5))]
    assert len(seconds) == 5
    assert 0 < min(seconds) < 0.005


def test_a_session_is_on_the_cpu_provider_unless_another_one_is_stated(tmp_path: Path) -> None:
    assert opened(models.identity(tmp_path / "m.onnx")).provider == CPU_PROVIDER


def test_a_provider_that_cannot_be_used_is_an_error_before_the_file_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="CUDAExecutionProvider cannot be used: it is not installed"):
        opened(tmp_path / "missing.onnx", "CUDAExecutionProvider")


def test_a_session_on_openvino_answers_as_one_on_the_cpu_provider(tmp_path: Path, openvino: str) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    session = opened(path, openvino)
    assert session.provider == openvino
    of_cpu = opened(path).signature
    assert (session.signature.inputs, session.signature.outputs) == (of_cpu.inputs, of_cpu.outputs)
    for rows in (1, 3, 2):
        sent = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
        np.testing.assert_array_equal(session.run([sent])[0], 2 * sent)


def test_a_file_that_is_no_model_is_rejected_on_openvino_with_its_kind(tmp_path: Path, openvino: str) -> None:
    (tmp_path / "m.onnx").write_text("<html>")
    with pytest.raises(InvalidModel, match="it is not an ONNX model but an HTML page"):
        opened(tmp_path / "m.onnx", openvino)
