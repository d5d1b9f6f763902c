"""A deletion removes the manifest first, and keeps what another model uses."""

from pathlib import Path

import onnx
import pytest

from runtime.errors import ArtifactMissing, BadSetting
from runtime.published.objects import Objects, full_uri
from runtime.registry import (
    InvalidManifest,
    Publication,
    entries,
    plan_cleaning,
    plan_removal,
    publish,
    publish_guest,
    publish_model,
    read_guest,
    remove,
)
from runtime.registry.files import delete, put_once
from runtime.wasm.engine import CodeKey
from tests import guests
from tests.runtime.conftest import Place
from tests.runtime.registry.model_files import model


def removed(uri: str) -> list[str]:
    """Delete the model; return the printed lines, without folders."""
    lines: list[str] = []
    remove(plan_removal(uri), lines.append)
    return [line.rpartition("/")[2] for line in lines]


def test_the_manifest_is_deleted_first_and_the_artifact_last(place: Place, tmp_path: Path) -> None:
    publish_model(model(tmp_path, external=True), place("a.onnx"), Publication("add", "1"))
    assert removed(place("a.onnx")) == [
        "a.onnx.manifest.json: deleted",
        "weights.bin: deleted",
        "a.onnx: deleted",
    ]
    assert list(Objects(place("")).list(place(""))) == []


def test_external_data_of_another_model_is_kept(place: Place, tmp_path: Path) -> None:
    path = model(tmp_path, external=True)
    publish_model(path, place("a.onnx"), Publication("add", "1"))
    publish_model(path, place("b.onnx"), Publication("add", "2"))
    assert removed(place("a.onnx"))[1:] == ["a.onnx: deleted", "weights.bin: kept, another model uses it"]
    assert removed(place("b.onnx"))[1:] == ["weights.bin: deleted", "b.onnx: deleted"]
    assert entries(place("")) == []


def test_external_data_of_a_model_in_a_folder_above_is_kept(place: Place, tmp_path: Path) -> None:
    inner = model(tmp_path / "sub", external=True)
    loaded = onnx.load(inner, load_external_data=False)
    next(each for each in loaded.graph.initializer[0].external_data if each.key == "location").value = "sub/weights.bin"
    onnx.save(loaded, tmp_path / "outer.onnx")
    publish_model(tmp_path / "outer.onnx", place("outer.onnx"), Publication("outer", "1"))
    publish_model(inner, place("sub/inner.onnx"), Publication("inner", "1"))
    assert removed(place("sub/inner.onnx"))[1:] == ["inner.onnx: deleted", "weights.bin: kept, another model uses it"]
    assert removed(place("outer.onnx"))[1:] == ["weights.bin: deleted", "outer.onnx: deleted"]


def test_a_broken_manifest_in_another_folder_prevents_nothing(place: Place, tmp_path: Path) -> None:
    put_once(place("other/b.onnx.manifest.json"), b"[]")
    publish_model(model(tmp_path, external=True), place("a.onnx"), Publication("add", "1"))
    assert len(removed(place("a.onnx"))) == 3


def test_a_manifest_of_another_model_that_cannot_be_read_keeps_the_external_data(place: Place, tmp_path: Path) -> None:
    publish_model(model(tmp_path, external=True), place("a.onnx"), Publication("add", "1"))
    put_once(place("b.onnx.manifest.json"), b"[]")
    lines: list[str] = []
    remove(plan_removal(place("a.onnx")), lines.append)
    base = full_uri(place("a.onnx")).removesuffix("a.onnx")
    assert lines == [
        f"{base}a.onnx.manifest.json: deleted",
        f"{base}a.onnx: deleted",
        f"{base}weights.bin: kept, as {base}b.onnx.manifest.json cannot be read and may name it",
    ]


def test_a_model_whose_manifest_was_copied_can_be_deleted_and_published(place: Place, tmp_path: Path) -> None:
    path = model(tmp_path)
    publish_model(path, place("a.onnx"), Publication("add", "1"))
    body = Objects(place("")).read(place("a.onnx.manifest.json"), max_bytes=10_000)
    assert body is not None
    publish(path, place("copies/a.onnx"), metadata={})
    put_once(place("copies/a.onnx.manifest.json"), body)
    with pytest.raises(InvalidManifest, match=r"scalezero models delete '.*/copies/a\.onnx', then scalezero publish$"):
        publish_model(path, place("copies/a.onnx"), Publication("add", "1"))
    assert removed(place("copies/a.onnx")) == [
        "a.onnx.manifest.json: deleted",
        "a.onnx: deleted",
        "a.onnx.manifest.json: it cannot be read, so objects that only it names are unknown and kept",
    ]
    publish_model(path, place("copies/a.onnx"), Publication("add", "1"))
    assert len(entries(place(""))) == 2


def test_the_external_data_of_a_model_without_a_manifest_is_deleted(place: Place, tmp_path: Path) -> None:
    publish(model(tmp_path, external=True), place("a.onnx"), metadata={})
    assert removed(place("a.onnx")) == ["weights.bin: deleted", "a.onnx: deleted"]
    assert list(Objects(place("")).list(place(""))) == []


def test_external_data_that_a_manifest_names_is_kept_for_a_model_without_one(place: Place, tmp_path: Path) -> None:
    path = model(tmp_path, external=True)
    publish(path, place("a.onnx"), metadata={})
    publish_model(path, place("b.onnx"), Publication("add", "2"))
    assert removed(place("a.onnx")) == ["a.onnx: deleted", "weights.bin: kept, another model uses it"]


@pytest.mark.parametrize("deleted", [1, 2])
def test_an_interrupted_deletion_is_finished_by_the_next(place: Place, tmp_path: Path, deleted: int) -> None:
    publish_model(model(tmp_path, external=True), place("a.onnx"), Publication("add", "1"))
    removal = plan_removal(place("a.onnx"))
    remove(removal._replace(deleted=removal.deleted[:deleted]), print)
    assert removed(place("a.onnx")) == ["weights.bin: deleted", "a.onnx: deleted"]
    assert list(Objects(place("")).list(place(""))) == []


@pytest.mark.parametrize("name", ["team", "m.mar"])
def test_a_folder_that_is_only_named_like_one_of_variants_is_not_touched(
    place: Place, tmp_path: Path, name: str
) -> None:
    path = model(tmp_path)
    publish_model(path, place(f"{name}.variants/other.onnx"), Publication("other", "1"))
    publish_model(path, place(f"{name}.assessments/other.onnx"), Publication("other", "2"))
    with pytest.raises(ArtifactMissing):
        plan_removal(place(name))
    put_once(place(name), b"no model")
    assert removed(place(name))[0] == f"{name}: deleted"
    assert [each.manifest.title for each in entries(place("")) if each.manifest] == ["other:1", "other:2"]


def test_a_folder_of_models_beside_a_file_without_a_suffix_has_neither_assessments_nor_leftovers(
    place: Place, tmp_path: Path
) -> None:
    path = model(tmp_path)
    publish_model(path, place("team.variants/other.onnx"), Publication("other", "1"))
    publish_model(path, place("team.assessments/other.onnx"), Publication("other", "2"))
    publish_model(path, place("team"), Publication("team", "1"))
    assert plan_cleaning(place("team")).deleted == ()
    assert removed(place("team")) == ["team.manifest.json: deleted", "team: deleted"]
    assert len(entries(place(""))) == 2


def test_a_model_with_a_manifest_below_the_variants_of_another_is_kept(place: Place, tmp_path: Path) -> None:
    publish_model(model(tmp_path), place("a.onnx"), Publication("add", "1"))
    for name in ("own/b.onnx", "own/b.onnx.manifest.json", "left-0/model.onnx"):
        put_once(place(f"a.onnx.variants/{name}"), b"{}")
    assert [each.rpartition("/")[2] for each in plan_cleaning(place("a.onnx")).deleted] == ["model.onnx"]
    kept = "kept, as a model with a manifest of its own is in that folder"
    assert removed(place("a.onnx")) == [
        "a.onnx.manifest.json: deleted",
        "model.onnx: deleted",
        "a.onnx: deleted",
        f"b.onnx: {kept}",
        f"b.onnx.manifest.json: {kept}",
    ]


@pytest.mark.parametrize("body", [b"no model, and its location is unknown", b""])
def test_the_external_data_of_a_file_that_is_no_model_is_unknown(place: Place, body: bytes) -> None:
    put_once(place("a.onnx"), body)
    uri = full_uri(place("a.onnx"))
    lines: list[str] = []
    remove(plan_removal(place("a.onnx")), lines.append)
    assert lines[0] == f"{uri}: deleted"
    assert lines[1].startswith(f"{uri}: its external data is unknown and kept: ")


def test_a_missing_model_and_a_version_of_an_object_are_refused(place: Place) -> None:
    with pytest.raises(ArtifactMissing, match="there is no such model"):
        plan_removal(place("none.onnx"))
    with pytest.raises(BadSetting, match="without a version"):
        plan_removal("s3://registry/a.onnx?versionId=1")


def test_a_manifest_and_the_external_data_of_a_model_are_refused(place: Place, tmp_path: Path) -> None:
    publish_model(model(tmp_path, external=True), place("a.onnx"), Publication("add", "1"))
    with pytest.raises(BadSetting, match=r"the artifact, .*a\.onnx, not its manifest"):
        plan_removal(place("a.onnx.manifest.json"))
    with pytest.raises(BadSetting, match=r"weights\.bin.*a model uses this as its external data"):
        plan_removal(place("weights.bin"))


ARM = CodeKey("wasmtime-50.0.1-1", "arm-i8mm")


def published_guest(uri: str, folder: Path) -> None:
    """Publish a guest with the code of one machine."""
    publish_guest(guests.write(folder / "main.wasm", guests.ECHO), uri, key=ARM)


@pytest.mark.parametrize("name", ["main.wasm", "main"])
def test_the_code_of_a_guest_is_deleted_first(place: Place, tmp_path: Path, name: str) -> None:
    """Code without its guest would be run in the place of the next guest."""
    published_guest(place(name), tmp_path)
    assert removed(place(name)) == ["core.cwasm: deleted", f"{name}: deleted"]
    assert list(Objects(place("")).list(place(""))) == []
    with pytest.raises(ArtifactMissing):
        plan_removal(place(name))


def test_code_that_was_left_is_deleted_by_the_uri_of_its_guest(place: Place, tmp_path: Path) -> None:
    published_guest(place("main.wasm"), tmp_path)
    delete(place("main.wasm"))
    assert removed(place("main.wasm")) == ["core.cwasm: deleted"]


def test_other_objects_beside_the_code_are_kept(place: Place, tmp_path: Path) -> None:
    published_guest(place("main.wasm"), tmp_path)
    put_once(place("main.wasm.code/notes.txt"), b"notes")
    assert removed(place("main.wasm"))[-1] == "notes.txt: kept, as it is no compiled code"


def test_one_code_is_deleted_by_its_uri(place: Place, tmp_path: Path) -> None:
    published_guest(place("main.wasm"), tmp_path)
    (code,) = read_guest(place("main.wasm")).codes
    assert removed(code.uri)[0] == "core.cwasm: deleted"
    assert read_guest(place("main.wasm")).guest is not None
    with pytest.raises(ArtifactMissing, match="there is no such compiled code"):
        plan_removal(code.uri)


def test_a_guest_has_no_leftovers(place: Place) -> None:
    with pytest.raises(BadSetting, match=r"--leftovers=.*expected the URI of a model"):
        plan_cleaning(place("main.wasm"))
