"""The execution of a plan: its order, the objects that it waits for, and the changes that it never overwrites."""

from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knative.api.errors import Outrun
from knative.deploying.apply import carry_out
from knative.deploying.errors import NotReadyInTime, PlanRefused, RevisionFailed
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.manifests import DeploymentOptions, Step, desired
from knative.objects import Manifest, Ref
from knative.resources import Resources
from tests.knative.deploying.applying import apply_steps, steps
from tests.knative.documents import split, version
from tests.knative.fake_cluster import FakeCluster
from tests.knative.manifests import strategies

V1, V2 = version("shop-v1", "shop", number="1"), version("shop-v2", "shop", number="2")
HALVES = split("shop-ab", "shop-v1", "shop-v2")
SERVICE, ROUTE = Ref("Service", "shop"), Ref("Route", "shop-ab")


def test_a_split_is_applied_only_when_all_of_its_revisions_are_ready() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, V2, HALVES))
    assert [(str(ref), shares) for ref, shares in cluster.applied] == [
        ("serviceaccount/shop", None),
        ("service/shop", {"shop-v1": 100}),
        ("service/shop", {"shop-v1": 100}),
        ("service/shop", {"shop-v1": 50, "shop-v2": 50}),
        ("route/shop-ab", {"shop-v1": 50, "shop-v2": 50}),
    ]


@given(strategies.resources(), strategies.deployments())
@settings(max_examples=50, deadline=None)  # each example applies a plan twice
def test_a_second_apply_changes_nothing(resources: Resources, options: DeploymentOptions) -> None:
    cluster, wanted = FakeCluster(), desired(resources, options)
    try:
        apply_steps(cluster, wanted)
    except PlanRefused:
        assert cluster.applied == []
        return
    first = list(cluster.applied)
    apply_steps(cluster, wanted)
    assert cluster.applied == first
    assert cluster.unready_traffic == []


@given(st.integers(1, 30), st.sampled_from([(V1, V2), (V1, V2, HALVES)]))
@settings(deadline=None)  # three plans each
def test_the_next_apply_continues_an_interrupted_one(reads: int, documents: tuple[str, ...]) -> None:
    cluster = FakeCluster()
    with suppress(NotReadyInTime):
        apply_steps(cluster, steps(*documents), seconds=reads * 0.7)
    apply_steps(cluster, steps(*documents))
    assert plan(steps(*documents), observe(cluster, steps(*documents))).changes == ()
    assert cluster.unready_traffic == []


def test_a_failed_revision_gets_no_traffic_and_the_old_one_keeps_serving() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1))
    cluster.broken = {"shop-v2": "Container failed with: invalid model"}
    cluster.log_lines = '{"level": "ERROR", "message": "model not loaded", "reason": "invalid model"}\n'
    cluster.pods = [
        {"metadata": {"name": "p", "labels": {"serving.knative.dev/revisionUID": "revision/shop-v2"}}, "status": {}}
    ]
    with pytest.raises(RevisionFailed) as caught:
        apply_steps(cluster, steps(V1, V2, HALVES))
    assert str(caught.value) == (
        "revision shop-v2 failed: its container ended with exit code 1: invalid model\n"
        "  its last log lines:\n    ERROR model not loaded: invalid model"
    )
    assert cluster.objects[SERVICE]["status"]["traffic"] == [{"revisionName": "shop-v1", "percent": 100, "tag": "v1"}]
    assert ROUTE not in cluster.objects


def test_after_a_failure_the_skipped_objects_are_reported() -> None:
    cluster = FakeCluster({"shop-v1": "no"})
    lines: list[str] = []
    wanted = steps(V1, V2, HALVES)
    with pytest.raises(RevisionFailed):
        carry_out(plan(wanted, {}), {}, cluster, force=False, seconds=60, tell=lines.append, clock=cluster.clock)
    assert lines[-3:] == ["revision/shop-v2: skipped", "service/shop: skipped", "route/shop-ab: skipped"]


def test_a_plan_with_a_refusal_changes_nothing() -> None:
    cluster = FakeCluster()
    with pytest.raises(PlanRefused, match="nothing was changed: service/shop: it routes to shop-v2"):
        apply_steps(cluster, steps(V1, split("shop-ab", "shop-v1", "shop-v2")))
    assert cluster.applied == []


def test_an_object_that_changed_after_the_plan_is_not_overwritten() -> None:
    cluster, wanted = FakeCluster(), steps(V1, V2, HALVES)
    apply_steps(cluster, steps(V1, V2))
    observed = observe(cluster, wanted)
    result = plan(wanted, observed)
    other_traffic = [{"revisionName": "shop-v1", "percent": 90}, {"revisionName": "shop-v2", "percent": 10}]
    cluster.change(SERVICE, manager="kn", traffic=other_traffic)
    with pytest.raises(Outrun, match="service/shop changed during the command"):
        carry_out(result, observed, cluster, force=False, seconds=60, tell=lambda _: None, clock=cluster.clock)
    assert cluster.objects[SERVICE]["spec"]["traffic"] == other_traffic


def test_an_apply_is_repeated_after_a_change_of_the_status_alone() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1))
    cluster.status_writes = 2
    apply_steps(cluster, steps(V1, V2, HALVES))
    assert cluster.objects[SERVICE]["spec"]["traffic"][1] == {"revisionName": "shop-v2", "percent": 50, "tag": "v2"}


def test_an_apply_fails_if_the_status_changes_before_each_attempt() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1))
    cluster.status_writes = 100
    with pytest.raises(Outrun):
        apply_steps(cluster, steps(V1, V2, HALVES))


def test_adding_a_revision_keeps_traffic_that_another_manager_owns() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1))
    cluster.change(SERVICE, manager="kn", traffic=[{"revisionName": "shop-v1", "percent": 100}])
    cluster.applied.clear()
    apply_steps(cluster, steps(V1, V2))
    assert cluster.applied[0] == (SERVICE, None)
    assert cluster.applied[1] == (SERVICE, {"shop-v1": 100, "shop-v2": 0})


def test_the_template_of_an_existing_revision_is_sent_with_the_defaults_of_knative() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, V2))
    cluster.objects[SERVICE]["spec"]["template"]["spec"]["idleTimeoutSeconds"] = 0
    apply_steps(cluster, steps(V1, V2, HALVES))
    assert cluster.objects[SERVICE]["spec"]["template"]["spec"]["idleTimeoutSeconds"] == 0


def test_a_timeout_names_the_object_and_its_state() -> None:
    cluster = FakeCluster()
    with pytest.raises(NotReadyInTime, match=r"revision/shop-v1 is not Ready after 1 s: waiting for Knative"):
        apply_steps(cluster, steps(V1), seconds=1)


def test_each_unchanged_object_gets_one_line() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, V2, HALVES))
    assert apply_steps(cluster, steps(V1, V2, HALVES)) == [
        "serviceaccount/shop: unchanged",
        "revision/shop-v1: unchanged",
        "revision/shop-v2: unchanged",
        "service/shop: unchanged",
        "route/shop-ab: unchanged",
    ]


def apply_broken(cluster: FakeCluster, *documents: str, revision: str) -> None:
    """Apply documents of which one revision does not become Ready."""
    cluster.broken = {revision: "Container failed with: no such image"}
    with pytest.raises(RevisionFailed):
        apply_steps(cluster, steps(*documents))
    cluster.broken = {}


def test_the_latest_revision_is_replaced_if_it_was_never_ready_while_the_other_one_serves() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1))
    apply_broken(cluster, V1, V2, revision="shop-v2")
    failed = cluster.objects[Ref("Revision", "shop-v2")]["metadata"]["uid"]
    cluster.applied.clear()
    corrected = version("shop-v2", "shop", path="s3://models/corrected.onnx", number="2")
    lines = apply_steps(cluster, steps(V1, corrected))
    assert "revision/shop-v2: deleted; it was never Ready" in lines
    assert "revision/shop-v2: created" in lines
    assert lines[-1] == "service/shop: changed"
    assert cluster.objects[Ref("Revision", "shop-v2")]["metadata"]["uid"] != failed
    assert all(shares in (None, {"shop-v1": 100}, {"shop-v1": 100, "shop-v2": 0}) for _, shares in cluster.applied)
    assert cluster.unready_traffic == []
    assert plan(steps(V1, corrected), observe(cluster, steps(V1, corrected))).changes == ()


def test_a_service_is_replaced_if_none_of_its_revisions_was_ever_ready() -> None:
    cluster = FakeCluster()
    apply_broken(cluster, V1, V2, revision="shop-v2")
    service = cluster.objects[SERVICE]
    cluster.objects[Ref("Revision", "shop-v1")]["status"]["conditions"] = []
    service["status"].pop("latestReadyRevisionName")
    corrected = version("shop-v1", "shop", path="s3://models/corrected.onnx", number="1")
    lines = apply_steps(cluster, steps(corrected, V2))
    assert lines.index("service/shop: deleted; it was never Ready") < lines.index("revision/shop-v1: created")
    assert plan(steps(corrected, V2), observe(cluster, steps(corrected, V2))).changes == ()


def with_broken_v2() -> tuple[FakeCluster, tuple[Step, ...]]:
    """Return a cluster whose shop-v2 was never Ready, and the steps that correct it."""
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1))
    apply_broken(cluster, V1, V2, revision="shop-v2")
    return cluster, steps(V1, version("shop-v2", "shop", path="s3://models/corrected.onnx", number="2"))


def test_a_revision_that_was_recreated_after_the_plan_is_not_deleted() -> None:
    cluster, wanted = with_broken_v2()
    observed = deepcopy(observe(cluster, wanted))
    made = plan(wanted, observed)
    cluster.objects[Ref("Revision", "shop-v2")]["metadata"]["uid"] = "another"
    with pytest.raises(Outrun):
        carry_out(made, observed, cluster, force=False, seconds=60, tell=lambda _: None, clock=cluster.clock)
    assert cluster.objects[Ref("Revision", "shop-v2")]["metadata"]["uid"] == "another"


def test_a_replaced_revision_changes_no_traffic_label_or_tag_of_its_service() -> None:
    """The latest Ready revision has no traffic: without its traffic block, the Service would send everything there."""
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, V2))
    third = version("shop-v3", "shop", number="3")
    apply_broken(cluster, V1, V2, third, revision="shop-v3")
    before = deepcopy(cluster.objects[SERVICE])
    cluster.applied.clear()
    corrected = version("shop-v3", "shop", path="s3://models/corrected.onnx", number="3")
    apply_steps(cluster, steps(V1, V2, corrected))
    services = [shares for ref, shares in cluster.applied if ref == SERVICE]
    assert [{name: share for name, share in shares.items() if share} for shares in services if shares is not None] == [
        {"shop-v1": 100}
    ] * len(services)
    assert cluster.objects[SERVICE]["metadata"]["labels"] == before["metadata"]["labels"]


def test_a_revision_that_became_ready_after_the_plan_is_not_deleted() -> None:
    cluster, wanted = with_broken_v2()
    observed = deepcopy(observe(cluster, wanted))
    made = plan(wanted, observed)
    cluster.objects[Ref("Revision", "shop-v2")]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    with pytest.raises(Outrun):
        carry_out(made, observed, cluster, force=False, seconds=60, tell=lambda _: None, clock=cluster.clock)
    assert Ref("Revision", "shop-v2") in cluster.objects


def test_another_writer_who_restores_the_template_ends_the_replacement() -> None:
    class Restoring(FakeCluster):
        """Another writer sets the template of shop-v2 again after each apply."""

        def apply(self, manifest: Manifest, **options: Any) -> Manifest:  # noqa: ANN401 - as in Cluster
            applied = super().apply(manifest, **options)
            if manifest["kind"] == "Service" and manifest["spec"]["template"]["metadata"]["name"] == "shop-v1":
                applied["spec"]["template"]["metadata"]["name"] = "shop-v2"
            return applied

    cluster, wanted = with_broken_v2()
    cluster.__class__ = Restoring
    with pytest.raises(Outrun):
        apply_steps(cluster, wanted)


def test_a_leftover_route_that_is_not_ready_does_not_fail_an_apply() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, V2, HALVES))
    failed = {"type": "Ready", "status": "False", "reason": "RevisionMissing", "message": "no revision"}
    cluster.objects[ROUTE]["status"]["conditions"] = [failed]
    lines = apply_steps(cluster, steps(V1, V2))
    assert any("route/shop-ab: unchanged" in each for each in lines)
