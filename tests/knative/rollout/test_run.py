"""The loop of a rollout: races, interruptions, and what it writes."""

from dataclasses import replace

import pytest

from knative.api.errors import ClusterError, ClusterUnreachable, Forbidden, RefusedByCluster
from knative.deploying.errors import NoService
from knative.objects import REVISION_LABEL
from knative.rollout.errors import NoRollout, RevisionNotReady, SplitChanged, TakenOver
from knative.rollout.judgement import Limits
from knative.rollout.machine import State, StepVerdict
from knative.rollout.reading import live_split
from knative.rollout.record import ANNOTATION, parse, render
from knative.rollout.run import Progress, Rollout
from tests.knative.rollout.cluster import OWNED_BY_THE_ROLLOUT, OneServiceCluster
from tests.knative.rollout.manifests import pod, revision, target
from tests.knative.rollout.test_effects import http_server

LIMITS = Limits(interval=10, timeout=60)


class Command:
    """A run of the command. Its clock advances when it sleeps, and it records its events."""

    def __init__(self, cluster: OneServiceCluster, model: str = "m") -> None:
        self.now = 1000.0
        self.events: list[Progress] = []
        self.rollout = Rollout(cluster, model, say=self.events.append, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds or 0.1

    def plan(self, revision: str = "v2", *, steps: tuple[int, ...] | None = (50, 100), adopt: bool = False) -> State:
        return self.rollout.plan(revision, steps=steps, limits=LIMITS, adopt=adopt)

    def run(self) -> State:
        return self.rollout.run(self.plan())

    @property
    def verbs(self) -> list[str]:
        return [each.verb for each in self.events]


def test_each_write_is_a_split_and_its_record() -> None:
    cluster = OneServiceCluster()
    state = Command(cluster).run()
    assert state.phase == "done"
    assert [dict(live_split({**cluster.live, "spec": each["spec"]})) for each in cluster.applied] == [
        {"m-v1": 100},
        {"m-v1": 50, "m-v2": 50},
        {"m-v2": 100},
        {"m-v2": 100},
    ]
    assert parse(cluster.record) == replace(state, limits=Limits(), since=round(state.since, 3))
    assert cluster.live["spec"]["traffic"] == [target("m-v1", 0, tag="v1"), target("m-v2", 100, tag="v2")]


def test_a_pod_is_started_before_the_first_shift() -> None:
    cluster = OneServiceCluster(pods=0)
    command = Command(cluster)
    command.run()
    assert cluster.wake_requests == 1
    assert command.verbs[:2] == ["warm", "shift"]


def test_after_a_change_by_another_writer_the_decision_is_repeated() -> None:
    """At the claim and at a shift: a controller writes the status, kn renames a tag. The tag is kept."""
    cluster = OneServiceCluster()
    cluster.before_apply = [
        cluster.touch,
        lambda: None,
        lambda: cluster.touch([target("m-v1", 100, tag="renamed"), target("m-v2", 0, tag="v2")]),
    ]
    assert Command(cluster).run().phase == "done"
    assert cluster.live["spec"]["traffic"][0] == target("m-v1", 0, tag="renamed")


def test_a_split_that_changes_before_the_write_is_kept() -> None:
    cluster = OneServiceCluster()
    other_traffic = [target("m-v1", 15), target("m-v2", 85)]
    cluster.before_apply = [lambda: None, lambda: cluster.touch(other_traffic)]
    state = Command(cluster).run()
    assert state.phase == "halted"
    assert "spec" not in cluster.applied[-1]  # only the record
    assert cluster.live["spec"]["traffic"] == other_traffic


def test_a_split_that_changes_before_the_claim_is_kept() -> None:
    cluster = OneServiceCluster()
    command = Command(cluster)
    state = command.plan()
    cluster.touch([target("m-v1", 15), target("m-v2", 85)])
    with pytest.raises(SplitChanged, match=r"kn \(user admin\) changed the split of m to 15 % m-v1, 85 % m-v2"):
        command.rollout.run(state)
    assert cluster.applied == []


def test_a_command_stops_when_another_one_has_claimed_the_rollout() -> None:
    cluster = OneServiceCluster()
    first, second = Command(cluster), Command(cluster)
    state = first.plan()

    def overtake() -> None:
        second.rollout.run(second.plan())

    cluster.before_apply = [lambda: None, overtake]
    with pytest.raises(TakenOver, match="done at 100 % m-v2"):
        first.rollout.run(state)
    assert second.verbs[-1] == "finish"


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(ClusterUnreachable("https://cluster.test", "refused"), id="unreachable"),
        pytest.param(RefusedByCluster("service/m", "etcdserver: leader changed", status=500), id="server error"),
    ],
)
@pytest.mark.parametrize("write", [2, 4])
def test_a_temporary_failure_of_the_cluster_does_not_end_the_command(write: int, failure: ClusterError) -> None:
    """After the first shift, and after the last write, during the wait for the Route."""
    cluster = OneServiceCluster()
    cluster.failure = failure
    command = Command(cluster)
    state = command.plan()
    cluster.before_apply = [*(lambda: None for _ in range(write - 1)), lambda: setattr(cluster, "failing_reads", 5)]
    assert command.rollout.run(state).phase == "done"
    assert not cluster.failing_reads


def test_a_permanent_error_of_the_cluster_ends_the_command() -> None:
    cluster = OneServiceCluster()
    cluster.failure = RefusedByCluster("service/m", "no such field", status=422)
    command = Command(cluster)
    state = command.plan()
    cluster.before_apply = [lambda: None, lambda: setattr(cluster, "failing_reads", 5)]
    with pytest.raises(RefusedByCluster):
        command.rollout.run(state)
    assert cluster.failing_reads == 4


@pytest.mark.parametrize("write", [2, 3, 4])
def test_a_write_whose_response_is_lost_is_not_repeated(write: int) -> None:
    cluster = OneServiceCluster()
    cluster.lost_responses = {write}
    command = Command(cluster)
    assert command.run().phase == "done"
    assert [verb for verb in command.verbs if verb != "wait"] == ["shift", "shift", "finish"]
    assert len(cluster.applied) == 4
    assert [each.verdict for each in command.events if each.verb != "wait"] == [
        None,
        StepVerdict(50, 0, 20),
        StepVerdict(100, 0, 20),
    ]


def test_a_cluster_that_stays_unreachable_ends_the_command_and_not_the_rollout() -> None:
    cluster = OneServiceCluster()
    command = Command(cluster)
    state = command.plan()
    cluster.before_apply = [lambda: None, lambda: setattr(cluster, "failing_reads", 10**9)]
    with pytest.raises(ClusterUnreachable):
        command.rollout.run(state)
    assert parse(cluster.record).phase == "settling"


def test_pods_without_metrics_are_reported() -> None:
    cluster = OneServiceCluster()
    cluster.metrics = "<html>"
    command = Command(cluster)
    assert command.run().phase == "done"
    assert "its pods return no metrics" in command.events[0].why
    last = command.events[-1]
    assert (last.verdict, last.judged, last.steps) == (StepVerdict(100, 0, 20), 0, 2)


def test_crashing_pods_cause_a_rollback() -> None:
    cluster = OneServiceCluster()
    command = Command(cluster)
    state = command.plan()

    def sleep(seconds: float) -> None:
        command.sleep(seconds)
        cluster.pods[0]["status"]["containerStatuses"][0]["restartCount"] += 1

    command.rollout = Rollout(cluster, "m", say=command.events.append, clock=lambda: command.now, sleep=sleep)
    assert command.rollout.run(state).phase == "rolled_back"
    assert "restarted" in command.events[-1].why
    assert cluster.live["spec"]["traffic"] == [target("m-v1", 100, tag="v1"), target("m-v2", 0, tag="v2")]


def test_a_deleted_revision_causes_a_rollback() -> None:
    cluster = OneServiceCluster()
    command = Command(cluster)
    state = command.plan()
    del cluster.revisions["m-v2"]
    assert command.rollout.run(state).reason == "m-v2 is not Ready: it was deleted"


def test_abort_restores_the_split_before_despite_another_write() -> None:
    cluster = OneServiceCluster()
    command = Command(cluster)
    started = replace(command.plan(), step=0, phase="watching", run="another")
    cluster.touch(
        [target("m-v1", 50, tag="v1"), target("m-v2", 50, tag="v2")], {"scalezero.dev/rollout": render(started)}
    )
    cluster.before_apply = [cluster.touch]
    assert command.rollout.abort(LIMITS).phase == "rolled_back"
    assert cluster.live["spec"]["traffic"] == [target("m-v1", 100, tag="v1"), target("m-v2", 0, tag="v2")]
    with pytest.raises(NoRollout):
        command.rollout.abort(LIMITS)


def halted_and_changed() -> OneServiceCluster:
    """Return a cluster with a halted rollout, and a split that another writer changed afterwards."""
    cluster = OneServiceCluster()
    halted = replace(Command(cluster).plan(), step=0, phase="halted", run="another")
    cluster.touch([target("m-v1", 15, tag="v1"), {"latestRevision": True, "percent": 85}], {ANNOTATION: render(halted)})
    return cluster


def test_abort_after_a_change_by_another_writer_writes_only_the_record() -> None:
    cluster = halted_and_changed()
    other_traffic = cluster.live["spec"]["traffic"]
    command = Command(cluster)
    assert command.rollout.abort(LIMITS).phase == "forgotten"
    assert [each.get("spec") for each in cluster.applied] == [None]
    assert cluster.live["spec"]["traffic"] == other_traffic
    assert (command.verbs, command.events[0].why) == (["forget"], "the split set by kn (user admin) is kept")
    with pytest.raises(NoRollout, match=r"forgotten at 15 % m-v1, 85 % m-v2: the split set by kn"):
        command.rollout.abort(LIMITS)
    assert Command(cluster).run().phase == "done"


def test_a_split_that_the_rollout_owns_is_written_again() -> None:
    """Otherwise the API server would remove it."""
    cluster = halted_and_changed()
    cluster.live["metadata"]["managedFields"] = [OWNED_BY_THE_ROLLOUT]
    other_traffic = cluster.live["spec"]["traffic"]
    Command(cluster).rollout.abort(LIMITS)
    assert cluster.applied[-1]["spec"]["traffic"] == other_traffic


@pytest.mark.parametrize("end", ["done", "rolled_back"])
def test_a_rollout_after_a_finished_one_needs_no_flags(end: str) -> None:
    cluster = OneServiceCluster()
    command = Command(cluster)
    state = command.plan()
    if end == "rolled_back":
        del cluster.revisions["m-v2"]
    assert command.rollout.run(state).phase == end
    cluster.revisions["m-v3"] = revision("m-v3")
    cluster.pods = [{**pod("pod-3"), "metadata": {"name": "pod-3", "labels": {REVISION_LABEL: "m-v3"}}}]
    after = Command(cluster)
    assert after.rollout.run(after.plan("v3")).phase == "done"
    assert dict(live_split(cluster.live)) == {"m-v3": 100}


def test_a_revision_that_is_not_ready_is_refused_before_the_first_write() -> None:
    cluster = OneServiceCluster(ready="False")
    with pytest.raises(RevisionNotReady, match="it crashed"):
        Command(cluster).plan()
    assert cluster.applied == []


def test_the_error_for_a_model_that_is_not_deployed_lists_those_that_are() -> None:
    with pytest.raises(NoService, match="no model 'x' in namespace default of here: it has m"):
        Command(OneServiceCluster(), "x").plan()


def test_adopt_ignores_an_invalid_record() -> None:
    cluster = OneServiceCluster()
    cluster.touch(None, {"scalezero.dev/rollout": "{"})
    assert Command(cluster).plan(adopt=True).step == -1


def test_traffic_to_the_latest_revision_gives_a_notice() -> None:
    cluster = OneServiceCluster()
    cluster.touch([{"latestRevision": True, "percent": 100}])
    command = Command(cluster)
    state = command.plan("v1")
    assert command.rollout.notices(state) == [
        "the traffic followed the latest revision; the rollout replaces that with revision names"
    ]


def test_without_permission_for_the_activator_the_url_of_the_tag_is_used() -> None:
    cluster = OneServiceCluster(pods=0)
    cluster.wake_is_allowed = False
    with http_server(503) as (url, paths):
        cluster.live["status"]["traffic"] = [target("m-v1", 100), target("m-v2", 0, tag="v2", url=url)]
        command = Command(cluster)
        state = command.plan()

        def sleep(seconds: float) -> None:
            command.sleep(seconds)
            cluster.pods = [pod("new")] if paths else []

        command.rollout = Rollout(cluster, "m", say=command.events.append, clock=lambda: command.now, sleep=sleep)
        assert command.rollout.run(state).phase == "done"
    assert paths == ["/healthz/ready"]


def test_without_permission_and_url_the_error_names_the_permission() -> None:
    cluster = OneServiceCluster(pods=0)
    cluster.wake_is_allowed = False
    with pytest.raises(Forbidden, match="services/proxy"):
        Command(cluster).run()


def test_a_pod_that_starts_slowly_is_requested_until_the_timeout() -> None:
    cluster = OneServiceCluster(pods=0)
    cluster.wake_succeeds = False
    state = Command(cluster).run()
    assert state.reason == "no pod of m-v2 became Ready within 60 s"
    assert cluster.wake_requests > 1
