"""The effect of the options of func.yaml on the template of a revision."""

from typing import Any

import pytest

from knative.manifests import ClusterVariable, DeploymentOptions, Volume, desired
from knative.manifests.names import METRIC, TARGET, UTILIZATION
from tests.knative.documents import read, version
from tests.knative.manifests.admission import violations


def service(**options: Any) -> dict[str, Any]:  # noqa: ANN401 - any option
    steps = desired(read(version("m-v1", "m")), DeploymentOptions(image="a:1", **options))
    manifest: dict[str, Any] = next(step.manifest for step in steps if step.manifest["kind"] == "Service")
    return manifest


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


def test_volumes_are_mounted_and_only_an_empty_folder_is_writable() -> None:
    manifest = service(
        volumes=(
            Volume("/a", "secret", "keys"),
            Volume("/b", "configMap", "labels"),
            Volume("/c", "emptyDir", size_limit="1024Ki", medium="Memory"),
            Volume("/d", "emptyDir"),
        )
    )
    spec = manifest["spec"]["template"]["spec"]
    own = [each for each in spec["volumes"] if each["name"].startswith("volume-")]
    assert own == [
        {"name": "volume-0", "secret": {"secretName": "keys"}},
        {"name": "volume-1", "configMap": {"name": "labels"}},
        {"name": "volume-2", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "volume-3", "emptyDir": {}},
    ]
    assert [each for each in spec["containers"][0]["volumeMounts"] if each["name"].startswith("volume-")] == [
        {"name": "volume-0", "mountPath": "/a", "readOnly": True},
        {"name": "volume-1", "mountPath": "/b", "readOnly": True},
        {"name": "volume-2", "mountPath": "/c"},
        {"name": "volume-3", "mountPath": "/d"},
    ]
    assert violations(manifest) == []


@pytest.mark.parametrize(
    ("options", "metric", "target", "utilization"),
    [
        ({}, "concurrency", "64", "70"),
        ({"target": 10.0, "utilization": 55.5}, "concurrency", "10", "55.5"),
        ({"metric": "rps"}, "rps", None, "70"),
        ({"metric": "rps", "target": 200.0}, "rps", "200", "70"),
    ],
)
def test_a_revision_scales_by_the_declared_target_or_by_its_batch_size(
    options: dict[str, Any], metric: str, target: str | None, utilization: str
) -> None:
    annotations = service(**options)["spec"]["template"]["metadata"]["annotations"]
    assert (annotations[METRIC], annotations.get(TARGET), annotations[UTILIZATION]) == (metric, target, utilization)


def test_labels_and_annotations_go_to_the_service_and_its_revisions() -> None:
    autoscaling = "autoscaling.knative.dev/window"  # Knative refuses it on a Service
    result = service(labels={"team": "risk"}, annotations={"owner": "me", autoscaling: "60s"})
    template = result["spec"]["template"]["metadata"]
    assert result["metadata"]["labels"]["team"] == template["labels"]["team"] == "risk"
    assert result["metadata"]["annotations"] == {"owner": "me"}
    assert (template["annotations"]["owner"], template["annotations"][autoscaling]) == ("me", "60s")
    assert "annotations" not in service()["metadata"]
