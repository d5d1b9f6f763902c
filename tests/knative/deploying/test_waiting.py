"""How long something is waited for, and when a failure is one."""

import pytest

from knative.api.errors import ClusterUnreachable
from knative.deploying.errors import NotReadyInTime, ObjectFailed, RevisionFailed
from knative.deploying.readiness import Failed, Pending, Ready
from knative.deploying.waiting import Patience, wait
from knative.objects import Manifest, Ref
from tests.knative.fake_cluster import FakeCluster

REVISION = Ref("Revision", "m-v1")
POD = {"metadata": {"name": "p", "labels": {"serving.knative.dev/revisionUID": "7"}}}


def revision(*, generation: int = 1) -> Manifest:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": {"name": "m-v1", "generation": generation, "uid": "7", "resourceVersion": "1"},
        "status": {"observedGeneration": 1},
    }


def waited(cluster: FakeCluster, ref: Ref = REVISION, *, owner: str | None = None) -> list[str]:
    said: list[str] = []
    wait(cluster, ref, seconds=60, tell=said.append, owner=owner, clock=cluster.clock, sleep=lambda _: None)
    return said


def holding(manifest: Manifest, *, broken: str | None = None) -> FakeCluster:
    cluster = FakeCluster({"m-v1": broken} if broken else {})
    cluster.objects[Ref(manifest["kind"], manifest["metadata"]["name"])] = manifest
    return cluster


def test_a_failure_is_one_when_it_lasts() -> None:
    patience, failed = Patience(), Failed("it ended")
    assert not patience.is_over(failed, 0.0)
    assert not patience.is_over(failed, 5.9)
    assert patience.is_over(failed, 6.0)


def test_what_comes_up_again_has_not_failed() -> None:
    patience, failed = Patience(), Failed("it ended")
    assert not patience.is_over(failed, 0.0)
    assert not patience.is_over(Pending("its pod is started"), 5.0)
    assert not patience.is_over(failed, 8.0)
    assert not patience.is_over(Ready(), 9.0)


def test_each_thing_that_is_waited_for_is_said_once() -> None:
    assert waited(holding(revision())) == ["revision/m-v1: Knative has not looked at it yet"]


def test_an_api_server_that_is_started_anew_is_waited_for() -> None:
    cluster = holding(revision())
    said: list[str] = []

    def interrupt(line: str) -> None:
        said.append(line)
        cluster.interruptions = 2

    wait(cluster, REVISION, seconds=60, tell=interrupt, clock=cluster.clock, sleep=lambda _: None)
    assert said == ["revision/m-v1: Knative has not looked at it yet"]


def test_a_cluster_that_was_never_reached_is_not_waited_for() -> None:
    cluster = holding(revision())
    cluster.interruptions = 1
    with pytest.raises(ClusterUnreachable):
        waited(cluster)


def test_a_pod_that_cannot_start_fails_its_revision_before_knative_says_so() -> None:
    cluster = holding(revision(generation=2))
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}
    cluster.pods = [{**POD, "status": {"containerStatuses": [{"name": "model", "state": {"waiting": waiting}}]}}]
    with pytest.raises(RevisionFailed, match=r'm-v1 failed: CreateContainerConfigError: secret "s" not found$'):
        waited(cluster)


def test_a_revision_that_failed_is_touched_so_that_knative_looks_at_its_pods_too() -> None:
    cluster = holding(revision(generation=2))
    state = {"terminated": {"exitCode": 1, "message": "it is no model"}}
    cluster.pods = [{**POD, "status": {"containerStatuses": [{"name": "model", "state": state}]}}]
    with pytest.raises(RevisionFailed):
        waited(cluster)
    assert [ref for ref, _ in cluster.applied] == [REVISION]
    assert cluster.objects[REVISION]["metadata"]["annotations"] == {"scalezero.dev/looked-at": "1"}


def test_a_knative_that_sees_nothing_is_asked_a_few_times_and_no_more() -> None:
    cluster = holding(revision(generation=2))
    cluster.looks_at_pods = False
    state = {"terminated": {"exitCode": 1, "message": "it is no model"}}
    cluster.pods = [{**POD, "status": {"containerStatuses": [{"name": "model", "state": state}]}}]
    with pytest.raises(RevisionFailed):
        waited(cluster)
    assert [ref for ref, _ in cluster.applied] == [REVISION] * 5


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
        waited(cluster, ref)


def test_a_service_tells_why_its_revision_is_not_made() -> None:
    refused = {
        "type": "ConfigurationsReady",
        "status": "False",
        "reason": "RevisionCreationFailed",
        "message": "Quota.",
    }
    cluster = FakeCluster()
    cluster.objects[Ref("Service", "m")] = {"kind": "Service", "status": {"conditions": [refused]}}
    with pytest.raises(RevisionFailed, match=r"revision m-v1 failed: Quota\.$"):
        waited(cluster, owner="m")


@pytest.mark.parametrize("owner", [None, "m"])
def test_what_never_comes_is_told_after_its_time(owner: str | None) -> None:
    with pytest.raises(NotReadyInTime, match="revision/m-v1 is not Ready after 60 s: it is being made"):
        waited(FakeCluster(), owner=owner)


def test_no_time_at_all_is_told_too() -> None:
    with pytest.raises(NotReadyInTime, match="after 0 s: nothing is known of it"):
        wait(FakeCluster(), REVISION, seconds=0, tell=lambda _: None)


def test_a_route_that_fails_is_told_by_its_own_name() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "RevisionMissing", "message": "m-v9 is not there."}
    route = {**revision(), "kind": "Route", "status": {"observedGeneration": 1, "conditions": [condition]}}
    with pytest.raises(ObjectFailed, match=r"route/m-v1 failed: RevisionMissing: m-v9 is not there\.$"):
        waited(holding(route), Ref("Route", "m-v1"))
