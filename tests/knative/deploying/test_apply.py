"""How a plan is carried out: in which order, what is waited for, and what is never written over."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knative.api.errors import Outrun
from knative.deploying.apply import carry_out
from knative.deploying.errors import NotReadyInTime, PlanRefused, RevisionFailed
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.manifests import DeploymentOptions, Step, desired
from knative.objects import Ref
from knative.resources import Resources
from tests.knative.fake_cluster import FakeCluster
from tests.knative.manifests import strategies
from tests.knative.manifests.test_steps import read, split, version

OPTIONS = DeploymentOptions(image="scalezero:0.1")
V1, V2 = version("shop-v1", "shop", number="1"), version("shop-v2", "shop", number="2")
HALVES = split("shop-ab", "shop-v1", "shop-v2")
SERVICE, ROUTE = Ref("Service", "shop"), Ref("Route", "shop-ab")


def steps(*documents: str) -> tuple[Step, ...]:
    return desired(read(*documents), OPTIONS)


def applied(cluster: FakeCluster, wanted: tuple[Step, ...], *, seconds: float = 60.0) -> list[str]:
    """Plan and carry out, as the command does; what it said."""
    said: list[str] = []
    observed = observe(cluster, wanted)
    carry_out(
        plan(wanted, observed), observed, cluster, force=False, seconds=seconds, tell=said.append, clock=cluster.clock
    )
    return said


def test_a_revision_gets_its_share_only_when_all_of_them_are_ready() -> None:
    cluster = FakeCluster()
    applied(cluster, steps(V1, V2, HALVES))
    assert [(str(ref), shares) for ref, shares in cluster.applied] == [
        ("serviceaccount/shop", None),
        ("service/shop", {"shop-v1": 100}),
        ("service/shop", {"shop-v1": 100}),
        ("service/shop", {"shop-v1": 50, "shop-v2": 50}),
        ("route/shop-ab", {"shop-v1": 50, "shop-v2": 50}),
    ]


@given(strategies.resources(), strategies.deployments())
@settings(max_examples=50, deadline=None)  # as long as its plan is
def test_a_second_apply_changes_nothing(resources: Resources, options: DeploymentOptions) -> None:
    cluster, wanted = FakeCluster(), desired(resources, options)
    try:
        applied(cluster, wanted)
    except PlanRefused:
        assert cluster.applied == []
        return
    first = list(cluster.applied)
    applied(cluster, wanted)
    assert cluster.applied == first
    assert cluster.unready_traffic == []


@given(st.integers(1, 30), st.sampled_from([(V1, V2), (V1, V2, HALVES)]))
@settings(deadline=None)  # three plans
def test_an_apply_that_was_cut_short_is_taken_up_by_the_next(looks: int, documents: tuple[str, ...]) -> None:
    cluster = FakeCluster()
    with suppress(NotReadyInTime):
        applied(cluster, steps(*documents), seconds=looks * 0.7)
    applied(cluster, steps(*documents))
    assert plan(steps(*documents), observe(cluster, steps(*documents))).changes == ()
    assert cluster.unready_traffic == []


def test_a_broken_revision_stays_out_and_the_old_one_serves_on() -> None:
    cluster = FakeCluster()
    applied(cluster, steps(V1))
    cluster.broken = {"shop-v2": "Container failed with: it is no model"}
    cluster.log_lines = '{"level": "ERROR", "message": "model not loaded", "reason": "it is no model"}\n'
    cluster.pods = [
        {"metadata": {"name": "p", "labels": {"serving.knative.dev/revisionUID": "revision/shop-v2"}}, "status": {}}
    ]
    with pytest.raises(RevisionFailed) as caught:
        applied(cluster, steps(V1, V2, HALVES))
    assert str(caught.value) == (
        "revision shop-v2 failed: its container ended with exit code 1: it is no model; its pod is started\n"
        "  its last log lines:\n    ERROR model not loaded: it is no model"
    )
    assert cluster.objects[SERVICE]["status"]["traffic"] == [{"revisionName": "shop-v1", "percent": 100, "tag": "v1"}]
    assert ROUTE not in cluster.objects


def test_what_a_failure_leaves_undone_is_said() -> None:
    cluster = FakeCluster({"shop-v1": "no"})
    said: list[str] = []
    wanted = steps(V1, V2, HALVES)
    with pytest.raises(RevisionFailed):
        carry_out(plan(wanted, {}), {}, cluster, force=False, seconds=60, tell=said.append, clock=cluster.clock)
    assert said[-3:] == ["revision/shop-v2: skipped", "service/shop: skipped", "route/shop-ab: skipped"]


def test_a_plan_with_a_refusal_changes_nothing() -> None:
    cluster = FakeCluster()
    with pytest.raises(PlanRefused, match="nothing was changed: service/shop: it routes to shop-v2"):
        applied(cluster, steps(V1, split("shop-ab", "shop-v1", "shop-v2")))
    assert cluster.applied == []


def test_what_somebody_changed_after_the_plan_is_not_written_over() -> None:
    cluster, wanted = FakeCluster(), steps(V1, V2, HALVES)
    applied(cluster, steps(V1, V2))
    observed = observe(cluster, wanted)
    made = plan(wanted, observed)
    theirs = [{"revisionName": "shop-v1", "percent": 90}, {"revisionName": "shop-v2", "percent": 10}]
    cluster.change(SERVICE, manager="kn", traffic=theirs)
    with pytest.raises(Outrun, match="service/shop changed during the command"):
        carry_out(made, observed, cluster, force=False, seconds=60, tell=lambda _: None, clock=cluster.clock)
    assert cluster.objects[SERVICE]["spec"]["traffic"] == theirs


def test_a_status_that_is_written_in_between_is_no_change() -> None:
    cluster = FakeCluster()
    applied(cluster, steps(V1))
    cluster.status_writes = 2
    applied(cluster, steps(V1, V2, HALVES))
    assert cluster.objects[SERVICE]["spec"]["traffic"][1] == {"revisionName": "shop-v2", "percent": 50, "tag": "v2"}


def test_an_object_whose_status_never_rests_is_given_up() -> None:
    cluster = FakeCluster()
    applied(cluster, steps(V1))
    cluster.status_writes = 100
    with pytest.raises(Outrun):
        applied(cluster, steps(V1, V2, HALVES))


def test_traffic_that_others_have_set_stays_theirs_while_a_revision_is_added() -> None:
    cluster = FakeCluster()
    applied(cluster, steps(V1))
    cluster.change(SERVICE, manager="kn", traffic=[{"revisionName": "shop-v1", "percent": 100}])
    cluster.applied.clear()
    applied(cluster, steps(V1, V2))
    assert cluster.applied[0] == (SERVICE, None)
    assert cluster.applied[1] == (SERVICE, {"shop-v1": 100, "shop-v2": 0})


def test_the_template_of_a_revision_that_is_there_goes_back_with_what_knative_filled_in() -> None:
    cluster = FakeCluster()
    applied(cluster, steps(V1, V2))
    cluster.objects[SERVICE]["spec"]["template"]["spec"]["idleTimeoutSeconds"] = 0
    applied(cluster, steps(V1, V2, HALVES))
    assert cluster.objects[SERVICE]["spec"]["template"]["spec"]["idleTimeoutSeconds"] == 0


def test_a_run_whose_time_is_over_says_what_it_waited_for() -> None:
    cluster = FakeCluster()
    with pytest.raises(NotReadyInTime, match=r"revision/shop-v1 is not Ready after 1 s: Knative has not looked at it"):
        applied(cluster, steps(V1), seconds=1)


def test_what_is_up_already_takes_a_line_each() -> None:
    cluster = FakeCluster()
    applied(cluster, steps(V1, V2, HALVES))
    assert applied(cluster, steps(V1, V2, HALVES)) == [
        "serviceaccount/shop: unchanged",
        "revision/shop-v1: unchanged",
        "revision/shop-v2: unchanged",
        "service/shop: unchanged",
        "route/shop-ab: unchanged",
    ]
