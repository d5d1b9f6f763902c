"""Prepared forms are made on the publisher's machine for its CPU class, and are never needed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.errors import ProviderUnavailable
from runtime.model import providers
from runtime.registry.prepared_forms import prepared_forms
from runtime.variants.cpu_class import cpu_class
from runtime.variants.values import CPU_PROVIDER, OPENVINO_PROVIDER, PreparedForm, Variant
from tests.runtime.registry.model_files import digest, model
from tests.runtime.registry.test_publishing_variants import largest_file
from tests.runtime.variants.recorded import variant

URI = "s3://models/a.onnx"
FORM = PreparedForm(uri=f"{URI}.variants/form/model.onnx", sha256="0" * 64, size=1)


def prepared(
    path: Path, folder: Path, of: Variant, lines: list[str], *, only_faster: bool = True
) -> list[PreparedForm]:
    """Make the forms of a variant; return what a manifest records of them."""
    made = prepared_forms(of, path, folder, uri=URI, rows=[], tell=lines.append, only_faster=only_faster)
    return [each.prepared for each in made]


def large(folder: Path, *, rows: int = 2**12) -> Path:
    """Write a model with `rows` times 16 KiB of weights in its file. With 64 MiB, it takes long to open."""
    weights = np.zeros((rows, 2**12), np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["w", "x"], ["y"])],
        "gather",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2**12])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    return folder / "m.onnx"


def convolution(folder: Path) -> Path:
    """Write a model whose optimized graph depends on the CPU class."""
    weights = np.zeros((64, 64, 3, 3), np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["y"])],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64, 4, 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    return folder / "m.onnx"


def test_a_form_that_opens_faster_is_published_with_its_mapped_weights(tmp_path: Path) -> None:
    path = large(tmp_path)
    (made,) = prepared_forms(variant("original"), path, tmp_path / "work", uri=URI, rows=[], tell=print)
    assert made.prepared.uri.startswith(f"{URI}.variants/original-prepared-")
    assert made.prepared.provider_version == providers.version_of(CPU_PROVIDER)
    assert [each.size for each in made.prepared.files] == [made.form.paths[0].stat().st_size]
    assert made.prepared.files[0].size >= 2**26
    assert [each.sha256 for each in made.form.stored] == [digest(each) for each in made.form.paths]


def test_a_form_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    path, lines = large(tmp_path, rows=2**8), list[str]()
    with largest_file(2**20):
        assert prepared(path, tmp_path / "work", variant("original"), lines) == []
    assert lines[0].startswith("original: a prepared form was not made: ONNX Runtime cannot save the optimized model: ")


def test_a_small_model_has_no_prepared_form(tmp_path: Path) -> None:
    lines: list[str] = []
    assert prepared(model(tmp_path), tmp_path / "work", variant("original"), lines) == []
    assert lines == []


@pytest.mark.parametrize("form", [FORM, replace(FORM, cpu_class=cpu_class())])
def test_a_form_that_fits_this_machine_is_not_made_again(tmp_path: Path, form: PreparedForm) -> None:
    known = replace(variant("original"), prepared=(form,))
    assert prepared(tmp_path / "none.onnx", tmp_path / "work", known, []) == []  # the file is not even opened


@pytest.mark.parametrize("form", [replace(FORM, cpu_class="z80"), replace(FORM, provider_version="0.1")])
def test_a_form_of_another_class_or_version_does_not_count(tmp_path: Path, form: PreparedForm) -> None:
    known, lines = replace(variant("original"), prepared=(form,)), list[str]()
    (tmp_path / "m.onnx").write_bytes(b"no model")
    assert prepared(tmp_path / "m.onnx", tmp_path / "work", known, lines) == []
    assert lines[0].startswith("original: no prepared form was made: ")  # it was tried


def test_a_general_form_beside_one_of_another_class_does_not_count_and_is_not_made_twice(tmp_path: Path) -> None:
    path, lines = convolution(tmp_path), list[str]()
    own, general = prepared(path, tmp_path / "work", variant("original"), lines, only_faster=False)
    assert (own.cpu_class, general.cpu_class) == (cpu_class(), None)
    alone = replace(variant("original"), prepared=(general,))
    assert prepared(path, tmp_path / "again", alone, lines, only_faster=False) == []
    other = replace(own, uri=f"{URI}.variants/other/model.onnx", cpu_class="z80")
    beside = replace(alone, prepared=(other, general))
    (made,) = prepared(path, tmp_path / "again", beside, lines, only_faster=False)
    assert made.cpu_class == cpu_class()
    assert lines == []


def test_a_model_is_compiled_where_the_provider_has_a_device_and_reported_elsewhere(tmp_path: Path) -> None:
    lines: list[str] = []
    openvino = replace(variant("openvino"), provider=OPENVINO_PROVIDER)
    made = prepared(model(tmp_path), tmp_path / "work", openvino, lines)
    try:
        providers.devices(OPENVINO_PROVIDER)
    except ProviderUnavailable:
        assert made == []
        assert lines[0].startswith("openvino: no prepared form was made: OpenVINOExecutionProvider cannot be used")
    else:
        (form,) = made
        assert form.uri.startswith(f"{URI}.variants/openvino-compiled-{cpu_class()}-")
        assert (form.cpu_class, form.provider_version) == (cpu_class(), providers.version_of(OPENVINO_PROVIDER))
        assert len(form.files) == 1
