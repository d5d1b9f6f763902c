"""The real API server, with Knative's admission behind it, takes what is rendered, and the users' kinds as written."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from knative.deploying.differences import differences
from knative.manifests import DeploymentOptions, Step, desired
from knative.objects import Manifest
from knative.resources import Resources, read_resources
from knative.resources.crds.definitions import DEFINITIONS
from tests import ROOT
from tests.e2e.functions import PAYMENT_MODEL
from tests.e2e.namespace import Namespace, Refused
from tests.knative.manifests import strategies

SPEC = ROOT / "tests" / "knative" / "resources" / "spec"
CRDS = ROOT / "knative" / "resources" / "crds"
OURS = {each.kind.__name__ for each in DEFINITIONS}
IMAGE = "dev.local/scalezero:0.1.0"


def admit(own: Namespace, step: Step) -> Manifest:
    """Have the API server admit the manifest and throw it away. Raises what it says against it.

    Knative tries out a pod of the template, whose ServiceAccount must be there already; `default` always is.
    """
    manifest = copy.deepcopy(step.manifest)
    manifest["metadata"]["namespace"] = own.name
    if manifest["kind"] == "Service":
        manifest["spec"]["template"]["spec"]["serviceAccountName"] = "default"
    return own.cluster.apply(manifest, dry_run=True)


@pytest.mark.parametrize("source", [SPEC, PAYMENT_MODEL / "model.yaml"], ids=["spec", "payment_model"])
def test_what_the_users_files_give_is_admitted(own: Namespace, source: Path) -> None:
    for step in desired(read_resources(source), DeploymentOptions(image=IMAGE)):
        assert admit(own, step)["metadata"]["name"] == step.manifest["metadata"]["name"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.resources(), strategies.deployments())
def test_what_any_resources_and_options_give_is_admitted(
    own: Namespace, resources: Resources, options: DeploymentOptions
) -> None:
    for step in desired(resources, options):
        admit(own, step)


def test_what_is_rendered_can_be_applied_by_kubectl_again_and_again(own: Namespace, tmp_path: Path) -> None:
    """Knative takes a template again under its revision's name only where it is as it was, its defaults included."""
    first = (PAYMENT_MODEL / "model.yaml").read_text("utf-8").partition("---")[0]
    (tmp_path / "model.yaml").write_text(first)
    rendered = own.scalezero("render", "-f", tmp_path, "--image", IMAGE)
    own.kubectl("apply", "-f", "-", given=rendered)
    assert "service.serving.knative.dev/payment-model configured" in own.kubectl("apply", "-f", "-", given=rendered)


def test_a_deployment_as_its_owner_wrote_it_is_not_admitted_until_it_is_completed(own: Namespace) -> None:
    with pytest.raises(Refused, match="selector"):
        own.kubectl("apply", "--dry-run=server", "-f", str(SPEC / "tensorflow-serving.yaml"))


def test_the_users_split_as_written_is_not_admitted_until_it_is_a_route(own: Namespace) -> None:
    with pytest.raises(Refused, match="template"):
        own.kubectl("apply", "--dry-run=server", "-f", str(SPEC / "payment-model-ab.yaml"))


@pytest.fixture(scope="module")
def defined(own: Namespace) -> Iterator[Namespace]:
    """A namespace of a cluster that knows the users' kinds."""
    own.kubectl("apply", "--server-side", "-f", str(CRDS))
    own.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    yield own
    own.kubectl("delete", "--wait=false", "-f", str(CRDS))


def documents(*files: Path) -> list[dict[str, Any]]:
    """The documents of the kinds that are ours to define."""
    found = [each for file in files for each in yaml.safe_load_all(file.read_text("utf-8"))]
    return [each for each in found if each["kind"] in OURS]


WRITTEN = documents(*sorted(SPEC.glob("*.yaml")), PAYMENT_MODEL / "model.yaml")


@pytest.mark.parametrize("document", WRITTEN, ids=lambda each: each["metadata"]["name"])
def test_a_resource_is_kept_as_its_owner_wrote_it(defined: Namespace, document: dict[str, Any]) -> None:
    defined.kubectl("apply", "--validate=strict", "-f", "-", given=yaml.safe_dump(document))
    kept = yaml.safe_load(defined.kubectl("get", f"{document['kind']}/{document['metadata']['name']}", "-o", "yaml"))
    assert differences(document["spec"], kept["spec"]) == ()


REFUSED = {
    "an unknown field": ("payment-model-config", {"batchsize": 8}, "unknown field"),
    "a value out of range": ("payment-model-config", {"batchSize": 0}, "batchSize"),
    "a timeout that ends before the wait": ("payment-model-config", {"timeout": "1ms"}, "maxWaitTime"),
    "a revision under another name": ("payment-model-v1", {"modelName": "shop"}, "modelName"),
}


@pytest.mark.parametrize(("name", "wrong", "told"), REFUSED.values(), ids=REFUSED)
def test_what_our_own_reading_refuses_the_cluster_refuses_too(
    defined: Namespace, name: str, wrong: dict[str, object], told: str
) -> None:
    document = copy.deepcopy(next(each for each in WRITTEN if each["metadata"]["name"] == name))
    document["spec"] |= wrong
    with pytest.raises(Refused, match=told):
        defined.kubectl("apply", "--validate=strict", "--dry-run=server", "-f", "-", given=yaml.safe_dump(document))
