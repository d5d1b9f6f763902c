"""The loop of a rollout: races, interruptions, and what it writes."""

from dataclasses import replace

import pytest

from knative.api.errors import ClusterError, ClusterUnreachable, Forbidden, RefusedByCluster
from knative.objects import REVISION_LABEL
from knative.rollout.errors import NoRollout, NoService, RevisionNotReady, SplitChanged, TakenOver
from knative.rollout.judgement import Limits
from knative.rollout.machine import State, StepVerdict
from knative.rollout.reading import live_split
from knative.rollout.record import ANNOTATION, parse, render
from knative.rollout.run import Progress, Rollout
from tests.knative.rollout.cluster import MANAGED, Small
from tests.knative.rollout.manifests import pod, revision, to
from tests.knative.rollout.test_effects import answering

LIMITS = Limits(interval=10, timeout=60)


class Command:
    """One command. Its clock advances when it sleeps, and it records its events."""

    def __init__(self, cluster: Small, model: str = "m") -> None:
        self.now = 1000.0
        self.said: list[Progress] = []
        self.rollout = Rollout(cluster, model, say=self.said.append, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds or 0.1

    def plan(self, asked: str = "v2", *, steps: tuple[int, ...] | None = (50, 100), adopt: bool = False) -> State:
        return self.rollout.plan(asked, steps=steps, limits=LIMITS, adopt=adopt)

    def run(self) -> State:
        return self.rollout.run(self.plan())

    @property
    def verbs(self) -> list[str]:
        return [each.verb for each in self.said]


def test_each_write_is_a_split_and_its_record() -> None:
    cluster = Small()
    state = Command(cluster).run()
    assert state.phase == "done"
    assert [dict(live_split({**cluster.live, "spec": each["spec"]})) for each in cluster.applied] == [
        {"m-v1": 100},
        {"m-v1": 50, "m-v2": 50},
        {"m-v2": 100},
        {"m-v2": 100},
    ]
    assert parse(cluster.record) == replace(state, limits=Limits(), since=round(state.since, 3))
    assert cluster.live["spec"]["traffic"] == [to("m-v1", 0, tag="v1"), to("m-v2", 100, tag="v2")]


def test_it_starts_a_pod_before_the_first_shift() -> None:
    cluster = Small(pods=0)
    command = Command(cluster)
    command.run()
    assert cluster.woken == 1
    assert command.verbs[:2] == ["warm", "shift"]


def test_a_write_after_a_change_by_another_writer_is_decided_again() -> None:
    """At the claim and at a shift: a controller writes the status, kn renames a tag. The tag is kept."""
    cluster = Small()
    cluster.before_apply = [
        cluster.touch,
        lambda: None,
        lambda: cluster.touch([to("m-v1", 100, tag="renamed"), to("m-v2", 0, tag="v2")]),
    ]
    assert Command(cluster).run().phase == "done"
    assert cluster.live["spec"]["traffic"][0] == to("m-v1", 0, tag="renamed")


def test_a_split_that_changes_before_the_write_is_kept() -> None:
    cluster = Small()
    theirs = [to("m-v1", 15), to("m-v2", 85)]
    cluster.before_apply = [lambda: None, lambda: cluster.touch(theirs)]
    state = Command(cluster).run()
    assert state.phase == "halted"
    assert "spec" not in cluster.applied[-1]  # only the record
    assert cluster.live["spec"]["traffic"] == theirs


def test_a_split_that_changes_before_the_claim_is_kept() -> None:
    cluster = Small()
    command = Command(cluster)
    state = command.plan()
    cluster.touch([to("m-v1", 15), to("m-v2", 85)])
    with pytest.raises(SplitChanged, match=r"kn \(user admin\) changed the split of m to 15 % m-v1, 85 % m-v2"):
        command.rollout.run(state)
    assert cluster.applied == []


def test_a_command_stops_when_another_one_has_claimed_the_rollout() -> None:
    cluster = Small()
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
        pytest.param(ClusterUnreachable("https://here", "refused"), id="not reachable"),
        pytest.param(RefusedByCluster("service/m", "etcdserver: leader changed", status=500), id="server error"),
    ],
)
@pytest.mark.parametrize("write", [2, 4])
def test_it_waits_for_a_cluster_that_does_not_answer_for_a_while(write: int, failure: ClusterError) -> None:
    """After the first shift, and after the last write, during the wait for the Route."""
    cluster = Small()
    cluster.failure = failure
    command = Command(cluster)
    state = command.plan()
    cluster.before_apply = [*(lambda: None for _ in range(write - 1)), lambda: setattr(cluster, "down", 5)]
    assert command.rollout.run(state).phase == "done"
    assert not cluster.down


def test_a_permanent_error_of_the_cluster_ends_the_command() -> None:
    cluster = Small()
    cluster.failure = RefusedByCluster("service/m", "no such field", status=422)
    command = Command(cluster)
    state = command.plan()
    cluster.before_apply = [lambda: None, lambda: setattr(cluster, "down", 5)]
    with pytest.raises(RefusedByCluster):
        command.rollout.run(state)
    assert cluster.down == 4


@pytest.mark.parametrize("write", [2, 3, 4])
def test_a_write_whose_response_is_lost_is_not_repeated(write: int) -> None:
    cluster = Small()
    cluster.answers_lost = {write}
    command = Command(cluster)
    assert command.run().phase == "done"
    assert [verb for verb in command.verbs if verb != "wait"] == ["shift", "shift", "finish"]
    assert len(cluster.applied) == 4
    assert [each.verdict for each in command.said if each.verb != "wait"] == [
        None,
        StepVerdict(50, 0, 20),
        StepVerdict(100, 0, 20),
    ]


def test_a_cluster_that_does_not_return_ends_the_command_and_not_the_rollout() -> None:
    cluster = Small()
    command = Command(cluster)
    state = command.plan()
    cluster.before_apply = [lambda: None, lambda: setattr(cluster, "down", 10**9)]
    with pytest.raises(ClusterUnreachable):
        command.rollout.run(state)
    assert parse(cluster.record).phase == "settling"


def test_pods_without_metrics_are_reported() -> None:
    cluster = Small()
    cluster.metrics = "<html>"
    command = Command(cluster)
    assert command.run().phase == "done"
    assert "its pods return no metrics" in command.said[0].why
    last = command.said[-1]
    assert (last.verdict, last.judged, last.steps) == (StepVerdict(100, 0, 20), 0, 2)


def test_crashing_pods_cause_a_rollback() -> None:
    cluster = Small()
    command = Command(cluster)
    state = command.plan()

    def sleep(seconds: float) -> None:
        command.sleep(seconds)
        cluster.pods[0]["status"]["containerStatuses"][0]["restartCount"] += 1

    command.rollout = Rollout(cluster, "m", say=command.said.append, clock=lambda: command.now, sleep=sleep)
    assert command.rollout.run(state).phase == "rolled_back"
    assert "restarted" in command.said[-1].why
    assert cluster.live["spec"]["traffic"] == [to("m-v1", 100, tag="v1"), to("m-v2", 0, tag="v2")]


def test_a_deleted_revision_causes_a_rollback() -> None:
    cluster = Small()
    command = Command(cluster)
    state = command.plan()
    del cluster.revisions["m-v2"]
    assert command.rollout.run(state).reason == "m-v2 is not Ready: it was deleted"


def test_abort_restores_the_split_before_despite_another_write() -> None:
    cluster = Small()
    command = Command(cluster)
    begun = replace(command.plan(), step=0, phase="watching", run="another")
    cluster.touch([to("m-v1", 50, tag="v1"), to("m-v2", 50, tag="v2")], {"scalezero.dev/rollout": render(begun)})
    cluster.before_apply = [cluster.touch]
    assert command.rollout.abort(LIMITS).phase == "rolled_back"
    assert cluster.live["spec"]["traffic"] == [to("m-v1", 100, tag="v1"), to("m-v2", 0, tag="v2")]
    with pytest.raises(NoRollout):
        command.rollout.abort(LIMITS)


def halted_and_changed() -> Small:
    """A halted rollout, whose split another writer has changed since."""
    cluster = Small()
    halted = replace(Command(cluster).plan(), step=0, phase="halted", run="another")
    cluster.touch([to("m-v1", 15, tag="v1"), {"latestRevision": True, "percent": 85}], {ANNOTATION: render(halted)})
    return cluster


def test_abort_after_a_change_by_another_writer_writes_only_the_record() -> None:
    cluster = halted_and_changed()
    theirs = cluster.live["spec"]["traffic"]
    command = Command(cluster)
    assert command.rollout.abort(LIMITS).phase == "forgotten"
    assert [each.get("spec") for each in cluster.applied] == [None]
    assert cluster.live["spec"]["traffic"] == theirs
    assert (command.verbs, command.said[0].why) == (["forget"], "the split set by kn (user admin) is kept")
    with pytest.raises(NoRollout, match=r"forgotten at 15 % m-v1, 85 % m-v2: the split set by kn"):
        command.rollout.abort(LIMITS)
    assert Command(cluster).run().phase == "done"


def test_a_split_that_the_rollout_owns_is_written_again() -> None:
    """Otherwise the API server would remove it."""
    cluster = halted_and_changed()
    cluster.live["metadata"]["managedFields"] = [MANAGED]
    theirs = cluster.live["spec"]["traffic"]
    Command(cluster).rollout.abort(LIMITS)
    assert cluster.applied[-1]["spec"]["traffic"] == theirs


@pytest.mark.parametrize("end", ["done", "rolled_back"])
def test_a_rollout_after_a_finished_one_needs_no_flags(end: str) -> None:
    cluster = Small()
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
    cluster = Small(ready="False")
    with pytest.raises(RevisionNotReady, match="it fell over"):
        Command(cluster).plan()
    assert cluster.applied == []


def test_the_error_for_a_model_that_is_not_deployed_lists_those_that_are() -> None:
    with pytest.raises(NoService, match="available: m"):
        Command(Small(), "x").plan()


def test_adopt_ignores_an_invalid_record() -> None:
    cluster = Small()
    cluster.touch(None, {"scalezero.dev/rollout": "{"})
    assert Command(cluster).plan(adopt=True).step == -1


def test_traffic_to_the_latest_revision_gives_a_notice() -> None:
    cluster = Small()
    cluster.touch([{"latestRevision": True, "percent": 100}])
    command = Command(cluster)
    state = command.plan("v1")
    assert command.rollout.notices(state) == [
        "the traffic followed the latest revision; the rollout replaces that with revision names"
    ]


def test_without_permission_for_the_activator_it_uses_the_url_of_the_tag() -> None:
    cluster = Small(pods=0)
    cluster.may_wake = False
    with answering(503) as (url, asked):
        cluster.live["status"]["traffic"] = [to("m-v1", 100), to("m-v2", 0, tag="v2", url=url)]
        command = Command(cluster)
        state = command.plan()

        def sleep(seconds: float) -> None:
            command.sleep(seconds)
            cluster.pods = [pod("woken")] if asked else []

        command.rollout = Rollout(cluster, "m", say=command.said.append, clock=lambda: command.now, sleep=sleep)
        assert command.rollout.run(state).phase == "done"
    assert asked == ["/healthz/ready"]


def test_without_permission_and_url_the_error_names_the_permission() -> None:
    cluster = Small(pods=0)
    cluster.may_wake = False
    with pytest.raises(Forbidden, match="services/proxy"):
        Command(cluster).run()


def test_a_pod_that_starts_slowly_is_requested_until_the_timeout() -> None:
    cluster = Small(pods=0)
    cluster.wakes = False
    state = Command(cluster).run()
    assert state.reason == "no pod of m-v2 became Ready within 60 s"
    assert cluster.woken > 1
