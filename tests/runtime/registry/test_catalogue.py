"""The listing of a registry, and the search for a model by its name, version or URI."""

from pathlib import Path

import pytest

from runtime.errors import ArtifactMissing, BadSetting
from runtime.published.objects import full_uri
from runtime.registry import (
    AmbiguousModel,
    Entry,
    ModelNotPublished,
    Publication,
    entries,
    find_model,
    publish,
    publish_model,
)
from runtime.registry.files import put_once
from tests.runtime.conftest import Place
from tests.runtime.registry.model_files import model


@pytest.fixture
def three(place: Place, tmp_path: Path) -> Place:
    """Publish two models, one of them in two versions."""
    for name, version in (("b", "10.0.0"), ("b", "9.0.0"), ("a", "1")):
        publish_model(model(tmp_path), place(f"{name}-{version}.onnx"), Publication(name, version))
    return place


def titles(found: list[Entry]) -> list[str]:
    """Return the name and version of each model."""
    return [each.manifest.title if each.manifest else each.uri for each in found]


def test_models_are_listed_by_name_and_version(three: Place) -> None:
    assert titles(entries(three(""))) == ["a:1", "b:9.0.0", "b:10.0.0"]
    assert titles(entries(three("b-1"))) == ["b:10.0.0"]
    assert entries(three("none")) == []


def test_a_model_without_a_manifest_is_listed_only_on_request(three: Place, tmp_path: Path) -> None:
    publish(model(tmp_path / "old", external=True), three("old/m.onnx"), metadata={})
    publish_model(model(tmp_path / "new", external=True), three("new/m.onnx"), Publication("new", "1"))
    assert titles(entries(three(""))) == ["a:1", "b:9.0.0", "b:10.0.0", "new:1"]
    assert entries(three(""), every=True)[-1] == Entry(full_uri(three("old/m.onnx")), None)


def test_a_manifest_that_cannot_be_read_does_not_hide_the_others(three: Place) -> None:
    put_once(three("broken.onnx.manifest.json"), b"[]")
    found = entries(three(""))
    assert titles(found)[:3] == ["a:1", "b:9.0.0", "b:10.0.0"]
    assert found[3] == Entry(full_uri(three("broken.onnx")), None, "the document: got []; expected an object")


@pytest.mark.parametrize(("reference", "title"), [("a", "a:1"), ("b", "b:10.0.0"), ("b:9.0.0", "b:9.0.0")])
def test_a_name_is_the_newest_version(three: Place, reference: str, title: str) -> None:
    assert find_model(reference, registry=three("")).title == title


def test_a_uri_is_one_model(three: Place) -> None:
    assert find_model(three("a-1.onnx"), registry="s3://elsewhere").title == "a:1"
    with pytest.raises(ArtifactMissing, match="there is no manifest beside it"):
        find_model(three("none.onnx"), registry="s3://elsewhere")


def test_a_version_of_an_object_is_refused() -> None:
    with pytest.raises(BadSetting, match="without a version"):
        find_model("s3://registry/a.onnx?versionId=1", registry="s3://elsewhere")


@pytest.mark.parametrize("reference", ["c", "b:11"])
def test_an_unknown_model_is_an_error_with_the_known_ones(three: Place, reference: str) -> None:
    with pytest.raises(ModelNotPublished, match=rf"no model {reference} in .*: it has a:1, b:9\.0\.0, b:10\.0\.0$"):
        find_model(reference, registry=three(""))


def test_an_empty_registry_has_no_model(place: Place) -> None:
    with pytest.raises(ModelNotPublished, match="it has no model with a manifest"):
        find_model("a", registry=place(""))


def test_a_version_at_two_uris_is_ambiguous(three: Place, tmp_path: Path) -> None:
    publish_model(model(tmp_path), three("again.onnx"), Publication("b", "10.0.0"))
    with pytest.raises(AmbiguousModel, match=r"b:10\.0\.0 is published under several URIs; .*again\.onnx"):
        find_model("b", registry=three(""))
    assert find_model("b:9.0.0", registry=three("")).version == "9.0.0"


def test_an_error_shows_ten_models(place: Place, tmp_path: Path) -> None:
    for number in range(11):
        publish_model(model(tmp_path), place(f"{number}.onnx"), Publication("m", str(number)))
    with pytest.raises(ModelNotPublished, match=r"m:9 and 1 more$"):
        find_model("n", registry=place(""))
