"""The main model of a function: the one that func.yaml is named after, or the only one."""

from pathlib import Path

import pytest

from knative.function.composition import compose
from knative.function.configuration import Flags
from knative.function.project import load
from knative.resources import BadManifest, Resources
from tests.knative.documents import read, version
from tests.knative.function.test_project import FUNCTION, V1, V2, loaded

READER, WRITER = version("reader-v1", "reader"), version("writer-v1", "writer")


def composed(resources: Resources, function: str | None) -> Resources:
    return compose(resources, models=resources.models, function=function, folder=Path("shop"))


@pytest.mark.parametrize("function", ["shop", "other", None])
def test_a_single_model_has_no_companions(function: str | None) -> None:
    assert composed(read(V1, V2), function) == read(V1, V2)


def test_all_other_models_are_companions_in_the_order_of_their_names() -> None:
    resources = composed(read(WRITER, V1, READER, V2), "shop")
    assert resources.services == ("shop",)
    assert resources.companion_models == ("reader", "writer")
    assert [each.metadata.name for each in resources.revisions] == ["shop-v1", "shop-v2"]
    assert [each.metadata.name for each in resources.companions] == ["reader-v1", "writer-v1"]


@pytest.mark.parametrize("function", ["other", None])
def test_several_models_without_a_func_yaml_of_one_are_an_error(function: str | None) -> None:
    message = (
        r"^shop/func\.yaml: name: got no func\.yaml for the models shop, reader; "
        r"expected a func\.yaml with the name of the main model, which has the revisions: one of shop, reader$"
    )
    with pytest.raises(BadManifest, match=message):
        composed(read(V1, READER), function)


@pytest.mark.parametrize(
    ("numbers", "newest"),
    [(["9.0", "10.0"], "10.0"), (["10.0", "9.0"], "10.0"), (["1.0.0-rc1", "1.0.0"], "1.0.0"), (["canary", "1"], "1")],
)
def test_the_newest_version_of_a_companion_is_the_highest_in_any_order(numbers: list[str], newest: str) -> None:
    readers = [version(f"reader-v{index}", "reader", number=number) for index, number in enumerate(numbers)]
    (companion,) = composed(read(V1, *readers), "shop").companions
    assert companion.spec.version == newest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two models."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (tmp_path / ".git").mkdir()  # the search for func.yaml ends here
    (shop / "model.yaml").write_text(V1 + READER)
    (shop / "func.yaml").write_text(FUNCTION)
    return shop


def test_a_folder_with_a_main_py_is_one_function(folder: Path) -> None:
    (folder / "main.py").touch()
    assert loaded(folder).resources.companion_models == ("reader",)
    by_file = load([folder / "model.yaml"], Flags(), environ={})
    assert by_file.resources.companion_models == ("reader",)


def test_without_a_main_py_each_model_has_its_own_service(folder: Path) -> None:
    assert loaded(folder).resources.services == ("shop", "reader")


def test_a_func_yaml_of_a_parent_folder_names_the_main_model(folder: Path) -> None:
    (folder / "main.py").touch()
    (folder / "func.yaml").rename(folder.parent / "func.yaml")
    assert loaded(folder).resources.companion_models == ("reader",)


def test_the_models_of_other_folders_are_no_companions(folder: Path) -> None:
    (folder / "main.py").touch()
    other = folder.parent / "other"
    other.mkdir()
    (other / "model.yaml").write_text(WRITER)
    project = load([folder, other], Flags(), environ={})
    assert (project.faults, project.resources.services) == ((), ("shop", "writer"))


def test_an_error_in_func_yaml_is_the_only_error(folder: Path) -> None:
    """Which model is the main one is then unknown, and not another error."""
    (folder / "main.py").touch()
    (folder / "func.yaml").write_text(FUNCTION.replace("0.36.0", "1"))
    (fault,) = loaded(folder).faults
    assert fault.details["field"] == "specVersion"
