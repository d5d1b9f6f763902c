"""Tests of compiled models: made by the real plugin where it has a device, and refused where it has none."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from runtime.batching.independence import Evidence
from runtime.errors import InvalidModel, ProviderUnavailable
from runtime.model import providers
from runtime.model.comparing import NO_INPUT
from runtime.model.compiled import read_compiled
from runtime.model.compiling import CompiledFiles, compile_model, is_close, reason_against
from runtime.model.session import Session
from runtime.opening import evidence_of
from runtime.variants.cpu_class import cpu_class
from runtime.variants.names import CPU_PROVIDER
from tests import models

ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


def opened(path: Path, provider: str, *, prepared_form: bool = False) -> Session:
    uri = "s3://models/m.onnx"
    return Session(path, uri=uri, name="m", threads=1, provider=provider, prepared_form=prepared_form)


def compiled(path: Path, out: Path, provider: str) -> CompiledFiles:
    return compile_model(path, out, uri="s3://models/m.onnx", provider=provider, threads=1)


@pytest.fixture
def doubling(tmp_path: Path, openvino: str) -> CompiledFiles:
    model = onnx.load(models.doubling(tmp_path / "m.onnx"))
    model.model_version = 7
    onnx.save(model, tmp_path / "m.onnx")
    (tmp_path / "out").mkdir()
    return compiled(tmp_path / "m.onnx", tmp_path / "out" / "openvino.prepared.onnx", openvino)


def test_a_provider_that_cannot_be_used_compiles_nothing(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="not installed"):
        compiled(models.doubling(tmp_path / "m.onnx"), tmp_path / "out.onnx", "CUDAExecutionProvider")
    assert not (tmp_path / "out.onnx").exists()


def test_the_files_are_the_model_and_an_external_file_beside_it(doubling: CompiledFiles) -> None:
    assert doubling.model.name == "openvino.prepared.onnx"
    assert sorted([doubling.model, *doubling.files]) == sorted(doubling.model.parent.iterdir())
    assert len(doubling.files) == 1


def test_a_compiled_model_answers_as_the_model(doubling: CompiledFiles, openvino: str) -> None:
    session = opened(doubling.model, openvino)
    for rows in (ROWS, ROWS[:1], np.repeat(ROWS, 11, axis=0)):
        np.testing.assert_array_equal(session.run([rows])[0], 2 * rows)


def test_a_compiled_model_keeps_names_types_axes_and_the_version(
    doubling: CompiledFiles, tmp_path: Path, openvino: str
) -> None:
    session, model = opened(doubling.model, openvino), opened(tmp_path / "m.onnx", openvino)
    assert session.signature.inputs == model.signature.inputs
    assert session.signature.outputs == model.signature.outputs
    assert session.version == model.version == "7"


def test_a_compiled_model_states_where_it_is_valid(doubling: CompiledFiles, openvino: str) -> None:
    found = read_compiled(doubling.model)
    assert found is not None
    assert found.cpu_class == doubling.cpu_class == cpu_class()
    assert doubling.provider_version == providers.version_of(openvino)
    assert found.versions[openvino].startswith(f"{doubling.provider_version}+")


def test_the_evidence_for_batching_is_that_of_the_model(doubling: CompiledFiles, tmp_path: Path, openvino: str) -> None:
    session = opened(doubling.model, openvino, prepared_form=True)
    model = opened(tmp_path / "m.onnx", openvino)
    assert session.facts == model.facts
    assert evidence_of(session) == evidence_of(model) == Evidence()


def test_the_files_can_be_moved_together(doubling: CompiledFiles, tmp_path: Path, openvino: str) -> None:
    moved = doubling.model.parent.rename(tmp_path / "moved") / doubling.model.name
    np.testing.assert_array_equal(opened(moved, openvino).run([ROWS])[0], 2 * ROWS)


def test_a_compiled_model_of_another_version_is_refused(doubling: CompiledFiles, openvino: str) -> None:
    content = doubling.model.read_bytes()
    found = read_compiled(doubling.model)
    assert found is not None
    version = found.versions[openvino].encode()
    doubling.model.write_bytes(content.replace(version, b"0" * len(version)))
    with pytest.raises(
        InvalidModel, match=r"is compiled for version 0+ of OpenVINOExecutionProvider; this machine has .* again"
    ):
        opened(doubling.model, openvino)


def test_a_compiled_model_without_its_external_file_is_refused(doubling: CompiledFiles, openvino: str) -> None:
    doubling.files[0].unlink()
    with pytest.raises(InvalidModel, match="Can not open file"):
        opened(doubling.model, openvino)


def test_a_damaged_external_file_is_refused(doubling: CompiledFiles, openvino: str) -> None:
    doubling.files[0].write_bytes(b"x" * doubling.files[0].stat().st_size)
    with pytest.raises(InvalidModel, match="Invalid magic number"):
        opened(doubling.model, openvino)


def test_a_compiled_model_is_refused_by_the_cpu_provider(doubling: CompiledFiles) -> None:
    with pytest.raises(InvalidModel, match=r"EPContext node .* not compatible with any execution provider"):
        opened(doubling.model, CPU_PROVIDER)


def test_an_existing_file_is_not_overwritten(doubling: CompiledFiles, tmp_path: Path, openvino: str) -> None:
    before = doubling.model.read_bytes()
    with pytest.raises(InvalidModel, match="exist"):
        compiled(tmp_path / "m.onnx", doubling.model, openvino)
    assert doubling.model.read_bytes() == before


EXPECTED = np.array([1.0, np.nan, np.inf, 1000.0], np.float32)


@pytest.mark.parametrize(
    "got", [[1.0, np.nan, np.inf, 1000.0], [1.0, np.nan, np.inf, 1000.5], [1.5, np.nan, np.inf, 1000]]
)
def test_floats_may_differ_by_a_thousandth_of_the_largest_one(got: list[float]) -> None:
    assert is_close(EXPECTED, np.array(got, np.float32))
    assert not is_close(EXPECTED, np.array(got, np.float64))


@pytest.mark.parametrize(
    "got",
    [
        [1.0, np.nan, np.inf, 1002.0],
        [1.0, 0.0, np.inf, 1000.0],
        [1.0, np.nan, -np.inf, 1000.0],
        [1.0, np.nan, np.inf],
    ],
)
def test_floats_that_differ_by_more_are_other_outputs(got: list[float]) -> None:
    assert not is_close(EXPECTED, np.array(got, np.float32))


def seven_rows(path: Path) -> Path:
    """Save `y` = `x`, float32 [n, 2], which rejects all numbers of rows but 7."""
    ends = models.value("x", models.FLOAT, ["n", 2]), models.value("y", models.FLOAT, ["n", 2])
    nodes = [helper.make_node("Reshape", ["x", "k"], ["r"]), helper.make_node("Reshape", ["r", "s"], ["y"])]
    shapes = {"k": np.array([14], np.int64), "s": np.array([-1, 2], np.int64)}
    return models.save(path, nodes, [ends[0]], [ends[1]], **shapes)


def test_a_model_that_rejects_all_inputs_is_not_compiled(tmp_path: Path) -> None:
    strict = opened(seven_rows(tmp_path / "m.onnx"), CPU_PROVIDER)
    assert reason_against(strict, strict, []) == NO_INPUT
    assert reason_against(strict, strict, [[np.ones((7, 2), np.float32)]]) is None


def test_a_compiled_model_that_rejects_an_input_of_the_model_is_refused(tmp_path: Path) -> None:
    model, made = (opened(models.lookup(tmp_path / f"{n}.onnx", entries=n), CPU_PROVIDER) for n in (2, 1))
    reason = reason_against(model, made, [])
    assert reason is not None
    assert reason.startswith("its compiled model rejects an input that the model accepts: ")


def test_integers_must_be_equal() -> None:
    assert is_close(np.array([1, 1000]), np.array([1, 1000]))
    assert not is_close(np.array([1, 1000]), np.array([1, 1001]))


def test_outputs_on_given_rows_are_compared(tmp_path: Path, openvino: str) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    done = compile_model(path, tmp_path / "o.onnx", uri="m", provider=openvino, threads=1, rows=[[ROWS], [ROWS[:, :1]]])
    assert done.model.is_file()


def test_parts_that_openvino_does_not_take_stay_operators(tmp_path: Path, openvino: str) -> None:
    path = models.with_sequence(tmp_path / "m.onnx")
    done = compiled(path, tmp_path / "out.onnx", openvino)
    kinds = [node.op_type for node in onnx.load(done.model, load_external_data=False).graph.node]
    assert kinds == ["EPContext", "SequenceConstruct", "ConcatFromSequence"]
    assert opened(done.model, openvino).run([np.array([[1, 2]], np.float32)])[0].tolist() == [[2, 4, 1, 2]]


def test_a_model_of_which_openvino_takes_nothing_is_an_error(tmp_path: Path, openvino: str) -> None:
    node = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0, 1.0], scale=[2.0, 2.0])
    ends = models.value("x", models.FLOAT, ["n", 2]), models.value("y", models.FLOAT, ["n", 2])
    path = models.save(tmp_path / "m.onnx", [node], [ends[0]], [ends[1]])
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    onnx.save(model, path)
    with pytest.raises(InvalidModel, match="Unable to compile any nodes"):
        compiled(path, tmp_path / "out.onnx", openvino)


def test_a_model_with_strings_is_not_compiled(tmp_path: Path, openvino: str) -> None:
    path = models.identity(tmp_path / "m.onnx", element=models.STRING)
    with pytest.raises(InvalidModel, match="computes with strings"):
        compiled(path, tmp_path / "out.onnx", openvino)
