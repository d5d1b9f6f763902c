"""The loop between the decisions and the cluster: races, interruptions, and what is written."""

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

LIMITS = Limits(interval=10, patience=60)


class Hand:
    """One command: its clock moves when it sleeps, and what it says is kept."""

    def __init__(self, cluster: Small, model: str = "m") -> None:
        self.now = 1000.0
        self.said: list[Progress] = []
        self.rollout = Rollout(cluster, model, say=self.said.append, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds or 0.1

    def plan(self, asked: str = "v2", *, steps: tuple[int, ...] | None = (50, 100), adopt: bool = False) -> State:
        return self.rollout.plan(asked, steps=steps, limits=LIMITS, adopt=adopt)

    def run(self) -> State:
        return self.rollout.carry_out(self.plan())

    @property
    def verbs(self) -> list[str]:
        return [each.verb for each in self.said]


def test_each_write_is_a_split_and_the_record_of_it() -> None:
    cluster = Small()
    state = Hand(cluster).run()
    assert state.phase == "done"
    assert [dict(live_split({**cluster.live, "spec": each["spec"]})) for each in cluster.applied] == [
        {"m-v1": 100},
        {"m-v1": 50, "m-v2": 50},
        {"m-v2": 100},
        {"m-v2": 100},
    ]
    assert parse(cluster.record) == replace(state, limits=Limits(), since=round(state.since, 3))
    assert cluster.live["spec"]["traffic"] == [to("m-v1", 0, tag="v1"), to("m-v2", 100, tag="v2")]


def test_it_wakes_what_has_no_pod_before_the_first_shift() -> None:
    cluster = Small(pods=0)
    hand = Hand(cluster)
    hand.run()
    assert cluster.woken == 1
    assert hand.verbs[:2] == ["warm", "shift"]


def test_a_write_that_somebody_outran_is_decided_anew() -> None:
    """At the claim and at a shift: a controller's write, a tag of kn's. The tag stays."""
    cluster = Small()
    cluster.before_apply = [
        cluster.touch,
        lambda: None,
        lambda: cluster.touch([to("m-v1", 100, tag="renamed"), to("m-v2", 0, tag="v2")]),
    ]
    assert Hand(cluster).run().phase == "done"
    assert cluster.live["spec"]["traffic"][0] == to("m-v1", 0, tag="renamed")


def test_a_split_changed_between_the_look_and_the_write_is_left_alone() -> None:
    cluster = Small()
    theirs = [to("m-v1", 15), to("m-v2", 85)]
    cluster.before_apply = [lambda: None, lambda: cluster.touch(theirs)]
    state = Hand(cluster).run()
    assert state.phase == "halted"
    assert "spec" not in cluster.applied[-1]  # the record alone
    assert cluster.live["spec"]["traffic"] == theirs


def test_a_split_changed_before_the_claim_is_left_alone() -> None:
    cluster = Small()
    hand = Hand(cluster)
    state = hand.plan()
    cluster.touch([to("m-v1", 15), to("m-v2", 85)])
    with pytest.raises(SplitChanged, match=r"kn \(user admin\) changed the split of m to 15 % m-v1, 85 % m-v2"):
        hand.rollout.carry_out(state)
    assert cluster.applied == []


def test_a_command_stops_when_another_one_has_claimed_the_rollout() -> None:
    cluster = Small()
    first, second = Hand(cluster), Hand(cluster)
    state = first.plan()

    def overtake() -> None:
        second.rollout.carry_out(second.plan())

    cluster.before_apply = [lambda: None, overtake]
    with pytest.raises(TakenOver, match="done at 100 % m-v2"):
        first.rollout.carry_out(state)
    assert second.verbs[-1] == "finish"


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(ClusterUnreachable("https://here", "refused"), id="nobody answers"),
        pytest.param(RefusedByCluster("service/m", "etcdserver: leader changed", status=500), id="out of order"),
    ],
)
@pytest.mark.parametrize("write", [2, 4])
def test_a_cluster_that_is_away_for_a_while_is_waited_for(write: int, failure: ClusterError) -> None:
    """After the first shift, and after the last write, when nothing but the Route is waited for."""
    cluster = Small()
    cluster.failure = failure
    hand = Hand(cluster)
    state = hand.plan()
    cluster.before_apply = [*(lambda: None for _ in range(write - 1)), lambda: setattr(cluster, "down", 5)]
    assert hand.rollout.carry_out(state).phase == "done"
    assert not cluster.down


def test_what_a_cluster_refuses_for_good_ends_the_command_at_once() -> None:
    cluster = Small()
    cluster.failure = RefusedByCluster("service/m", "no such field", status=422)
    hand = Hand(cluster)
    state = hand.plan()
    cluster.before_apply = [lambda: None, lambda: setattr(cluster, "down", 5)]
    with pytest.raises(RefusedByCluster):
        hand.rollout.carry_out(state)
    assert cluster.down == 4


@pytest.mark.parametrize("write", [2, 3, 4])
def test_a_write_whose_answer_is_lost_stands(write: int) -> None:
    cluster = Small()
    cluster.answers_lost = {write}
    hand = Hand(cluster)
    assert hand.run().phase == "done"
    assert [verb for verb in hand.verbs if verb != "wait"] == ["shift", "shift", "finish"]
    assert len(cluster.applied) == 4
    assert [each.verdict for each in hand.said if each.verb != "wait"] == [
        None,
        StepVerdict(50, 0, 20),
        StepVerdict(100, 0, 20),
    ]


def test_a_cluster_that_stays_away_ends_the_command_and_not_the_rollout() -> None:
    cluster = Small()
    hand = Hand(cluster)
    state = hand.plan()
    cluster.before_apply = [lambda: None, lambda: setattr(cluster, "down", 10**9)]
    with pytest.raises(ClusterUnreachable):
        hand.rollout.carry_out(state)
    assert parse(cluster.record).phase == "settling"


def test_pods_without_metrics_are_no_evidence_and_that_is_said() -> None:
    cluster = Small()
    cluster.metrics = "<html>"
    hand = Hand(cluster)
    assert hand.run().phase == "done"
    assert "its pods tell no metrics" in hand.said[0].why
    last = hand.said[-1]
    assert (last.verdict, last.judged, last.steps) == (StepVerdict(100, 0, 20), 0, 2)


def test_pods_that_fall_over_bring_it_back() -> None:
    cluster = Small()
    hand = Hand(cluster)
    state = hand.plan()

    def sleep(seconds: float) -> None:
        hand.sleep(seconds)
        cluster.pods[0]["status"]["containerStatuses"][0]["restartCount"] += 1

    hand.rollout = Rollout(cluster, "m", say=hand.said.append, clock=lambda: hand.now, sleep=sleep)
    assert hand.rollout.carry_out(state).phase == "rolled_back"
    assert "started again" in hand.said[-1].why
    assert cluster.live["spec"]["traffic"] == [to("m-v1", 100, tag="v1"), to("m-v2", 0, tag="v2")]


def test_a_revision_that_is_gone_meanwhile_brings_it_back() -> None:
    cluster = Small()
    hand = Hand(cluster)
    state = hand.plan()
    del cluster.revisions["m-v2"]
    assert hand.rollout.carry_out(state).reason == "m-v2 is not Ready: it is gone"


def test_giving_up_writes_the_split_it_came_from_though_it_is_outrun() -> None:
    cluster = Small()
    hand = Hand(cluster)
    begun = replace(hand.plan(), step=0, phase="watching", run="another")
    cluster.touch([to("m-v1", 50, tag="v1"), to("m-v2", 50, tag="v2")], {"scalezero.dev/rollout": render(begun)})
    cluster.before_apply = [cluster.touch]
    assert hand.rollout.give_up(LIMITS).phase == "rolled_back"
    assert cluster.live["spec"]["traffic"] == [to("m-v1", 100, tag="v1"), to("m-v2", 0, tag="v2")]
    with pytest.raises(NoRollout):
        hand.rollout.give_up(LIMITS)


def halted_and_changed() -> Small:
    """A halted rollout, whose split somebody else has set since."""
    cluster = Small()
    halted = replace(Hand(cluster).plan(), step=0, phase="halted", run="another")
    cluster.touch([to("m-v1", 15, tag="v1"), {"latestRevision": True, "percent": 85}], {ANNOTATION: render(halted)})
    return cluster


def test_giving_up_where_the_split_is_somebody_elses_ends_the_record_alone() -> None:
    cluster = halted_and_changed()
    theirs = cluster.live["spec"]["traffic"]
    hand = Hand(cluster)
    assert hand.rollout.give_up(LIMITS).phase == "forgotten"
    assert [each.get("spec") for each in cluster.applied] == [None]
    assert cluster.live["spec"]["traffic"] == theirs
    assert (hand.verbs, hand.said[0].why) == (["forget"], "the split stays as kn (user admin) has set it")
    with pytest.raises(NoRollout, match=r"forgotten at 15 % m-v1, 85 % m-v2: the split stays as kn"):
        hand.rollout.give_up(LIMITS)
    assert Hand(cluster).run().phase == "done"


def test_a_split_under_the_own_managers_name_is_named_again_as_it_stands() -> None:
    """Else the API server would take it away."""
    cluster = halted_and_changed()
    cluster.live["metadata"]["managedFields"] = [MANAGED]
    theirs = cluster.live["spec"]["traffic"]
    Hand(cluster).rollout.give_up(LIMITS)
    assert cluster.applied[-1]["spec"]["traffic"] == theirs


@pytest.mark.parametrize("end", ["done", "rolled_back"])
def test_after_one_that_is_over_another_one_needs_no_flags(end: str) -> None:
    cluster = Small()
    hand = Hand(cluster)
    state = hand.plan()
    if end == "rolled_back":
        del cluster.revisions["m-v2"]
    assert hand.rollout.carry_out(state).phase == end
    cluster.revisions["m-v3"] = revision("m-v3")
    cluster.pods = [{**pod("pod-3"), "metadata": {"name": "pod-3", "labels": {REVISION_LABEL: "m-v3"}}}]
    after = Hand(cluster)
    assert after.rollout.carry_out(after.plan("v3")).phase == "done"
    assert dict(live_split(cluster.live)) == {"m-v3": 100}


def test_a_revision_that_is_not_ready_is_refused_before_anything_is_written() -> None:
    cluster = Small(ready="False")
    with pytest.raises(RevisionNotReady, match="it fell over"):
        Hand(cluster).plan()
    assert cluster.applied == []


def test_a_model_that_is_not_deployed_is_told_with_those_that_are() -> None:
    with pytest.raises(NoService, match="available: m"):
        Hand(Small(), "x").plan()


def test_a_record_that_nobody_can_read_is_no_hindrance_to_who_adopts() -> None:
    cluster = Small()
    cluster.touch(None, {"scalezero.dev/rollout": "{"})
    assert Hand(cluster).plan(adopt=True).step == -1


def test_what_follows_the_latest_revision_is_pinned_and_said() -> None:
    cluster = Small()
    cluster.touch([{"latestRevision": True, "percent": 100}])
    hand = Hand(cluster)
    state = hand.plan("v1")
    assert hand.rollout.notices(state) == [
        "the traffic followed the latest revision; from now on it names its revisions"
    ]


def test_who_may_not_ask_the_activator_wakes_a_revision_by_its_url() -> None:
    cluster = Small(pods=0)
    cluster.may_wake = False
    with answering(503) as (url, asked):
        cluster.live["status"]["traffic"] = [to("m-v1", 100), to("m-v2", 0, tag="v2", url=url)]
        hand = Hand(cluster)
        state = hand.plan()

        def sleep(seconds: float) -> None:
            hand.sleep(seconds)
            cluster.pods = [pod("woken")] if asked else []

        hand.rollout = Rollout(cluster, "m", say=hand.said.append, clock=lambda: hand.now, sleep=sleep)
        assert hand.rollout.carry_out(state).phase == "done"
    assert asked == ["/healthz/ready"]


def test_who_may_do_neither_is_told_what_to_ask_for() -> None:
    cluster = Small(pods=0)
    cluster.may_wake = False
    with pytest.raises(Forbidden, match="services/proxy"):
        Hand(cluster).run()


def test_a_pod_that_takes_long_to_wake_is_asked_again_until_the_time_is_over() -> None:
    cluster = Small(pods=0)
    cluster.wakes = False
    state = Hand(cluster).run()
    assert state.reason == "no pod of m-v2 came up within 60 s"
    assert cluster.woken > 1
