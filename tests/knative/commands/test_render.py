"""The output of `scalezero render`: the manifests in the order of their applies, as YAML, JSON or a table."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from knative.commands.render import command
from knative.function.publishing import publish_function
from knative.objects import APIS
from runtime.registry import require_manifest
from tests.knative.documents import config, split, version
from tests.models import identity
from tests.s3_server import S3Server

DOCUMENTS = (
    version("shop-v1", "shop", number="1"),
    version("shop-v2", "shop", number="2"),
    split("shop-ab", "shop-v1"),
)
KINDS = ["ServiceAccount", "Service", "Service", "Route"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.yaml").write_text("".join(DOCUMENTS))
    return tmp_path


def render(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(command, [str(folder), "--image", "dev.local/scalezero:0.1", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_apply_is_a_document(folder: Path) -> None:
    assert [each["kind"] for each in yaml.safe_load_all(render(folder))] == KINDS
    assert [each["kind"] for each in json.loads(render(folder, "-o", "json"))] == KINDS


def test_a_table_lists_each_object_with_the_revision_that_its_apply_creates(folder: Path) -> None:
    assert [line.split() for line in render(folder, "-o", "table").splitlines()] == [
        ["OBJECT", "REVISION"],
        ["serviceaccount/shop"],
        ["service/shop", "shop-v1"],
        ["service/shop", "shop-v2"],
        ["route/shop-ab"],
    ]


def test_the_option_role_adds_the_roles_before_the_other_manifests(folder: Path) -> None:
    kinds = [each["kind"] for each in yaml.safe_load_all(render(folder, "--role"))]
    assert kinds == ["Role", "Role", *KINDS]


def test_every_manifest_has_the_namespace_of_the_option(folder: Path) -> None:
    found = yaml.safe_load_all(render(folder, "-n", "mine"))
    assert {each["metadata"]["namespace"] for each in found} == {"mine"}


def test_versions_with_one_path_are_pinned_to_the_artifact_that_the_first_one_published(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("render")
    uri = "s3://render/a.onnx"
    documents = (version(f"shop-v{number}", "shop", path=uri, number=str(number)) for number in (1, 2))
    (tmp_path / "model.yaml").write_text("".join(documents))
    path = identity(tmp_path / "m.onnx")
    (tmp_path / "train.py").write_text(
        "from types import SimpleNamespace\nfrom pathlib import Path\n\n"
        f"def train(version, out):\n    return SimpleNamespace(path=Path({str(path)!r}), metrics={{}})\n"
    )
    for _ in range(2):
        publish_function(tmp_path, only_missing=True, report=lambda _: None)
    services = [each for each in json.loads(render(tmp_path, "--pinned", "-o", "json")) if each["kind"] == "Service"]
    variables = [
        {each["name"]: each.get("value") for each in service["spec"]["template"]["spec"]["containers"][0]["env"]}
        for service in services
    ]
    assert [each["SCALEZERO_MODEL_VERSION"] for each in variables] == ["1", "2"]
    assert {each["SCALEZERO_MODEL_SHA256"] for each in variables} == {require_manifest(uri).sha256}


def test_a_deployer_may_write_each_object_that_a_deployment_has(folder: Path) -> None:
    """Kubernetes refuses an apply of a kind that the Role does not name."""
    events = "{createBroker: true, triggers: [{}], sequence: {steps: [shop]}, predictions: {sink: {broker: default}}}"
    (folder / "config.yaml").write_text(config(events))
    role, _, *rendered = yaml.safe_load_all(render(folder, "--role"))
    allowed = {
        (group, plural)
        for rule in role["rules"]
        if {"get", "create", "patch", "delete"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }
    needed = {(each["apiVersion"].rpartition("/")[0], APIS[each["kind"]].plural) for each in rendered}
    assert len(needed) == 7
    assert needed <= allowed
