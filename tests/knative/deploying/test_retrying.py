"""The retry of a revision that failed before, and its readiness afterwards."""

import pytest

from knative.api.client import Answer
from knative.api.errors import Forbidden
from knative.deploying.errors import RevisionFailed
from knative.deploying.retrying import retry
from knative.deploying.waiting import wait
from knative.objects import Manifest, Ref
from tests.knative.fake_cluster import FakeCluster

REVISION = Ref("Revision", "m-v1")
FAILED = {"type": "Ready", "status": "False", "reason": "ExitCode1", "message": "no such object"}
ENDED = {"terminated": {"exitCode": 1, "message": "no such object"}}


def revision(*conditions: Manifest) -> Manifest:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": {"name": "m-v1", "generation": 1, "uid": "7", "resourceVersion": "1"},
        "status": {"observedGeneration": 1, "conditions": list(conditions)},
    }


def pod(name: str, state: Manifest) -> Manifest:
    return {
        "metadata": {"name": name, "labels": {"serving.knative.dev/revisionUID": "7"}},
        "status": {"containerStatuses": [{"name": "model", "state": state}]},
    }


class StillCluster(FakeCluster):
    """A cluster whose revision changes only when the test changes it."""

    def _set_ready(self, revision: Manifest) -> None:
        """Leave the revision unchanged."""


def cluster_with(*pods: Manifest) -> StillCluster:
    cluster = StillCluster()
    cluster.objects[REVISION] = revision(FAILED)
    cluster.pods = list(pods)
    return cluster


def test_failed_pods_are_deleted_with_their_reason_and_a_starting_pod_continues() -> None:
    cluster = cluster_with(pod("failed", ENDED), pod("starting", {"waiting": {"reason": "ContainerCreating"}}))
    lines: list[str] = []
    assert retry(cluster, revision(FAILED), lines.append) == FAILED
    assert [each["metadata"]["name"] for each in cluster.pods] == ["starting"]
    assert lines == [
        "revision/m-v1: failed before; retrying with a new pod (its container ended with exit code 1: no such object)"
    ]


def test_a_revision_that_is_starting_has_no_outdated_condition() -> None:
    assert retry(cluster_with(), revision(), print) == {}


def test_missing_permission_to_delete_pods_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, lines = cluster_with(pod("failed", ENDED)), list[str]()

    def refuse(ref: Ref, **_: object) -> bool:
        raise Forbidden("me", verb="delete", resource=ref.kind, group="", namespace="shop")

    monkeypatch.setattr(cluster, "delete", refuse)
    assert retry(cluster, revision(FAILED), lines.append) == {}
    assert lines[0].startswith("revision/m-v1: not retried: ")


@pytest.mark.parametrize("starts", [True, False])
def test_a_revision_that_was_scaled_to_zero_is_retried_by_a_request(*, starts: bool) -> None:
    class AtZero(StillCluster):
        def revision_get(self, revision: str, path: str, *, timeout: float) -> Answer:  # noqa: ARG002 - as in Cluster
            assert (revision, path) == ("m-v1", "/healthz/live")
            self.pods = [pod("new", {})] if starts else []
            return Answer(504, b"no answer in time")

    cluster, lines = AtZero(), list[str]()
    cluster.objects[REVISION] = revision(FAILED)
    outdated = retry(cluster, revision(FAILED), lines.append, sleep=lambda _: None)
    assert outdated == (FAILED if starts else {})
    assert ["retrying with a new pod" in each for each in lines] == [True] * starts


def test_an_outdated_condition_does_not_fail_the_new_pod() -> None:
    cluster, lines = cluster_with(pod("new", {"running": {}})), list[str]()

    def clock() -> float:
        if cluster.now > 20:  # longer than the failure timer
            cluster.objects[REVISION]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        return cluster.now

    wait(cluster, REVISION, seconds=60, tell=lines.append, outdated=FAILED, clock=clock, sleep=lambda _: None)
    assert len(lines) == 1
    assert "no such object" not in lines[0]


@pytest.mark.parametrize("state", [ENDED, None], ids=["the new pod fails too", "there is no pod"])
def test_a_retry_that_fails_ends_with_the_reason(state: Manifest | None) -> None:
    cluster = cluster_with(*([pod("new", state)] if state else []))
    with pytest.raises(RevisionFailed, match="no such object"):
        wait(cluster, REVISION, seconds=60, tell=print, outdated=FAILED, clock=cluster.clock, sleep=lambda _: None)
    assert cluster.now < 30
