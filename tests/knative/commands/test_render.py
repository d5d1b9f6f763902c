"""What `render` prints: the applies in their order, for a person or for a program."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from knative.commands.render import command
from tests.knative.manifests.test_steps import split, version

DOCUMENTS = (
    version("shop-v1", "shop", number="1"),
    version("shop-v2", "shop", number="2"),
    split("shop-ab", "shop-v1"),
)
APPLIES = ["ServiceAccount", "Service", "Service", "Route"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.yaml").write_text("".join(DOCUMENTS))
    return tmp_path


def rendered(folder: Path, *more: str) -> str:
    done = CliRunner().invoke(command, [str(folder), "--image", "dev.local/scalezero:0.1", *more])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_each_apply_is_a_document(folder: Path) -> None:
    assert [each["kind"] for each in yaml.safe_load_all(rendered(folder))] == APPLIES
    assert [each["kind"] for each in json.loads(rendered(folder, "-o", "json"))] == APPLIES


def test_a_table_names_each_object_with_the_revision_that_its_apply_makes(folder: Path) -> None:
    assert [line.split() for line in rendered(folder, "-o", "table").splitlines()] == [
        ["OBJECT", "REVISION"],
        ["serviceaccount/shop"],
        ["service/shop", "shop-v1"],
        ["service/shop", "shop-v2"],
        ["route/shop-ab"],
    ]


def test_the_roles_come_first_where_they_are_asked_for(folder: Path) -> None:
    kinds = [each["kind"] for each in yaml.safe_load_all(rendered(folder, "--role"))]
    assert kinds == ["Role", "Role", *APPLIES]


def test_everything_goes_to_the_namespace_that_is_asked_for(folder: Path) -> None:
    found = yaml.safe_load_all(rendered(folder, "-n", "mine"))
    assert {each["metadata"]["namespace"] for each in found} == {"mine"}
