"""Why a revision does not come up, in the words of its pods and of the runtime in them."""

import json

import pytest

from knative.api.client import Answer
from knative.api.errors import Forbidden
from knative.deploying.explain import failure, last_lines, pods_of, pods_readiness, readable, told_by_runtime
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
    """A cluster where pods may be listed, and not asked."""

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:  # noqa: ARG002 - as the real
        raise Forbidden("somebody", verb="get", resource="pods/proxy", group="", namespace="n")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(body(models={"m": UNREACHABLE}), NO_STORE, id="a model"),
        pytest.param(body(models={"m": LOADING}), None, id="a model that takes its time"),
        pytest.param(
            body(models={"m": UNREACHABLE}, function={"code": "function_failed", "message": "no main.py"}),
            f"{NO_STORE}; no main.py",
            id="a model and the function",
        ),
        pytest.param(body(models={}), None, id="nothing"),
        pytest.param(b"upstream connect error", None, id="another process"),
        pytest.param(b"[]", None, id="other JSON"),
        pytest.param(b'{"models": {"m": {}}}', None, id="half of it"),
        pytest.param(b'{"models": []}', None, id="of another shape"),
    ],
)
def test_the_runtime_says_why_it_is_not_ready(answer: bytes, told: str | None) -> None:
    assert told_by_runtime(answer) == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"level": "ERROR", "message": "model not loaded", "reason": "no such object"}', None),
        ('{"message": "started"}', "INFO started"),
        ('{"msg": "of another program"}', '{"msg": "of another program"}'),
        ("[1]", "[1]"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
    ],
)
def test_a_line_of_json_is_told_as_a_sentence(line: str, told: str | None) -> None:
    assert readable(line) == (told or "ERROR model not loaded: no such object")


def test_the_pods_of_an_earlier_revision_of_that_name_do_not_speak_for_it() -> None:
    cluster = FakeCluster()
    cluster.pods = [pod("old", uid="6"), pod("ending", deletionTimestamp="2026-11-23T00:00:00Z"), pod("new")]
    assert [each["metadata"]["name"] for each in pods_of(cluster, REVISION)] == ["new"]


def test_a_deployment_is_spoken_for_by_the_pods_of_its_present_template() -> None:
    cluster = FakeCluster()
    labels = {"app": "m", "track": "new"}
    cluster.pods = [pod("old", labels={"app": "m", "track": "old"}), pod("new", labels=labels)]
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["m"]}]}
    owner = {"kind": "Deployment", "spec": {"selector": selector, "template": {"metadata": {"labels": labels}}}}
    assert [each["metadata"]["name"] for each in pods_of(cluster, owner)] == ["new"]


def test_a_pod_that_fails_speaks_before_one_that_waits() -> None:
    cluster = FakeCluster()
    cluster.answers = {"p": Answer(503, body(models={"m": UNREACHABLE}))}
    failing = pod(status=state(terminated={"exitCode": 2}))
    up = pod(status={"conditions": [{"type": "Ready", "status": "True"}]})
    assert pods_readiness(cluster, [pod(), failing]) == Failed("its container ended with exit code 2")
    assert pods_readiness(cluster, [up, pod()]) == Pending(NO_STORE)
    assert pods_readiness(cluster, [up]) == Ready()
    assert pods_readiness(cluster, []) is None


def test_a_runtime_that_may_not_be_asked_leaves_the_pods_word() -> None:
    assert pods_readiness(Restricted(), [pod()]) == Pending("its pod is started")


@pytest.mark.parametrize(
    ("pods", "reason", "told"),
    [
        pytest.param([], "too late", "too late", id="no pods"),
        pytest.param(
            [pod(status=state(terminated={"exitCode": 2}))],
            "its container ended with exit code 2: and why",
            "its container ended with exit code 2: and why",
            id="the reason is the longer one",
        ),
        pytest.param(
            [pod(status=state(terminated={"exitCode": 2, "message": "and why"}))],
            "exit code 2",
            "its container ended with exit code 2: and why",
            id="the pods know more of the same",
        ),
        pytest.param([pod()], "too late", "too late; its pod is started", id="the pods know something else"),
    ],
)
def test_what_knative_says_and_what_the_pods_say_become_one_reason(
    pods: list[Manifest], reason: str, told: str
) -> None:
    cluster = FakeCluster()
    cluster.pods = pods
    assert str(failure(cluster, REVISION, reason)) == f"revision m-v1 failed: {told}"


def test_an_oom_kill_is_reported_also_while_the_container_runs_again() -> None:
    cluster = FakeCluster()
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    again = {"name": "model", "ready": False, "state": {"running": {}}, "lastState": killed}
    cluster.pods = [{**pod(), "status": {"phase": "Running", "containerStatuses": [again]}}]
    assert str(failure(cluster, REVISION, "its container ended with exit code 137")) == (
        "revision m-v1 failed: its container ended with exit code 137: it needed more memory than its limit"
    )


def test_without_the_right_to_see_pods_knatives_reason_is_told() -> None:
    class Blind(FakeCluster):
        def list(self, *_: object, **__: object) -> list[Manifest]:
            raise Forbidden("somebody", verb="list", resource="pods", group="", namespace="n")

    assert str(failure(Blind(), REVISION, "too late")) == "revision m-v1 failed: too late"


def test_the_log_is_that_of_the_run_that_ended_or_else_of_this_one() -> None:
    class Logs(FakeCluster):
        def logs(self, pod: str, *, container: str, lines: int, previous: bool = False) -> str:
            return f"{container} before" if previous and pod == "p" else f"{container} now\n{lines} lines at most"

    ended = {"containerStatuses": [{"name": "model", "lastState": {"terminated": {"exitCode": 1}}}]}
    named = {"kubectl.kubernetes.io/default-container": "user-container"}
    assert last_lines(Logs(), pod(status=ended)) == ("model before",)
    assert last_lines(Logs(), pod(annotations=named)) == ("user-container now", "8 lines at most")
    assert last_lines(FakeCluster(), pod(status=ended)) == ()
