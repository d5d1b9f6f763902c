"""The variants of a model are made and measured at its publication, and later on other CPU classes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.errors import ArtifactChanged, ArtifactMissing, BadSetting
from runtime.optimizing import BadData, Bounds
from runtime.registry import (
    AlreadyMeasured,
    Optimization,
    Publication,
    Published,
    add_assessment,
    entries,
    plan_model,
    publish,
    publish_model,
    publish_planned,
    published_variants,
    read_assessments,
    read_manifest,
    verify,
)
from runtime.registry.adding import VariantsChanged, add_variants
from runtime.registry.files import write_file
from runtime.registry.forms import form_of, planned
from runtime.registry.making import BuiltVariants
from runtime.variants.cpu_class import cpu_class
from runtime.variants.values import CPU_PROVIDER, ORIGINAL, Variant
from tests.archives import zipped
from tests.runtime.conftest import Place
from tests.runtime.registry.model_files import model
from tests.s3_server import S3Server

ANY = Bounds(max_accuracy_loss=1.0, min_speedup=0.0)  # so that the speed of this machine does not matter
ROWS = np.random.default_rng(1).standard_normal((50, 16)).astype(np.float32)
NAMED = Publication("mlp", "1")


def mlp(folder: Path, seed: int = 0) -> Path:
    """Write a model with three layers, in which int8 is faster than float32: x[batch, 16] -> y[batch, 4]."""
    random = np.random.default_rng(seed)
    sizes = [("u", (16, 640)), ("v", (640, 640)), ("w", (640, 4))]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "u"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "v"], ["c"]),
            helper.make_node("Relu", ["c"], ["d"]),
            helper.make_node("MatMul", ["d", "w"], ["y"]),
        ],
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(random.standard_normal(size).astype(np.float32), name) for name, size in sizes],
    )
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    return folder / "m.onnx"


def npz(folder: Path, **arrays: np.ndarray) -> Path:
    """Write a file of data."""
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type] # the keywords are names of arrays
    return folder / "data.npz"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Published]:
    """Publish a model with its variants to a folder; return its URI and the result."""
    folder = tmp_path_factory.mktemp("registry")
    path, uri = mlp(folder / "source"), f"file://{folder}/m.onnx"
    labels = (ROWS.sum(axis=1) > 0).astype(np.int64)
    data: Mapping[str, np.ndarray] = {"x": ROWS, "y": labels}
    return uri, publish_model(path, uri, NAMED, optimization=Optimization(ANY, {"x": ROWS}, data, batch_size=4))


def test_the_manifest_has_the_variants_with_their_measurements_and_proofs(published: tuple[str, Published]) -> None:
    uri, result = published
    manifest = read_manifest(uri)
    assert manifest is not None
    assessment = manifest.assessment
    assert assessment is not None
    assert result.assessment == assessment
    assert (assessment.cpu_class, assessment.batch_size, assessment.metric) == (cpu_class(), 4, "accuracy")
    assert {each.variant for each in assessment.measurements} >= {ORIGINAL, "int8-dynamic", "int8-static-u8s8"}
    assert {each.name for each in manifest.variants} == set(assessment.ranking)
    assert "int8" in {each.precision for each in manifest.variants}
    for each in manifest.variants:
        assert each.rows is not None
        assert each.rows.state == ("refuted" if each.name == "int8-dynamic" else "proven")
    assert all(each.is_good for each in verify(manifest))
    assert published_variants(uri) == (manifest.variants, (assessment,))
    assert entries(uri)[0].leftovers == ()


def test_each_variant_has_its_own_bytes_below_the_folder_of_variants(published: tuple[str, Published]) -> None:
    uri, _ = published
    manifest = read_manifest(uri)
    assert manifest is not None
    own = [each for each in manifest.variants[1:] if each.uri != uri]
    assert own
    assert len({each.uri for each in own}) == len({each.sha256 for each in own})
    for each in own:
        assert each.uri.startswith(f"{uri}.variants/{each.name.removesuffix('-openvino')}-")


def test_publishing_again_makes_no_variants_and_says_how_to_measure(
    published: tuple[str, Published], tmp_path: Path
) -> None:
    uri, _ = published
    before, lines = read_manifest(uri), list[str]()
    planned = plan_model(mlp(tmp_path), uri, NAMED)
    result = publish_planned(planned, optimization=Optimization(ANY), tell=lines.append)
    assert (result.uploaded, result.assessment) == (False, None)
    assert f"scalezero models measure '{uri}'" in lines[0]
    assert read_manifest(uri) == before


def test_a_class_is_measured_once_unless_again_is_asked_for(published: tuple[str, Published]) -> None:
    uri, _ = published
    with pytest.raises(AlreadyMeasured, match=f"it was measured on {cpu_class()} at .*--again adds another"):
        add_assessment(uri, Optimization(ANY))
    manifest = read_manifest(uri)
    assert manifest is not None
    result = add_assessment(uri, Optimization(ANY, evaluation={"x": ROWS}), again=True)
    assert result.place == f"{uri}.assessments/{cpu_class()}.json"
    variants, assessments = published_variants(uri)
    assert on_cpu(variants) == on_cpu(manifest.variants)  # they are measured, not made
    assert {each.uri for each in variants} == {each.uri for each in manifest.variants}
    assert (len(assessments), assessments[1].metric) == (2, "agreement")
    measured = {each.variant for each in assessments[1].measurements if each.speedup is not None}
    assert {each.name for each in manifest.variants} <= measured
    assert read_manifest(uri) == manifest


def on_cpu(variants: Sequence[Variant]) -> list[str]:
    """Return the names of those on the CPU provider: a measurement may find another provider for one of their files."""
    return [each.name for each in variants if each.provider == CPU_PROVIDER]


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_a_model_from_before_variants_gets_them_from_an_added_assessment(place: Place, tmp_path: Path) -> None:
    uri, data = place("m.onnx"), place("data.npz")
    publish_model(mlp(tmp_path), uri, NAMED)
    publish(npz(tmp_path, x=ROWS), data, metadata={})
    manifest = read_manifest(uri)
    assert manifest is not None
    result = add_assessment(uri, Optimization(ANY, calibration=data))
    variants, assessments = published_variants(uri)
    assert assessments == (result.assessment,)
    assert len(variants) > len(manifest.variants)
    added = read_assessments(manifest)
    assert all(each.is_good for each in verify(manifest, added))
    assert variants[0].rows is not None
    assert read_manifest(uri) == manifest


@pytest.mark.parametrize("place", ["s3", "path"], indirect=True)
def test_an_artifact_that_was_replaced_is_not_measured(place: Place, s3: S3Server, tmp_path: Path) -> None:
    uri = place("m.onnx")
    publish_model(mlp(tmp_path), uri, NAMED)
    other = mlp(tmp_path / "other", seed=2)
    if uri.startswith("s3:"):
        s3.put(uri, other.read_bytes())
    else:
        write_file(uri, lambda target: target.write_bytes(other.read_bytes()), overwrite=True)
    with pytest.raises(ArtifactChanged, match=r"its SHA-256 is .*; scalezero models verify checks all objects"):
        add_assessment(uri, Optimization(ANY))


def test_a_model_without_a_manifest_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="there is no manifest beside it"):
        add_assessment(str(tmp_path / "m.onnx"), Optimization(ANY))


def replaced(**changes: Any) -> Callable[[Path], Mapping[str, np.ndarray] | Path]:  # noqa: ANN401 - arrays
    return lambda _: {"x": ROWS, **changes}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (replaced(x=ROWS[:, :15]), r"x: got shape \[50, 15\]; expected float32\[batch, 16\]"),
        (replaced(x=ROWS[:0]), "x: got no rows; expected at least one row"),
        (replaced(x=np.full((2, 16), np.nan, np.float32)), "x: got NaN or infinity in row 0; expected finite numbers"),
        (replaced(z=ROWS), "z: got an unknown name"),
        (lambda folder: npz(folder, y=ROWS), "x: got no array of this name"),
        (lambda folder: folder / "none.npz", "none.npz: the file: got .*No such file"),
        (mlp, "m.onnx: the file: got .*; expected an .npz file"),
    ],
)
def test_data_that_does_not_fit_the_model_is_an_error_before_anything_is_sent(
    tmp_path: Path, data: Callable[[Path], Any], message: str
) -> None:
    (tmp_path / "registry").mkdir()
    uri = f"{tmp_path}/registry/m.onnx"
    with pytest.raises(BadData, match=message):
        publish_model(mlp(tmp_path), uri, NAMED, optimization=Optimization(ANY, calibration=data(tmp_path)))
    assert list((tmp_path / "registry").iterdir()) == []


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_data_that_is_missing_in_s3_is_an_error(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"none\.npz"):
        publish_model(
            mlp(tmp_path), place("m.onnx"), NAMED, optimization=Optimization(ANY, calibration=place("none.npz"))
        )
    assert entries(place(""), every=True) == []


def test_variants_are_made_of_onnx_files_only(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.mar", {"m.onnx": model(tmp_path).read_bytes()})
    for path, name in ((archive, "a.mar"), (tmp_path / "model.onnx", "model")):
        with pytest.raises(BadSetting, match=r"the URI of an ONNX file, NAME\.onnx"):
            publish_model(path, f"{tmp_path}/registry/{name}", Publication(), optimization=Optimization(ANY))
        publish_model(path, f"{tmp_path}/registry/{name}", Publication())
        with pytest.raises(BadSetting, match=r"the URI of an ONNX file, NAME\.onnx"):
            add_assessment(f"{tmp_path}/registry/{name}", Optimization(ANY))


def test_of_two_that_measure_one_class_at_once_the_slower_is_told(published: tuple[str, Published]) -> None:
    uri, result = published
    manifest = read_manifest(uri)
    assert manifest is not None
    assert result.assessment is not None
    mine = BuiltVariants(manifest.variants, replace(result.assessment, cpu_class="riscv64"))
    first = add_variants(manifest, (), mine)
    assert add_variants(manifest, (), mine) == first  # its own object, whose response was lost
    other = BuiltVariants(manifest.variants, replace(result.assessment, cpu_class="riscv64", measured_at="2027-01-01"))
    with pytest.raises(AlreadyMeasured, match="it was measured on riscv64"):
        add_variants(manifest, (), other)
    assert [each.cpu_class for each in published_variants(uri)[1]].count("riscv64") == 1


def test_of_two_that_make_a_variant_on_two_classes_at_once_the_slower_measures_again(
    published: tuple[str, Published], tmp_path: Path
) -> None:
    uri, result = published
    manifest = read_manifest(uri)
    assert manifest is not None
    assert result.assessment is not None
    before = read_assessments(manifest)
    made = []
    for cpu, value in (("arm-sve", 1.0), ("arm-neon", 2.0)):
        form = form_of(model(tmp_path / cpu, value=value), uri, "int8-other")
        new = replace(
            manifest.variants[0], name="int8-other", uri=form.model.uri, sha256=form.model.sha256, size=form.model.size
        )
        made.append(
            BuiltVariants((*manifest.variants, new), replace(result.assessment, cpu_class=cpu), planned([form]))
        )
    add_variants(manifest, before, made[0])
    with pytest.raises(VariantsChanged, match=r"got int8-other with the SHA-256 .* measure again"):
        add_variants(manifest, before, made[1])
    variants, assessments = published_variants(uri)
    assert [each.sha256 for each in variants if each.name == "int8-other"] == [made[0].variants[-1].sha256]
    assert [each.cpu_class for each in assessments].count("arm-neon") == 0
