"""Prepared forms of real models of many kinds, made and opened by the real ONNX Runtime."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.quantization.calibrate import CalibrationDataReader
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from runtime.errors import InvalidModel
from runtime.model.graph import read_facts
from runtime.model.prepared import read_note
from runtime.model.preparing import Original, Preparation, Refusal, Written, is_faster, prepare
from runtime.model.session import Session
from runtime.opening import evidence_of
from runtime.variants.cpu_class import cpu_class
from tests import models

PAGE = 4096
WIDTH = 520  # a matrix of 520 x 520 float32 numbers has 1.03 MiB
RANDOM = np.random.default_rng(0)


def weights(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return (RANDOM.standard_normal(shape) / 10).astype(dtype)


def save(
    path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], *kinds: onnx.ValueInfoProto
) -> Path:
    """Save a model `x` -> `y`; without `kinds`, float32 [batch, WIDTH] -> [batch, any]."""
    x, y = kinds or (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", None]),
    )
    graph = helper.make_graph(
        nodes,
        "g",
        [x],
        [y],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.model_version = 7
    onnx.save(model, path)
    return path


def layers(path: Path) -> Path:
    """Save two layers: MatMul, Add, Relu, MatMul."""
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "w2"], ["y"]),
    ]
    return save(path, nodes, {"w1": weights(WIDTH, WIDTH), "b": weights(WIDTH), "w2": weights(WIDTH, WIDTH)})


def convolution(path: Path) -> Path:
    """Save a Conv with a BatchNormalization and a Relu on `x`, float32 [batch, 16, 8, 8]."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    ones = np.ones(32, np.float32)
    constants = {"w": weights(32, 16, 3, 3), "scale": ones, "shift": ones, "mean": weights(32), "variance": ones}
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 32, 6, 6])
    return save(path, nodes, constants, x, y)


def branches(path: Path) -> Path:
    """Save an If whose branches have their own large weights."""

    def branch(name: str) -> onnx.GraphProto:
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        node = helper.make_node("MatMul", ["x", f"{name}_w"], [name])
        weight = numpy_helper.from_array(weights(WIDTH, WIDTH), f"{name}_w")
        return helper.make_graph([node], name, [], [output], [weight])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=branch("then"), else_branch=branch("other")),
    ]
    return save(path, nodes, {"zero": np.array(0, np.float32)})


def half(path: Path) -> Path:
    """Save a MatMul of float16."""
    kinds = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["batch", WIDTH]) for name in "xy"]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return save(path, nodes, {"w": weights(WIDTH, WIDTH, dtype=np.float16)}, *kinds)


def forest(path: Path) -> Path:
    """Save a forest, of operators of ai.onnx.ml, whose outputs are labels of text and a sequence of maps."""
    x = RANDOM.standard_normal((200, 4)).astype(np.float32)
    labels = np.where(x[:, 0] > 0, "high", "low")
    model = to_onnx(RandomForestClassifier(20, random_state=0).fit(x, labels), x[:1], target_opset=17)
    onnx.save(model, path)
    return path


class Rows(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
    """Eight rows for the quantization."""

    def __init__(self) -> None:
        self._left = 8

    def get_next(self) -> dict[str, np.ndarray] | None:
        self._left -= 1
        return {"x": weights(1, WIDTH) * 10} if self._left >= 0 else None


def quantized(path: Path) -> Path:
    """Save the layers as int8 with QuantizeLinear and DequantizeLinear."""
    source = layers(path.with_name("source.onnx"))
    quantize_static(source, path, Rows(), quant_format=QuantFormat.QDQ)
    return path


def external(path: Path) -> Path:
    """Save the layers with external data."""
    model = onnx.load(layers(path.with_name("inside.onnx")))
    onnx.save(model, path, save_as_external_data=True, location="weights.bin")
    return path


def opened(path: Path, *, prepared_form: bool = False) -> Session:
    return Session(path, uri=str(path), name="m", threads=1, prepared_form=prepared_form)


def prepared(path: Path, out: Path) -> Preparation:
    return prepare(path, out, name="original", only_faster=False)


@pytest.mark.parametrize(
    "make",
    [
        layers,
        convolution,
        branches,
        half,
        forest,
        quantized,
        external,
        models.repeated,
        models.lookup,
        models.two_in_two_out,
        models.optional_input,
        models.scored,
    ],
)
def test_a_prepared_form_has_the_outputs_the_signature_and_the_evidence_of_its_model(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path / "m.onnx")
    found = prepared(path, tmp_path / "out")
    assert found.forms, found.reason
    before = opened(path)
    for form in found.forms:
        folder = tmp_path / "pod"  # another folder, as in the pod's cache
        folder.mkdir(exist_ok=True)
        for each in form.files:
            shutil.copy(each, folder)
        after = opened(folder / form.model.name, prepared_form=True)
        assert after.signature.inputs == before.signature.inputs
        assert after.signature.outputs == before.signature.outputs
        assert after.version == before.version
        assert after.facts == read_facts(path)
        assert evidence_of(after) == evidence_of(before)
        assert len(after.warm_up()) == len(before.warm_up())
    assert {each.name for each in (tmp_path / "out").iterdir()} == {
        each.name for form in found.forms for each in form.files
    }


def test_weights_are_aligned_to_pages_in_one_file(tmp_path: Path) -> None:
    (form,) = prepared(layers(tmp_path / "m.onnx"), tmp_path / "out").forms
    graph = onnx.load(form.model, load_external_data=False).graph
    entries = [{each.key: each.value for each in tensor.external_data} for tensor in graph.initializer]
    large = [entry for entry in entries if int(entry.get("length", 0)) >= 2**20]
    assert len(large) == 2
    assert form.data is not None
    assert {entry["location"] for entry in large} == {form.data.name}
    assert {int(entry["offset"]) % PAGE for entry in large} == {0}


def test_the_weights_of_a_small_model_stay_in_its_file(tmp_path: Path) -> None:
    forms = prepared(convolution(tmp_path / "m.onnx"), tmp_path / "out").forms
    assert [form.data for form in forms] == [None, None]


def test_a_form_is_for_one_cpu_class_only_if_its_graph_depends_on_the_class(tmp_path: Path) -> None:
    (general,) = prepared(layers(tmp_path / "layers.onnx"), tmp_path / "layers").forms
    assert general.cpu_class is None
    own, other = prepared(convolution(tmp_path / "conv.onnx"), tmp_path / "conv").forms
    assert (own.cpu_class, other.cpu_class) == (cpu_class(), None)
    assert cpu_class() in own.model.name
    kinds = {node.op_type for node in onnx.load(other.model).graph.node}
    assert "ReorderInput" not in kinds  # of the layout for this class


def test_the_names_of_the_files_have_the_variant_and_the_version(tmp_path: Path) -> None:
    (form,) = prepared(layers(tmp_path / "m.onnx"), tmp_path / "out").forms
    assert form.provider_version == ort.__version__
    assert form.model.name == f"original.prepared-{ort.__version__}.onnx"
    assert form.data == form.model.with_name(f"{form.model.name}.data")


def test_a_form_that_does_not_open_faster_is_not_returned(tmp_path: Path) -> None:
    found = prepare(models.doubling(tmp_path / "m.onnx"), tmp_path / "out", name="original")
    assert found.forms == ()
    assert found.reason.startswith("nothing is gained: the model opens in 0.")
    assert found.failures == ()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_form_must_save_a_fifth_of_the_time_and_ten_milliseconds() -> None:
    assert is_faster(0.8, 1.0)
    assert not is_faster(0.81, 1.0)
    assert is_faster(0.010, 0.020)
    assert not is_faster(0.001, 0.010)


def test_a_form_with_other_outputs_is_refused(tmp_path: Path) -> None:
    original = Original(layers(tmp_path / "m.onnx"), "m", [], only_faster=False)
    other = layers(tmp_path / "other.onnx")  # other weights
    found = original.examine(Written(other, None, None, optimized=True))
    assert found == Refusal("the prepared form other.onnx computes other outputs")


def test_a_form_with_another_signature_is_refused(tmp_path: Path) -> None:
    original = Original(models.doubling(tmp_path / "m.onnx"), "m", [], only_faster=False)
    other = models.doubling(tmp_path / "other.onnx", width=3)
    found = original.examine(Written(other, None, None, optimized=True))
    assert found == Refusal("the prepared form other.onnx has another signature or version")


def test_given_rows_are_compared_too(tmp_path: Path) -> None:
    path = layers(tmp_path / "m.onnx")
    found = prepare(path, tmp_path / "out", name="original", rows=[[weights(5, WIDTH)]], only_faster=False)
    assert found.reason == "its outputs are equal bit by bit on 3 inputs, 1 of them given"


def test_a_model_that_accepts_no_generated_input_needs_rows(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"shape": np.array([7, -1], np.int64)})
    assert "pass data" in prepared(path, tmp_path / "out").reason
    found = prepare(path, tmp_path / "out", name="original", rows=[[weights(7, WIDTH)]], only_faster=False)
    assert found.forms


def test_onnx_runtimes_own_format_is_not_prepared(tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "m.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(layers(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
    found = prepared(tmp_path / "m.ort", tmp_path / "out")
    assert found == Preparation((), "the file is in ONNX Runtime's own format, which cannot be prepared")


def test_a_prepared_form_is_not_prepared_again(tmp_path: Path) -> None:
    (form,) = prepared(layers(tmp_path / "m.onnx"), tmp_path / "out").forms
    assert prepared(form.model, tmp_path / "again") == Preparation((), "the file is a prepared form itself")


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x80\x05not a model")
    with pytest.raises(InvalidModel):
        prepared(path, tmp_path / "out")


def test_a_quantized_copy_of_a_prepared_form_is_not_trusted_to_have_independent_rows(tmp_path: Path) -> None:
    """Dynamic quantization keeps the metadata, so the copy has the note of a graph without DynamicQuantizeLinear."""
    (form,) = prepared(layers(tmp_path / "m.onnx"), tmp_path / "out").forms
    quantize_dynamic(form.model, tmp_path / "int8.onnx")
    assert read_note(tmp_path / "int8.onnx") is not None
    assert evidence_of(opened(tmp_path / "int8.onnx")).dependent_rows is not None


def test_several_threads_pack_the_same_weights_as_one(tmp_path: Path) -> None:
    (form,) = prepared(layers(tmp_path / "m.onnx"), tmp_path / "out").forms
    rows = [weights(1, WIDTH)]
    answers = [
        Session(form.model, uri="m", name="m", threads=count, prepared_form=True).run(rows)[0] for count in (1, 2, 4)
    ]
    np.testing.assert_allclose(answers[1:], [answers[0]] * 2, rtol=1e-5, atol=1e-6)
