"""The objects for events that left the files: they are deleted if scalezero created them, and no one else uses them."""

import pytest

from knative.api.errors import Outrun
from knative.deploying.apply import carry_out
from knative.deploying.errors import RevisionFailed
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.objects import Ref
from tests.knative.deploying.applying import apply_steps, steps
from tests.knative.deploying.test_eventing_plan import (
    BINDING,
    BROKER,
    CREATES,
    LOGGED,
    SEQUENCE,
    TRIGGER,
    V1,
    V2,
    planned,
    variables,
)
from tests.knative.documents import config
from tests.knative.fake_cluster import FakeCluster


def test_triggers_and_sequences_that_left_the_files_are_deleted_last() -> None:
    """A Trigger that has another name delivers before the one that it replaces is deleted."""
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config("{triggers: [{type: a}], sequence: {steps: [shop]}}")))
    wanted = (V1, config("{triggers: [{name: new, type: a}]}"))
    left = {each: why for each, why in planned(cluster, *wanted).items() if why[0] == "delete"}
    assert left == dict.fromkeys(("trigger/shop", "sequence/shop"), ("delete", "no file declares it"))
    lines = apply_steps(cluster, steps(*wanted))
    assert lines[-3:] == ["trigger/shop-new: created", "trigger/shop: deleted", "sequence/shop: deleted"]
    assert {verb for verb, _ in planned(cluster, *wanted).values()} == {"keep"}


def test_a_trigger_that_is_being_deleted_is_not_deleted_again() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config("{triggers: [{type: a}]}")))
    cluster.objects[TRIGGER]["metadata"]["deletionTimestamp"] = "now"
    assert "trigger/shop" not in planned(cluster, V1)


def test_a_failed_apply_deletes_nothing_that_left_the_files() -> None:
    cluster = FakeCluster({"shop-v2": "no"})
    apply_steps(cluster, steps(V1, config("{triggers: [{type: a}]}")))
    wanted = steps(V1, V2)
    observed, lines = observe(cluster, wanted), list[str]()
    with pytest.raises(RevisionFailed):
        carry_out(
            plan(wanted, observed), observed, cluster, force=False, seconds=60, tell=lines.append, clock=cluster.clock
        )
    assert TRIGGER in cluster.objects
    assert "trigger/shop: skipped" in lines


def test_an_object_that_changed_since_the_plan_is_not_deleted() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config("{triggers: [{type: a}]}")))
    wanted = steps(V1)
    observed = observe(cluster, wanted)
    cluster.objects[TRIGGER]["metadata"]["generation"] += 1
    with pytest.raises(Outrun, match="trigger/shop changed during the command"):
        carry_out(plan(wanted, observed), observed, cluster, force=False, seconds=60, tell=print, clock=cluster.clock)
    assert TRIGGER in cluster.objects


@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/name": "shop"}, {"app.kubernetes.io/managed-by": "helm"}])
def test_an_object_that_scalezero_did_not_create_is_not_deleted(labels: dict[str, str]) -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config("{triggers: [{type: a}], sequence: {steps: [shop]}}")))
    for ref in (TRIGGER, SEQUENCE):
        cluster.objects[ref]["metadata"]["labels"] = labels
    apply_steps(cluster, steps(V1))
    assert {TRIGGER, SEQUENCE} <= set(cluster.objects)


def test_a_binding_that_left_the_files_is_deleted_before_the_new_revision_of_its_service() -> None:
    """Knative then leaves its variables out of the template, and changes no revision."""
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config(LOGGED)))
    cluster.unseen_bindings = 1
    lines = apply_steps(cluster, steps(V1, V2))
    waiting = "sinkbinding/shop: waiting for Knative to remove K_SINK from the Service"
    order = [lines.index(each) for each in ("sinkbinding/shop: deleted", waiting, "revision/shop-v2: created")]
    assert order == sorted(order)
    assert ("K_SINK" in variables(cluster, "shop-v1"), "K_SINK" in variables(cluster, "shop-v2")) == (True, False)
    assert BINDING not in cluster.objects


def test_an_apply_continues_after_the_binding_was_deleted_and_no_revision_was_created() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config(LOGGED)))
    cluster.delete(BINDING)
    apply_steps(cluster, steps(V1, V2))
    assert "K_SINK" not in variables(cluster, "shop-v2")
    assert BINDING not in cluster.objects


def test_a_binding_that_left_the_files_is_kept_without_a_new_revision() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config(LOGGED)))
    apply_steps(cluster, steps(V1, V2, config(LOGGED)))
    del cluster.objects[Ref("Revision", "shop-v2")]["metadata"]["annotations"]["scalezero.dev/inputs-sha256"]
    wanted = steps(V1, V2)
    made = plan(wanted, observe(cluster, wanted))
    assert [str(each.ref) for each in made.refusals] == ["revision/shop-v2"]  # its log is still on
    why = "no file declares it, and a revision has its variables; the deploy of a new ModelVersion deletes it"
    assert planned(cluster, V1, V2)["sinkbinding/shop"] == ("keep", why)


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_broker_that_loses_its_triggers_is_named_and_kept(is_ours: bool) -> None:  # noqa: FBT001 - a test case
    """It belongs to no function, and others may send to it."""
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config(CREATES)))
    if not is_ours:
        del cluster.objects[BROKER]["metadata"]["labels"]
    kubectl = "kubectl delete brokers.eventing.knative.dev/default"
    why = f"no file declares it, and others may send to it; {kubectl} deletes it"
    assert planned(cluster, V1).get("broker/default") == (("keep", why) if is_ours else None)
    assert "broker/default" not in planned(cluster, V1, config("{triggers: [{name: new}]}"))
    apply_steps(cluster, steps(V1))
    assert BROKER in cluster.objects
