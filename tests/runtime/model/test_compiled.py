"""Tests of the facts of a compiled model, on files with the nodes and metadata that OpenVINO's plugin writes."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from runtime.model.compiled import Compiled, read_compiled, reason_against
from runtime.model.graph import GraphFacts, read_facts
from runtime.variants.names import OPENVINO_PROVIDER
from tests import models

VERSION = "1.8.1+95d534b"
STATED = json.dumps({"ovep_compat_ver": "1.0", "ovep_ver": VERSION, "ov_compat_string": "isa=Intel AVX2"})
INFO = f"ep_compatibility_info.{OPENVINO_PROVIDER}"
STEP = "compile it again here, or use the model's own file"
FITTING = Compiled(frozenset({OPENVINO_PROVIDER}), {OPENVINO_PROVIDER: VERSION}, "intel-amx", ("m.bin",))


def context(x: str, y: str, **attributes: Any) -> onnx.NodeProto:  # noqa: ANN401 - as onnx
    found = {"source": OPENVINO_PROVIDER, "embed_mode": 0, "ep_cache_context": "m.bin", "main_context": 1, **attributes}
    return helper.make_node("EPContext", [x], [y], domain="com.microsoft", **found)


def written(folder: Path, *nodes: onnx.NodeProto, **metadata: str) -> Path:
    shape = ("batch", 3)
    inputs, outputs = [models.value("x", models.FLOAT, shape)], [models.value("y", models.FLOAT, shape)]
    path = models.save(folder / "m.onnx", nodes, inputs, outputs)
    model = onnx.load(path, load_external_data=False)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def test_the_provider_its_version_the_class_and_the_file_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, context("x", "y"), **{INFO: STATED, "scalezero.cpu_class": "intel-amx"})
    assert read_compiled(path) == FITTING


def test_several_compiled_parts_may_share_a_file(tmp_path: Path) -> None:
    nodes = [context("x", "a"), helper.make_node("Relu", ["a"], ["b"]), context("b", "y")]
    found = read_compiled(written(tmp_path, *nodes))
    assert found == Compiled(frozenset({OPENVINO_PROVIDER}), {}, None, ("m.bin",))


def test_an_embedded_part_has_no_file(tmp_path: Path) -> None:
    found = read_compiled(written(tmp_path, context("x", "y", embed_mode=1, ep_cache_context=b"\x00" * 100_000)))
    assert found is not None
    assert found.files == ()


def test_a_part_is_embedded_unless_it_states_otherwise(tmp_path: Path) -> None:
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="code")
    assert read_compiled(written(tmp_path, node)) == Compiled(frozenset(), {}, None, ())


@pytest.mark.parametrize("stated", ["", "[]", "{}", '{"ovep_ver": 1}', "not JSON"])
def test_a_version_in_another_form_is_unknown(tmp_path: Path, stated: str) -> None:
    found = read_compiled(written(tmp_path, context("x", "y"), **{INFO: stated}))
    assert found is not None
    assert found.versions == {}


def test_a_model_that_is_not_compiled_has_no_such_facts(tmp_path: Path) -> None:
    assert read_compiled(models.identity(tmp_path / "m.onnx")) is None


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x08\x08\x3a\xff"])
def test_what_is_no_model_is_not_compiled(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert read_compiled(tmp_path / "m.onnx") is None


def reason(found: Compiled) -> str | None:
    return reason_against(found, provider=OPENVINO_PROVIDER, version=VERSION, cpu_class="intel-amx")


def test_a_fitting_model_can_be_opened() -> None:
    assert reason(FITTING) is None
    assert reason(FITTING._replace(cpu_class=None)) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            FITTING._replace(providers=frozenset({"QNNExecutionProvider"})),
            "it is compiled for QNNExecutionProvider, not for OpenVINOExecutionProvider",
        ),
        (
            FITTING._replace(providers=frozenset()),
            "it is compiled for an unknown provider, not for OpenVINOExecutionProvider",
        ),
        (
            FITTING._replace(versions={OPENVINO_PROVIDER: "1.7.0"}),
            f"it is compiled for version 1.7.0 of OpenVINOExecutionProvider; this machine has {VERSION}: {STEP}",
        ),
        (
            FITTING._replace(versions={}),
            f"it is compiled for an unknown version of OpenVINOExecutionProvider; this machine has {VERSION}: {STEP}",
        ),
        (
            FITTING._replace(cpu_class="intel-avx512"),
            f"it is compiled for CPUs of the class intel-avx512; this one is intel-amx: {STEP}",
        ),
    ],
    ids=["provider", "no provider", "version", "no version", "class"],
)
def test_a_model_for_another_provider_version_or_class_cannot_be_opened(found: Compiled, expected: str) -> None:
    assert reason(found) == expected


def test_the_operators_of_a_compiled_model_are_unknown_and_its_ranks_are_known(tmp_path: Path) -> None:
    node = context("x", "y")
    inputs = [models.value("x", models.FLOAT, []), models.value("z", models.FLOAT, None)]
    path = models.save(tmp_path / "m.onnx", [node], inputs, [models.value("y", models.FLOAT, ["n"])])
    facts = read_facts(path)
    assert facts == GraphFacts(known=False, scalars=frozenset({"x"}), unranked=frozenset({"z"}))
