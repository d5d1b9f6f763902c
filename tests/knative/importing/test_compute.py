"""The conversion of compute resources."""

from knative.importing.compute import compute_resources
from tests.knative.importing.deployments import one


def test_supported_values_of_the_deployment_are_kept() -> None:
    resources = {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    written, left = compute_resources(one(resources=resources))
    assert written == {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi", "concurrency": 0}}
    assert left == ()


def test_without_values_the_defaults_are_used() -> None:
    written, left = compute_resources(one())
    assert written["requests"] == {"cpu": "250m", "memory": "256Mi"}
    assert written["limits"] == {"cpu": "1", "memory": "512Mi", "concurrency": 0}
    assert left == ()


def test_unsupported_values_are_reported() -> None:
    limits = {"cpu": "0", "ephemeral-storage": "1Gi", "memory": "1e9", "nvidia.com/gpu": 1}
    written, left = compute_resources(one(resources={"limits": limits}))
    assert written["limits"] == {"cpu": "1", "memory": "512Mi", "concurrency": 0}
    assert [each.what for each in left] == [f"resources.limits {name}: {value}" for name, value in limits.items()]
