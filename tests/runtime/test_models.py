"""The served models: which version a request gets, and which versions can be served together."""

import pytest

from runtime.background import Background
from runtime.errors import UnknownModel, UnknownVersion, VersionConflict
from runtime.models import Models
from runtime.served_model import ProcessStart, ServedModel
from runtime.settings import Settings


def served(version: str | None, name: str = "m") -> ServedModel:
    settings = Settings(model_uri="s3://b/m.onnx", model_version=version, threads=1)
    return ServedModel(name, settings, lambda: pytest.fail("not pulled here"), ProcessStart(0.0, 0.0), Background())


def table(*versions: str | None) -> Models:
    models = Models()
    for version in versions:
        models.add(served(version))
    return models


@pytest.mark.parametrize("versions", [["9", "10", "8"], ["10", "9", "8"]])
def test_the_highest_version_is_the_default_and_the_first(versions: list[str]) -> None:
    models = table(*versions)
    assert models.find("m", None).version == "10"
    assert models.versions("m") == ["10", "9", "8"]
    assert [each.version for each in models.served()] == ["10", "9", "8"]
    assert models.find("m", "8").version == "8"
    assert models.find("m", 9).version == models.find("m", "9").version == "9"


def test_the_number_0_is_the_default_unless_a_version_has_this_number() -> None:
    assert table("1", "2").find("m", 0).version == "2"
    assert table("1", "0").find("m", 0).version == "0"


def test_a_default_that_was_set_remains_until_it_is_removed() -> None:
    models = table("1", "2")
    models["m"].set_default("1")
    models.add(served("3"))
    assert models.find("m", None).version == "1"
    assert models.remove("m", None).version == "1"
    assert models.find("m", None).version == "3"
    assert models.remove("m", "3").version == "3"
    assert models.find("m", None).version == "2"


def test_removing_the_last_version_removes_the_model() -> None:
    models = table("1")
    models.add(served("1", "n"))
    models.remove("m", "1")
    assert (list(models), len(models), "m" in models, models.versions("m")) == (["n"], 1, False, [])


def test_an_unknown_name_and_an_unknown_version_have_different_errors() -> None:
    models = table("1", "2")
    with pytest.raises(UnknownModel, match="model 'x' is not served; served: m") as unknown:
        models.find("x", None)
    assert not isinstance(unknown.value, UnknownVersion)
    for ask in (lambda: models.find("m", "3"), lambda: models.find("m", 3), lambda: models["m"].set_default("3")):
        with pytest.raises(UnknownVersion, match="version '3' of model 'm' is not served; served: 2, 1"):
            ask()


def test_a_version_that_is_unknown_before_loading_matches_any_version() -> None:
    models = table(None)
    assert models.versions("m") == []
    assert models.find("m", "7") is models.find("m", None) is models.find("m", 7)


@pytest.mark.parametrize(
    ("there", "added", "reason"),
    [
        ("1", "1", "it is already served"),
        ("1.0", "1.0.0", r"it and .1\.0. have the same number, 1000000"),
        ("1", None, "each must be stated"),
        (None, "1", "each must be stated"),
    ],
)
def test_versions_that_cannot_be_distinguished_are_rejected(there: str | None, added: str | None, reason: str) -> None:
    models = table(there)
    with pytest.raises(VersionConflict, match=reason):
        models.add(served(added))
    assert len(models["m"]) == 1


@pytest.mark.parametrize("uri", ["s3://b/file.mar", "s3://b/file.mar?versionId=1", "s3://b/file.tar.gz"])
def test_a_model_from_an_archive_may_have_any_name_until_the_archive_is_pulled(uri: str) -> None:
    models = Models()
    settings = Settings(model_uri=uri, threads=1)
    pulled = ServedModel("file", settings, lambda: pytest.fail("not pulled"), ProcessStart(0.0, 0.0), Background())
    models.add(pulled)
    assert models.find("file", None) is models.find("other", None) is pulled
    assert models.remove("other", None) is pulled
    assert not models


@pytest.mark.parametrize("settings", [Settings(model_uri="s3://b/m.onnx"), Settings(model_uri="m.mar", model_name="m")])
def test_a_model_with_a_known_name_has_no_other_name(settings: Settings) -> None:
    models = Models()
    models.add(ServedModel("m", settings, lambda: pytest.fail("not pulled"), ProcessStart(0.0, 0.0), Background()))
    with pytest.raises(UnknownModel):
        models.find("other", None)
