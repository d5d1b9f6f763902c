"""The objects for events in a plan and its execution: their order, and the changes that Knative would refuse."""

from copy import deepcopy
from typing import Any

import pytest

from knative.api.errors import EventingMissing, Outrun
from knative.deploying.apply import carry_out
from knative.deploying.errors import NotReadyInTime, ObjectFailed, PlanRefused
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.manifests import Step
from knative.objects import Manifest, Ref
from tests.knative.deploying.applying import apply_steps, steps
from tests.knative.documents import config, version
from tests.knative.fake_cluster import FakeCluster

V1, V2 = version("shop-v1", "shop", number="1"), version("shop-v2", "shop", number="2")
SERVICE, TRIGGER, BINDING = Ref("Service", "shop"), Ref("Trigger", "shop"), Ref("SinkBinding", "shop")
BROKER, SEQUENCE = Ref("Broker", "default"), Ref("Sequence", "shop")
LOGGED = "{predictions: {sink: {broker: logs}}}"
ALL = (
    "{createBroker: true, triggers: [{type: a}], sequence: {steps: [shop]}, predictions: {sink: {broker: default}}, "
    "delivery: {deadLetterSink: {function: dead}}}"
)


def planned(cluster: FakeCluster, *documents: str) -> dict[str, tuple[str, str]]:
    """Return the verb and the reason for each object."""
    wanted = steps(*documents)
    return {str(each.ref): (each.verb, each.why) for each in plan(wanted, observe(cluster, wanted)).actions}


def own(cluster: FakeCluster, ref: Ref, fields: Manifest) -> None:
    """Record that scalezero has applied these fields of a spec."""
    entry = {"manager": "scalezero", "operation": "Apply", "fieldsV1": {"f:spec": fields}}
    cluster.objects[ref]["metadata"]["managedFields"] = [entry]


def variables(cluster: FakeCluster, revision: str) -> list[str]:
    (container,) = cluster.objects[Ref("Revision", revision)]["spec"]["containers"]
    return [each["name"] for each in container["env"]]


def test_a_new_function_gets_its_events_after_its_traffic() -> None:
    cluster = FakeCluster()
    lines = apply_steps(cluster, steps(V1, config(ALL)))
    order = [
        "broker/default",
        "sinkbinding/shop",
        "serviceaccount/shop",
        "service/shop",
        "sequence/shop",
        "trigger/shop",
    ]
    assert [str(ref) for ref, _ in cluster.applied] == order
    assert "trigger/shop: created" in lines
    assert "K_SINK" in variables(cluster, "shop-v1")
    assert {verb for verb, _ in planned(cluster, V1, config(ALL)).values()} == {"keep"}


def test_triggers_change_without_a_new_revision() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1))
    apply_steps(cluster, steps(V1, config("{triggers: [{type: a}]}")))
    apply_steps(cluster, steps(V1, config("{triggers: [{type: b}]}")))
    assert cluster.objects[TRIGGER]["spec"]["filter"] == {"attributes": {"type": "b"}}
    assert [ref.name for ref in cluster.objects if ref.kind == "Revision"] == ["shop-v1"]


@pytest.mark.parametrize("kind", ["eventing.knative.dev/v1", "flows.knative.dev/v1", "sources.knative.dev/v1"])
def test_without_an_api_of_eventing_nothing_is_applied(kind: str) -> None:
    cluster = FakeCluster()
    cluster.missing_apis = frozenset({kind})
    with pytest.raises(EventingMissing, match=f"no Knative Eventing: the API {kind} is missing; install Eventing, or"):
        apply_steps(cluster, steps(V1, config(ALL)))
    assert cluster.applied == []


@pytest.mark.parametrize("is_missing", [True, False])
def test_a_function_without_events_needs_neither_eventing_nor_rights_for_it(is_missing: bool) -> None:  # noqa: FBT001 - a test case
    cluster = FakeCluster()
    if is_missing:
        cluster.missing_apis = frozenset({"eventing.knative.dev/v1", "flows.knative.dev/v1", "sources.knative.dev/v1"})
    else:
        cluster.forbidden = frozenset({"Broker", "Trigger", "Sequence", "SinkBinding"})
    apply_steps(cluster, steps(V1))
    assert planned(cluster, V1)["service/shop"] == ("keep", "")


def test_a_trigger_that_is_not_ready_stops_the_apply_with_its_reason() -> None:
    cluster = FakeCluster()
    failed = {
        "type": "Ready",
        "status": "False",
        "reason": "BrokerDoesNotExist",
        "message": 'Broker "default" does not exist',
    }
    wanted = steps(V1, config("{triggers: [{}]}"))
    apply_steps(cluster, steps(V1))
    live = deepcopy(wanted[-1].manifest)
    live["metadata"] |= {"generation": 1, "resourceVersion": "1", "uid": "a"}
    cluster.objects[TRIGGER] = {**live, "status": {"observedGeneration": 1, "conditions": [failed]}}
    with pytest.raises(ObjectFailed, match='trigger/shop failed: BrokerDoesNotExist: Broker "default" does not exist'):
        apply_steps(cluster, wanted)


def test_a_binding_is_written_before_the_revision_that_gets_its_variables() -> None:
    """Knative learns of the binding a moment after it was applied."""
    cluster = FakeCluster()
    cluster.unseen_bindings = 1
    lines = apply_steps(cluster, steps(V1, V2, config(LOGGED)))
    assert variables(cluster, "shop-v1")[-1] == variables(cluster, "shop-v2")[-1] == "K_SINK"
    waiting = "sinkbinding/shop: waiting for Knative to add K_SINK to the Service; the sink has to exist"
    assert lines.index(waiting) < lines.index("revision/shop-v1: created")


def test_a_revision_without_the_variables_is_not_created() -> None:
    cluster = FakeCluster()
    cluster.unseen_bindings = 1000
    with pytest.raises(
        NotReadyInTime, match=r"sinkbinding/shop is not Ready after .*: waiting for Knative to add K_SINK"
    ):
        apply_steps(cluster, steps(V1, config(LOGGED)), seconds=2.0)
    assert SERVICE not in cluster.objects


def test_a_binding_is_added_and_changed_together_with_a_new_version() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1))
    cluster.objects[SERVICE]["status"]["latestReadyRevisionName"] = "shop-v1"
    refused, why = planned(cluster, V1, config(LOGGED.replace("logs", "x")))["sinkbinding/shop"]
    assert refused == "refuse"
    assert why.startswith("it changes the variables of a revision, and a revision never changes; declare another Model")
    apply_steps(cluster, steps(V1, V2, config(LOGGED)))
    assert ("K_SINK" in variables(cluster, "shop-v1"), "K_SINK" in variables(cluster, "shop-v2")) == (False, True)
    other = config(LOGGED.replace("logs", "other"))
    with pytest.raises(PlanRefused, match="sinkbinding/shop: it changes the variables of a revision"):
        apply_steps(cluster, steps(V1, V2, other))
    apply_steps(cluster, steps(V1, V2, version("shop-v3", "shop", number="3"), other))
    assert cluster.objects[BINDING]["spec"]["sink"]["ref"]["name"] == "other"
    assert cluster.objects[SERVICE]["spec"]["traffic"][0]["percent"] == 100


def test_the_variables_of_a_binding_are_no_difference_of_a_revision() -> None:
    """Also if the revision has no digest of what was declared for it."""
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config(LOGGED)))
    del cluster.objects[Ref("Revision", "shop-v1")]["metadata"]["annotations"]["scalezero.dev/inputs-sha256"]
    assert planned(cluster, V1, config(LOGGED))["revision/shop-v1"] == ("keep", "")


def test_the_broker_of_a_trigger_never_changes() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config("{triggers: [{}]}")))
    why = (
        "Knative never changes the Broker of a Trigger; give the trigger another name: the deploy creates it, "
        "and deletes this one"
    )
    assert planned(cluster, V1, config("{broker: other, triggers: [{}]}"))["trigger/shop"] == ("refuse", why)


def test_the_class_of_a_broker_never_changes() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config("{createBroker: true, brokerClass: MTChannelBasedBroker}")))
    verb, why = planned(cluster, V1, config("{createBroker: true, brokerClass: Kafka}"))["broker/default"]
    assert (verb, why.partition(";")[0]) == ("refuse", "Knative never changes the class of a Broker")


def test_a_broker_that_someone_else_created_is_used_as_it_is() -> None:
    cluster = FakeCluster()
    metadata = {"name": "default", "generation": 1, "resourceVersion": "1", "uid": "a"}
    status = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    broker = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "metadata": metadata, "status": status}
    cluster.objects[BROKER] = broker
    wanted = (V1, config("{createBroker: true, brokerClass: Kafka}"))
    assert planned(cluster, *wanted)["broker/default"] == ("keep", "it exists, and scalezero did not create it")
    apply_steps(cluster, steps(*wanted))
    assert cluster.objects[BROKER] == broker


CREATES = "{createBroker: true, triggers: [{type: a}]}"


def other_function() -> tuple[Step, ...]:
    return steps(version("till-v1", "till", number="1"), config(CREATES, "till"))


def test_deploys_that_create_the_same_broker_at_once_all_finish() -> None:
    """Each plan was made before any of them had created it."""
    cluster = FakeCluster()
    plans = [(plan(each, {}), list[str]()) for each in (steps(V1, config(CREATES)), other_function())]
    for made, lines in plans:
        carry_out(made, {}, cluster, force=False, seconds=60, tell=lines.append, clock=cluster.clock)
    assert [ref for ref, _ in cluster.applied].count(BROKER) == 1
    assert ["broker/default: created" in lines for _, lines in plans] == [True, False]
    assert "broker/default: applied before" in plans[1][1]
    assert {TRIGGER, Ref("Trigger", "till")} <= set(cluster.objects)


def test_a_broker_that_another_deploy_creates_during_the_write_is_used() -> None:
    class Racing(FakeCluster):
        def apply(self, manifest: Manifest, **options: Any) -> Manifest:  # noqa: ANN401 - as the real one
            if manifest["kind"] == "Broker" and BROKER not in self.objects:
                super().apply(manifest, **options)
                raise Outrun(str(BROKER))  # 409 AlreadyExists
            return super().apply(manifest, **options)

    cluster = Racing()
    assert "broker/default: applied before" in apply_steps(cluster, steps(V1, config(CREATES)))


def test_a_broker_of_another_class_that_was_created_since_the_plan_is_not_overwritten() -> None:
    cluster = FakeCluster()
    made = plan(steps(V1, config("{createBroker: true, brokerClass: Kafka}")), {})
    apply_steps(cluster, other_function())
    with pytest.raises(Outrun, match="broker/default changed during the command; run it again"):
        carry_out(made, {}, cluster, force=False, seconds=60, tell=print, clock=cluster.clock)
    assert "annotations" not in cluster.objects[BROKER]["metadata"]


def test_a_broker_that_someone_else_created_since_the_plan_is_used_as_it_is() -> None:
    cluster = FakeCluster()
    wanted = steps(V1, config(CREATES))
    made = plan(wanted, {})
    apply_steps(cluster, other_function())
    del cluster.objects[BROKER]["metadata"]["labels"]
    carry_out(made, {}, cluster, force=False, seconds=60, tell=print, clock=cluster.clock)
    assert "labels" not in cluster.objects[BROKER]["metadata"]


@pytest.mark.parametrize(
    ("declared", "live", "owned", "path"),
    [
        (
            "{triggers: [{type: a}]}",
            {"filter": {"attributes": {"type": "a", "source": "b"}}},
            {"f:filter": {"f:attributes": {"f:type": {}, "f:source": {}}}},
            "spec.filter.attributes.source",
        ),
        ("{triggers: [{type: a}]}", {"delivery": {"retry": 3}}, {"f:delivery": {"f:retry": {}}}, "spec.delivery"),
        (
            "{triggers: [{filters: [{exact: {type: a}}]}]}",
            {"filters": [{"exact": {"type": "a", "source": "b"}}, {"cesql": "TRUE"}]},
            {"f:filters": {}},
            "spec.filters[0].exact.source",
        ),
    ],
)
def test_a_field_that_left_the_files_is_a_change(declared: str, live: Manifest, owned: Manifest, path: str) -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config(declared)))
    cluster.objects[TRIGGER]["spec"] |= live
    own(cluster, TRIGGER, owned)
    wanted = steps(V1, config(declared))
    action = next(each for each in plan(wanted, observe(cluster, wanted)).actions if each.ref == TRIGGER)
    assert action.verb == "change"
    assert path in [each.path for each in action.differences]


def test_a_field_of_another_manager_and_a_default_of_knative_are_no_changes() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, steps(V1, config("{sequence: {steps: [shop]}, triggers: [{}]}")))
    cluster.objects[TRIGGER]["spec"]["delivery"] = {"retry": 3}
    cluster.objects[TRIGGER]["spec"]["filter"] = {}
    cluster.objects[TRIGGER]["spec"]["subscriber"]["ref"]["namespace"] = "default"
    cluster.objects[SEQUENCE]["spec"]["steps"][0]["ref"]["namespace"] = "default"
    own(cluster, TRIGGER, {"f:broker": {}, "f:subscriber": {"f:ref": {"f:kind": {}, "f:name": {}}}})
    own(cluster, SEQUENCE, {"f:steps": {}})
    found = planned(cluster, V1, config("{sequence: {steps: [shop]}, triggers: [{}]}"))
    assert {verb for verb, _ in found.values()} == {"keep"}


def test_a_failed_apply_names_the_objects_for_events_that_it_skipped() -> None:
    cluster = FakeCluster({"shop-v1": "no"})
    lines: list[str] = []
    wanted = steps(V1, config("{triggers: [{}]}"))
    with pytest.raises(Exception, match="revision shop-v1 failed"):
        carry_out(plan(wanted, {}), {}, cluster, force=False, seconds=60, tell=lines.append, clock=cluster.clock)
    assert lines[-1] == "trigger/shop: skipped"
    assert TRIGGER not in cluster.objects
