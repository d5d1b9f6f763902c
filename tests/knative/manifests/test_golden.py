"""The manifests of the files in tests/knative/resources/spec and of payment-model, compared with golden files."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.manifests import DeploymentOptions, RegistryAccess, Step, desired
from knative.resources import read_resources
from tests import ROOT
from tests.knative.manifests.admission import violations

HERE = Path(__file__).resolve().parent
SPEC = HERE.parent / "resources" / "spec"
MODEL = ROOT / "functions" / "payment_model" / "model.yaml"
OPTIONS = DeploymentOptions(
    image="registry.example/scalezero:0.1.0",
    s3=RegistryAccess(secret="scalezero-s3", endpoint_url="http://s3.registry:8333", region="us-east-1"),  # noqa: S106 - a name
)


def as_data(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [
        {"makes": step.makes, "needs": list(step.needs), "final": step.final, "manifest": step.manifest}
        for step in steps
    ]


@pytest.mark.parametrize(("source", "golden"), [(SPEC, "spec.yaml"), (MODEL, "payment_model.yaml")])
def test_the_steps_of_the_files_equal_the_golden_file(source: Path, golden: str) -> None:
    steps = desired(read_resources(source), OPTIONS)
    assert as_data(steps) == list(yaml.safe_load_all((HERE / "golden" / golden).read_text("utf-8")))
    assert [violation for step in steps for violation in violations(step.manifest)] == []


def test_the_declared_split_is_the_traffic_of_the_service_and_a_route_with_the_declared_name() -> None:
    *_, service, route = (step.manifest for step in desired(read_resources(MODEL), OPTIONS))
    assert service["spec"]["traffic"] == [
        {"revisionName": "payment-model-v1", "percent": 50, "tag": "v1"},
        {"revisionName": "payment-model-v2", "percent": 50, "tag": "v2"},
    ]
    written = yaml.safe_load((SPEC / "payment-model-ab.yaml").read_text("utf-8"))
    assert (route["kind"], route["metadata"]["name"]) == ("Route", written["metadata"]["name"])
    assert route["spec"] == written["spec"]


def test_a_version_that_only_the_split_names_must_exist_already() -> None:
    """The files declare payment-model-v1, but not payment-model-v2."""
    _, service, route, *_ = desired(read_resources(SPEC), OPTIONS)
    assert service.needs == route.needs == ("payment-model-v2",)
