"""Tests that the real API server, with Knative's webhooks, admits the rendered objects and the users' resources."""

import copy
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from knative.api.errors import EventingMissing
from knative.deploying.differences import differences
from knative.deploying.plan import changed_fields
from knative.manifests import DeploymentOptions, Step, desired
from knative.objects import EVENTING_APIS, Manifest
from knative.resources import Resources, read_resources
from knative.resources.crds.definitions import DEFINITIONS
from tests import ROOT
from tests.e2e.functions import PAYMENT_MODEL
from tests.e2e.namespace import CommandFailed, Namespace
from tests.knative.manifests import strategies

SPEC = ROOT / "tests" / "knative" / "resources" / "spec"
CRDS = ROOT / "knative" / "resources" / "crds"
OURS = {each.kind.__name__ for each in DEFINITIONS}
IMAGE = "dev.local/scalezero:0.1.0"


@pytest.fixture(scope="module")
def has_eventing(own: Namespace) -> bool:
    """Whether the cluster has Knative Eventing."""
    with suppress(EventingMissing):
        own.cluster.list("Trigger")
        return True
    return False


def admit(own: Namespace, step: Step) -> Manifest:
    """Send the manifest to the API server as a dry run. Raises its error if it does not admit the manifest.

    Knative validates a pod of the template, which needs an existing ServiceAccount; `default` always exists.
    """
    manifest = copy.deepcopy(step.manifest)
    manifest["metadata"]["namespace"] = own.name
    if manifest["kind"] == "Service":
        manifest["spec"]["template"]["spec"]["serviceAccountName"] = "default"
    return own.cluster.apply(manifest, dry_run=True)


@pytest.mark.parametrize("source", [SPEC, PAYMENT_MODEL / "model.yaml"], ids=["spec", "payment_model"])
def test_the_rendered_files_of_users_are_admitted(own: Namespace, source: Path) -> None:
    for step in desired(read_resources(source), DeploymentOptions(image=IMAGE)):
        assert admit(own, step)["metadata"]["name"] == step.manifest["metadata"]["name"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.resources(), strategies.deployments())
def test_rendered_objects_of_any_resources_and_options_are_admitted(
    own: Namespace,
    has_eventing: bool,  # noqa: FBT001 - a fixture
    resources: Resources,
    options: DeploymentOptions,
) -> None:
    """The API server sets defaults, which are no differences."""
    for step in desired(resources, options):
        of_eventing = step.manifest["apiVersion"] in EVENTING_APIS
        if has_eventing or not of_eventing:
            admitted = admit(own, step)
            assert not of_eventing or changed_fields(step.manifest, admitted)[1:] == ()


def test_rendered_objects_can_be_applied_repeatedly_by_kubectl(own: Namespace, tmp_path: Path) -> None:
    """Knative accepts a template with the name of an existing revision only if it is equal, including its defaults."""
    first = (PAYMENT_MODEL / "model.yaml").read_text("utf-8").partition("---")[0]
    (tmp_path / "model.yaml").write_text(first)
    rendered = own.scalezero("render", "-f", tmp_path, "--image", IMAGE)
    own.kubectl("apply", "-f", "-", given=rendered)
    assert "service.serving.knative.dev/payment-model configured" in own.kubectl("apply", "-f", "-", given=rendered)


def test_the_users_deployment_is_not_admitted_in_its_original_form(own: Namespace) -> None:
    with pytest.raises(CommandFailed, match="selector"):
        own.kubectl("apply", "--dry-run=server", "-f", str(SPEC / "tensorflow-serving.yaml"))


def test_the_users_split_is_not_admitted_in_its_original_form(own: Namespace) -> None:
    with pytest.raises(CommandFailed, match="template"):
        own.kubectl("apply", "--dry-run=server", "-f", str(SPEC / "payment-model-ab.yaml"))


@pytest.fixture(scope="module")
def defined(own: Namespace) -> Iterator[Namespace]:
    """A namespace of a cluster with the definitions of the users' kinds."""
    own.kubectl("apply", "--server-side", "-f", str(CRDS))
    own.kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", str(CRDS))
    yield own
    own.kubectl("delete", "--wait=false", "-f", str(CRDS))


def documents(*files: Path) -> list[dict[str, Any]]:
    """Return the documents of the kinds that we define."""
    found = [each for file in files for each in yaml.safe_load_all(file.read_text("utf-8"))]
    return [each for each in found if each["kind"] in OURS]


WRITTEN = documents(*sorted(SPEC.glob("*.yaml")), PAYMENT_MODEL / "model.yaml")


@pytest.mark.parametrize("document", WRITTEN, ids=lambda each: each["metadata"]["name"])
def test_the_cluster_stores_a_resource_unchanged(defined: Namespace, document: dict[str, Any]) -> None:
    defined.kubectl("apply", "--validate=strict", "-f", "-", given=yaml.safe_dump(document))
    stored = yaml.safe_load(defined.kubectl("get", f"{document['kind']}/{document['metadata']['name']}", "-o", "yaml"))
    assert differences(document["spec"], stored["spec"]) == ()


REFUSED = {
    "an unknown field": ("payment-model-config", {"batchsize": 8}, "unknown field"),
    "a value out of range": ("payment-model-config", {"batchSize": 0}, "batchSize"),
    "a timeout that ends before the wait": ("payment-model-config", {"timeout": "1ms"}, "maxWaitTime"),
    "a revision under another name": ("payment-model-v1", {"modelName": "shop"}, "modelName"),
}


@pytest.mark.parametrize(("name", "invalid", "message"), REFUSED.values(), ids=REFUSED)
def test_the_cluster_refuses_the_same_errors_as_our_own_reader(
    defined: Namespace, name: str, invalid: dict[str, object], message: str
) -> None:
    document = copy.deepcopy(next(each for each in WRITTEN if each["metadata"]["name"] == name))
    document["spec"] |= invalid
    with pytest.raises(CommandFailed, match=message):
        defined.kubectl("apply", "--validate=strict", "--dry-run=server", "-f", "-", given=yaml.safe_dump(document))
