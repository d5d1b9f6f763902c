"""How long an apply waits for an object, and when it reports a failure."""

import pytest

from knative.api.errors import ClusterUnreachable
from knative.deploying.errors import NotReadyInTime, ObjectFailed, RevisionFailed
from knative.deploying.readiness import Failed, Pending, Ready
from knative.deploying.waiting import FailureTimer, wait
from knative.objects import Manifest, Ref
from tests.knative.fake_cluster import FakeCluster

REVISION, DEPLOYMENT = Ref("Revision", "m-v1"), Ref("Deployment", "m-v1-deployment")
POD = {"metadata": {"name": "p", "labels": {"serving.knative.dev/revisionUID": "7"}}}


def revision(*, generation: int = 1) -> Manifest:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": {"name": "m-v1", "generation": generation, "uid": "7", "resourceVersion": "1"},
        "status": {"observedGeneration": 1},
    }


def wait_for(cluster: FakeCluster, ref: Ref = REVISION, *, owner: str | None = None) -> list[str]:
    lines: list[str] = []
    wait(cluster, ref, seconds=60, tell=lines.append, owner=owner, clock=cluster.clock, sleep=lambda _: None)
    return lines


def cluster_with(manifest: Manifest, *, broken: str | None = None) -> FakeCluster:
    cluster = FakeCluster({"m-v1": broken} if broken else {})
    cluster.objects[Ref(manifest["kind"], manifest["metadata"]["name"])] = manifest
    return cluster


def test_a_failure_is_reported_after_it_has_lasted_6_s() -> None:
    timer, failed = FailureTimer(), Failed("it ended")
    assert not timer.is_over(failed, 0.0)
    assert not timer.is_over(failed, 5.9)
    assert timer.is_over(failed, 6.0)


def test_an_object_that_recovers_resets_the_failure_timer() -> None:
    timer, failed = FailureTimer(), Failed("it ended")
    assert not timer.is_over(failed, 0.0)
    assert not timer.is_over(Pending("waiting for its pod to start"), 5.0)
    assert not timer.is_over(failed, 8.0)
    assert not timer.is_over(Ready(), 9.0)


def test_each_state_is_reported_once() -> None:
    assert wait_for(cluster_with(revision())) == ["revision/m-v1: waiting for Knative to reconcile it"]


def test_a_restart_of_the_api_server_does_not_end_the_wait() -> None:
    cluster = cluster_with(revision())
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        cluster.interruptions = 2

    wait(cluster, REVISION, seconds=60, tell=interrupt, clock=cluster.clock, sleep=lambda _: None)
    assert lines == ["revision/m-v1: waiting for Knative to reconcile it"]


def test_a_cluster_that_cannot_be_reached_at_first_is_an_error() -> None:
    cluster = cluster_with(revision())
    cluster.interruptions = 1
    with pytest.raises(ClusterUnreachable):
        wait_for(cluster)


def test_a_pod_that_cannot_start_fails_its_revision_before_knative_reports_it() -> None:
    cluster = cluster_with(revision(generation=2))
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}
    cluster.pods = [{**POD, "status": {"containerStatuses": [{"name": "model", "state": {"waiting": waiting}}]}}]
    with pytest.raises(RevisionFailed, match=r'm-v1 failed: CreateContainerConfigError: secret "s" not found$'):
        wait_for(cluster)


def with_deployment(cluster: FakeCluster) -> FakeCluster:
    """Add the Deployment that Knative created for the revision."""
    labels = {"serving.knative.dev/revision": "m-v1", "serving.knative.dev/revisionUID": "7"}
    metadata = {"name": DEPLOYMENT.name, "generation": 1, "labels": labels, "resourceVersion": "5"}
    cluster.objects[DEPLOYMENT] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {}}
    return cluster


def test_after_a_failure_a_reconciliation_is_requested_without_another_pod() -> None:
    """Knative copies the annotations of a revision to its pods, so the revision itself must not change."""
    cluster = with_deployment(cluster_with(revision(generation=2)))
    state = {"terminated": {"exitCode": 1, "message": "invalid model"}}
    cluster.pods = [{**POD, "status": {"containerStatuses": [{"name": "model", "state": state}]}}]
    with pytest.raises(RevisionFailed):
        wait_for(cluster)
    assert [ref for ref, _ in cluster.applied] == [DEPLOYMENT]
    assert cluster.objects[DEPLOYMENT]["metadata"]["annotations"] == {"scalezero.dev/reconcile-requested": "5"}


def test_the_reconciliation_is_requested_at_most_five_times() -> None:
    cluster = with_deployment(cluster_with(revision(generation=2)))
    cluster.reads_pods = False
    state = {"terminated": {"exitCode": 1, "message": "invalid model"}}
    cluster.pods = [{**POD, "status": {"containerStatuses": [{"name": "model", "state": state}]}}]
    with pytest.raises(RevisionFailed):
        wait_for(cluster)
    assert [ref for ref, _ in cluster.applied] == [DEPLOYMENT] * 5


def test_a_pod_that_cannot_start_fails_its_deployment_too() -> None:
    ref, labels = Ref("Deployment", "m"), {"app.kubernetes.io/name": "m"}
    waiting = {"reason": "ErrImagePull", "message": "no such image"}
    cluster = FakeCluster()
    cluster.objects[ref] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "m", "generation": 1},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
        "status": {"observedGeneration": 1},
    }
    status = {"containerStatuses": [{"name": "server", "state": {"waiting": waiting}}]}
    cluster.pods = [{"metadata": {"name": "p", "labels": labels}, "status": status}]
    with pytest.raises(ObjectFailed, match=r"deployment/m failed: ErrImagePull: no such image$"):
        wait_for(cluster, ref)


def test_a_revision_that_was_not_created_has_the_reason_of_its_service() -> None:
    refused = {
        "type": "ConfigurationsReady",
        "status": "False",
        "reason": "RevisionCreationFailed",
        "message": "Quota.",
    }
    cluster = FakeCluster()
    cluster.objects[Ref("Service", "m")] = {"kind": "Service", "status": {"conditions": [refused]}}
    with pytest.raises(RevisionFailed, match=r"revision m-v1 failed: Quota\.$"):
        wait_for(cluster, owner="m")


@pytest.mark.parametrize("owner", [None, "m"])
def test_an_object_that_is_never_created_ends_in_a_timeout(owner: str | None) -> None:
    with pytest.raises(NotReadyInTime, match="revision/m-v1 is not Ready after 60 s: waiting for Knative to create it"):
        wait_for(FakeCluster(), owner=owner)


def test_a_timeout_of_0_s_is_an_error_without_a_state() -> None:
    with pytest.raises(NotReadyInTime, match="after 0 s: its state is unknown"):
        wait(FakeCluster(), REVISION, seconds=0, tell=lambda _: None)


def test_a_failed_route_is_reported_by_its_name() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "RevisionMissing", "message": "m-v9 is not there."}
    route = {**revision(), "kind": "Route", "status": {"observedGeneration": 1, "conditions": [condition]}}
    with pytest.raises(ObjectFailed, match=r"route/m-v1 failed: RevisionMissing: m-v9 is not there\.$"):
        wait_for(cluster_with(route), Ref("Route", "m-v1"))
