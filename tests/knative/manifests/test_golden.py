"""The user's own files give exactly these manifests."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.manifests import DeploymentOptions, RegistryAccess, Step, desired
from knative.resources import read_resources
from tests import ROOT
from tests.knative.manifests.admission import offences

HERE = Path(__file__).resolve().parent
SPEC = HERE.parent / "resources" / "spec"
MODEL = ROOT / "functions" / "payment_model" / "model.yaml"
OPTIONS = DeploymentOptions(
    image="registry.example/scalezero:0.1.0",
    s3=RegistryAccess(secret="scalezero-s3", endpoint_url="http://s3.registry:8333", region="us-east-1"),  # noqa: S106 - a name
)


def plain(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [
        {"makes": step.makes, "needs": list(step.needs), "final": step.final, "manifest": step.manifest}
        for step in steps
    ]


@pytest.mark.parametrize(("source", "golden"), [(SPEC, "spec.yaml"), (MODEL, "payment_model.yaml")])
def test_the_users_files_give_exactly_these_steps(source: Path, golden: str) -> None:
    steps = desired(read_resources(source), OPTIONS)
    assert plain(steps) == list(yaml.safe_load_all((HERE / "golden" / golden).read_text("utf-8")))
    assert [offence for step in steps for offence in offences(step.manifest)] == []


def test_the_declared_split_is_half_and_half_behind_tags_and_the_users_name_answers_too() -> None:
    *_, service, route = (step.manifest for step in desired(read_resources(MODEL), OPTIONS))
    assert service["spec"]["traffic"] == [
        {"revisionName": "payment-model-v1", "percent": 50, "tag": "v1"},
        {"revisionName": "payment-model-v2", "percent": 50, "tag": "v2"},
    ]
    written = yaml.safe_load((SPEC / "payment-model-ab.yaml").read_text("utf-8"))
    assert (route["kind"], route["metadata"]["name"]) == ("Route", written["metadata"]["name"])
    assert route["spec"] == written["spec"]


def test_a_version_that_only_the_split_names_must_be_there_already() -> None:
    """Of the files one declares payment-model-v1, none payment-model-v2."""
    _, service, route, *_ = desired(read_resources(SPEC), OPTIONS)
    assert service.needs == route.needs == ("payment-model-v2",)
