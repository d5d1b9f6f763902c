"""A container's share of a node is taken as it is, as far as func.yaml and the runtime know it."""

from knative.importing.compute import shares
from tests.knative.importing.deployments import one


def test_what_the_deployment_says_is_taken() -> None:
    resources = {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    written, left = shares(one(resources=resources))
    assert written == {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi", "concurrency": 0}}
    assert left == ()


def test_without_a_word_it_is_the_usual_share() -> None:
    written, left = shares(one())
    assert written["requests"] == {"cpu": "250m", "memory": "256Mi"}
    assert written["limits"] == {"cpu": "1", "memory": "512Mi", "concurrency": 0}
    assert left == ()


def test_what_cannot_be_taken_is_told() -> None:
    limits = {"cpu": "0", "ephemeral-storage": "1Gi", "memory": "1e9", "nvidia.com/gpu": 1}
    written, left = shares(one(resources={"limits": limits}))
    assert written["limits"] == {"cpu": "1", "memory": "512Mi", "concurrency": 0}
    assert [each.what for each in left] == [f"resources.limits {name}: {value}" for name, value in limits.items()]
