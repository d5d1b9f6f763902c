"""The template of a revision, as the options of func.yaml shape it."""

from typing import Any

import pytest

from knative.manifests import ClusterVariable, DeploymentOptions, desired
from knative.manifests.names import METRIC, TARGET, UTILIZATION
from tests.knative.manifests.test_steps import read, version


def service(**options: Any) -> dict[str, Any]:  # noqa: ANN401 - of any option's type
    steps = desired(read(version("m-v1", "m")), DeploymentOptions(image="a:1", **options))
    found: dict[str, Any] = next(step.manifest for step in steps if step.manifest["kind"] == "Service")
    return found


def test_variables_of_secrets_and_configmaps_are_references() -> None:
    variables = (
        ClusterVariable("KEY", "secret", "keys", "key"),
        ClusterVariable("TEAM", "configMap", "teams", "team"),
        ClusterVariable(None, "secret", "all"),
        ClusterVariable(None, "configMap", "more"),
    )
    (container,) = service(cluster_environment=variables)["spec"]["template"]["spec"]["containers"]
    by_name = {each["name"]: each for each in container["env"]}
    assert by_name["KEY"] == {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}}
    assert by_name["TEAM"] == {"name": "TEAM", "valueFrom": {"configMapKeyRef": {"name": "teams", "key": "team"}}}
    assert container["envFrom"] == [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "more"}}]
    assert "envFrom" not in service()["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("options", "metric", "target", "utilization"),
    [
        ({}, "concurrency", "64", "70"),
        ({"target": 10.0, "utilization": 55.5}, "concurrency", "10", "55.5"),
        ({"metric": "rps"}, "rps", None, "70"),
        ({"metric": "rps", "target": 200.0}, "rps", "200", "70"),
    ],
)
def test_a_revision_scales_by_what_is_declared_and_else_by_its_batches(
    options: dict[str, Any], metric: str, target: str | None, utilization: str
) -> None:
    annotations = service(**options)["spec"]["template"]["metadata"]["annotations"]
    assert (annotations[METRIC], annotations.get(TARGET), annotations[UTILIZATION]) == (metric, target, utilization)


def test_labels_and_annotations_go_to_the_service_and_its_revisions() -> None:
    autoscaling = "autoscaling.knative.dev/window"  # Knative refuses it on a Service
    made = service(labels={"team": "risk"}, annotations={"owner": "me", autoscaling: "60s"})
    template = made["spec"]["template"]["metadata"]
    assert made["metadata"]["labels"]["team"] == template["labels"]["team"] == "risk"
    assert made["metadata"]["annotations"] == {"owner": "me"}
    assert (template["annotations"]["owner"], template["annotations"][autoscaling]) == ("me", "60s")
    assert "annotations" not in service()["metadata"]
