"""A project reads all valid resources and records every error."""

from pathlib import Path

import pytest

from knative.function.configuration import Flags
from knative.function.project import Project, load
from knative.resources import BadManifest
from runtime.errors import BadSetting
from tests.knative.documents import split, version

FUNCTION = "specVersion: 0.36.0\nname: shop\ncreated: 2026-11-23T00:00:00Z\nimage: example.com/shop:1\n"
V1, V2 = version("shop-v1", "shop", number="1"), version("shop-v2", "shop", number="2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()  # the search for func.yaml ends here
    (tmp_path / "model.yaml").write_text(V1)
    (tmp_path / "func.yaml").write_text(FUNCTION)
    return tmp_path


def loaded(folder: Path, **flags: str) -> Project:
    return load((folder,), Flags(**flags), environ={})


def test_every_yaml_file_of_the_folder_counts(folder: Path) -> None:
    (folder / "second.yaml").write_text(V2)
    project = loaded(folder)
    assert [each.metadata.name for each in project.resources.model_versions] == ["shop-v1", "shop-v2"]
    assert project.options.image == "example.com/shop:1"


def test_valid_resources_are_read_despite_errors_and_require_valid_raises_the_first(folder: Path) -> None:
    (folder / "second.yaml").write_text(V2.replace("modelName", "modelNmae"))
    (folder / "third.yaml").write_text("a: [\n")
    project = loaded(folder)
    assert [each.metadata.name for each in project.resources.model_versions] == ["shop-v1"]
    assert len(project.faults) == 2
    with pytest.raises(BadManifest) as caught:
        project.require_valid()
    assert caught.value is project.faults[0]


def test_models_are_read_despite_an_error_in_func_yaml(folder: Path) -> None:
    (folder / "func.yaml").write_text(FUNCTION.replace("0.36.0", "1"))
    project = loaded(folder)
    assert (project.function, len(project.faults)) == (None, 1)
    assert project.resources.models == ("shop",)


@pytest.mark.parametrize(
    ("flag", "written", "namespace"),
    [("a", "b", "a"), (None, "b", "b"), (None, None, "context"), ("a", None, "a")],
)
def test_the_namespace_flag_overrides_func_yaml_which_overrides_the_context(
    folder: Path, flag: str | None, written: str | None, namespace: str
) -> None:
    (folder / "func.yaml").write_text(FUNCTION + (f"namespace: {written}\n" if written else ""))
    project = loaded(folder, **({"namespace": flag} if flag else {}))
    assert project.namespace == (flag or written)
    assert project.in_namespace("context").options.namespace == namespace


def test_a_function_is_refused_only_if_the_image_does_not_contain_it(folder: Path) -> None:
    (folder / "main.py").touch()
    loaded(folder).require_valid()  # func.yaml names an image, which may contain it
    (folder / "func.yaml").write_text(FUNCTION.replace("image:", "domain:"))
    project = loaded(folder)
    assert project.faults == ()
    with pytest.raises(BadSetting, match="scripts/image --function"):
        project.require_valid()


def test_a_part_of_the_files_of_a_function_with_several_models_is_an_error(folder: Path) -> None:
    """A revision without the other models would be another function."""
    main, second, config = (folder / name for name in ("model.yaml", "second.yaml", "config.yaml"))
    second.write_text(version("reader-v1", "reader"))
    config.write_text("apiVersion: ml.example.com/v1\nkind: InferenceConfig\nmetadata: {name: shop-config}\n")
    assert load((main,), Flags(), environ={}).faults == ()  # without a main.py each model is served by itself
    (folder / "main.py").touch()
    for paths in ((main,), (main, config)):
        (fault,) = load(paths, Flags(), environ={}).faults
        assert f"without the ModelVersions in {second}" in str(fault)
        assert f"the folder: -f {folder}" in str(fault)
    for paths in ((main, second), (folder,)):
        project = load(paths, Flags(), environ={})
        assert (project.faults, project.resources.companion_models) == ((), ("reader",))


def test_a_split_of_a_function_with_several_models_is_read_without_them(folder: Path) -> None:
    """It creates no revision."""
    (folder / "second.yaml").write_text(version("reader-v1", "reader"))
    (folder / "split.yaml").write_text(split("shop-ab", "shop-v1", "shop-v2"))
    (folder / "main.py").touch()
    assert load((folder / "split.yaml",), Flags(), environ={}).faults == ()


def test_a_part_of_the_versions_of_one_model_may_be_deployed(folder: Path) -> None:
    (folder / "second.yaml").write_text(V2)
    (folder / "main.py").touch()
    assert load((folder / "model.yaml",), Flags(), environ={}).faults == ()


def test_a_split_without_models_is_read_with_its_func_yaml(folder: Path) -> None:
    (folder / "model.yaml").write_text(split("shop-ab", "shop-v1", "shop-v2"))
    assert loaded(folder).options.image == "example.com/shop:1"


def test_a_folder_without_manifests_is_an_error(tmp_path: Path) -> None:
    (fault,) = loaded(tmp_path).faults
    assert str(tmp_path) in str(fault)


def test_a_func_yaml_of_another_model_is_an_error_and_its_options_are_ignored(folder: Path) -> None:
    (folder / "func.yaml").write_text(FUNCTION.replace("name: shop", "name: shoe"))
    project = loaded(folder)
    assert (len(project.faults), project.function, project.options.image) == (1, None, None)


def test_without_a_readable_model_the_func_yaml_is_skipped(folder: Path) -> None:
    (folder / "model.yaml").write_text(V1.replace("modelName", "modelNmae"))
    project = loaded(folder)
    assert (len(project.faults), project.function) == (1, None)


def test_an_invalid_option_of_func_yaml_is_an_error_and_flags_still_apply(folder: Path) -> None:
    (folder / "func.yaml").write_text(FUNCTION + "deploy: {options: {resources: {limits: {memory: 5e8}}}}\n")
    project = loaded(folder, image="example.com/other:1")
    assert (len(project.faults), project.options.image, project.image_named) == (1, "example.com/other:1", True)
