"""The reason of a failed revision, from the status of its pods and from the runtime in them."""

import json

import pytest

from knative.api.client import Answer
from knative.api.errors import Forbidden
from knative.deploying.explain import combined_readiness, failure, last_lines, pods_of, readable, runtime_reason
from knative.deploying.readiness import Failed, Pending, Ready
from knative.objects import Manifest
from tests.knative.fake_cluster import FakeCluster

REVISION = {"metadata": {"name": "m-v1", "uid": "7"}}
NO_STORE = "s3://models/m.onnx: the store cannot be reached"
UNREACHABLE = {"code": "store_unreachable", "message": NO_STORE, "details": {}}
LOADING = {"code": "loading", "message": "the model is being loaded", "details": {}}


def body(**parts: object) -> bytes:
    return json.dumps({"status": "not ready", **parts}).encode()


def pod(name: str = "p", *, uid: str = "7", status: Manifest | None = None, **metadata: object) -> Manifest:
    return {
        "metadata": {"name": name, "labels": {"serving.knative.dev/revisionUID": uid}, **metadata},
        "status": {"phase": "Running"} if status is None else status,
    }


def state(**state: Manifest) -> Manifest:
    return {"containerStatuses": [{"name": "model", "state": state}]}


class Restricted(FakeCluster):
    """A cluster that allows to list pods and forbids to send them requests."""

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:  # noqa: ARG002 - the signature of the base class
        raise Forbidden("ann", verb="get", resource="pods/proxy", group="", namespace="n")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(body(models={"m": UNREACHABLE}), NO_STORE, id="a model"),
        pytest.param(body(models={"m": LOADING}), None, id="a model that is loading"),
        pytest.param(
            body(models={"m": UNREACHABLE}, function={"code": "function_failed", "message": "no main.py"}),
            f"{NO_STORE}; no main.py",
            id="a model and the function",
        ),
        pytest.param(body(models={}), None, id="no model"),
        pytest.param(b"upstream connect error", None, id="not JSON"),
        pytest.param(b"[]", None, id="a JSON array"),
        pytest.param(b'{"models": {"m": {}}}', None, id="a model without an error"),
        pytest.param(b'{"models": []}', None, id="models as an array"),
    ],
)
def test_the_reason_of_the_runtime_is_read_from_its_readiness_answer(answer: bytes, expected: str | None) -> None:
    assert runtime_reason(answer) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"level": "ERROR", "message": "model not loaded", "reason": "no such object"}', None),
        ('{"message": "started"}', "INFO started"),
        ('{"msg": "of another program"}', '{"msg": "of another program"}'),
        ("[1]", "[1]"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
    ],
)
def test_a_json_log_line_becomes_level_message_and_reason(line: str, expected: str | None) -> None:
    assert readable(line) == (expected or "ERROR model not loaded: no such object")


def test_pods_of_an_earlier_revision_with_the_same_name_are_ignored() -> None:
    cluster = FakeCluster()
    cluster.pods = [pod("old", uid="6"), pod("ending", deletionTimestamp="2026-11-23T00:00:00Z"), pod("new")]
    assert [each["metadata"]["name"] for each in pods_of(cluster, REVISION)] == ["new"]


def test_the_pods_of_a_deployment_are_those_of_its_current_template() -> None:
    cluster = FakeCluster()
    labels = {"app": "m", "track": "new"}
    cluster.pods = [pod("old", labels={"app": "m", "track": "old"}), pod("new", labels=labels)]
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["m"]}]}
    owner = {"kind": "Deployment", "spec": {"selector": selector, "template": {"metadata": {"labels": labels}}}}
    assert [each["metadata"]["name"] for each in pods_of(cluster, owner)] == ["new"]


def test_a_failed_pod_takes_precedence_over_a_pending_one() -> None:
    cluster = FakeCluster()
    cluster.answers = {"p": Answer(503, body(models={"m": UNREACHABLE}))}
    failing = pod(status=state(terminated={"exitCode": 2}))
    ready = pod(status={"conditions": [{"type": "Ready", "status": "True"}]})
    assert combined_readiness(cluster, [pod(), failing]) == Failed("its container ended with exit code 2")
    assert combined_readiness(cluster, [ready, pod()]) == Pending(NO_STORE)
    assert combined_readiness(cluster, [ready]) == Ready()
    assert combined_readiness(cluster, []) is None


def test_without_access_to_the_runtime_the_status_of_the_pod_is_used() -> None:
    assert combined_readiness(Restricted(), [pod()]) == Pending("waiting for its pod to start")


@pytest.mark.parametrize(
    ("pods", "reason", "expected"),
    [
        pytest.param([], "too late", "too late", id="no pods"),
        pytest.param(
            [pod(status=state(terminated={"exitCode": 2}))],
            "its container ended with exit code 2: and why",
            "its container ended with exit code 2: and why",
            id="the reason contains the pod's",
        ),
        pytest.param(
            [pod(status=state(terminated={"exitCode": 2, "message": "and why"}))],
            "exit code 2",
            "its container ended with exit code 2: and why",
            id="the pod's reason contains it",
        ),
        pytest.param([pod()], "too late", "too late", id="the pod is only pending"),
    ],
)
def test_the_reasons_of_knative_and_of_the_pods_are_merged(pods: list[Manifest], reason: str, expected: str) -> None:
    cluster = FakeCluster()
    cluster.pods = pods
    assert str(failure(cluster, REVISION, reason)) == f"revision m-v1 failed: {expected}"


def test_an_oom_kill_is_reported_also_after_the_container_restarted() -> None:
    cluster = FakeCluster()
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    restarted = {"name": "model", "ready": False, "state": {"running": {}}, "lastState": killed}
    cluster.pods = [{**pod(), "status": {"phase": "Running", "containerStatuses": [restarted]}}]
    assert str(failure(cluster, REVISION, "its container ended with exit code 137")) == (
        "revision m-v1 failed: its container ended with exit code 137: it used more memory than its limit"
    )


def test_without_permission_to_list_pods_the_reason_of_knative_is_used() -> None:
    class WithoutPods(FakeCluster):
        def list(self, *_: object, **__: object) -> list[Manifest]:
            raise Forbidden("ann", verb="list", resource="pods", group="", namespace="n")

    assert str(failure(WithoutPods(), REVISION, "too late")) == "revision m-v1 failed: too late"


def test_the_log_is_that_of_the_previous_run_or_of_the_current_one() -> None:
    class Logs(FakeCluster):
        def logs(self, pod: str, *, container: str, lines: int, previous: bool = False) -> str:
            return f"{container} before" if previous and pod == "p" else f"{container} now\n{lines} lines at most"

    ended = {"containerStatuses": [{"name": "model", "lastState": {"terminated": {"exitCode": 1}}}]}
    named = {"kubectl.kubernetes.io/default-container": "user-container"}
    assert last_lines(Logs(), pod(status=ended)) == ("model before",)
    assert last_lines(Logs(), pod(annotations=named)) == ("user-container now", "8 lines at most")
    assert last_lines(FakeCluster(), pod(status=ended)) == ()
