"""The state of models, read from objects that an apply created and that the tests then change as a cluster does."""

import json

import pytest

from knative.api.client import Answer
from knative.deploying.errors import NoService
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.deploying.report import Model, models, read_models, urls
from knative.manifests import DeploymentOptions, desired
from knative.objects import Manifest, Ref
from runtime.configuration.companions import Companion, render_companions
from runtime.variants.pinned import pinned_from, render
from tests.knative.deploying.applying import apply_steps
from tests.knative.documents import config, read, split, version
from tests.knative.fake_cluster import FakeCluster
from tests.knative.published import assessment, variant

DOCUMENTS = (version("m-v1", "m", number="1"), version("m-v2", "m", number="2"), split("m-ab", "m-v1", "m-v2"))
STEPS = desired(read(*DOCUMENTS), DeploymentOptions(image="scalezero:0.1"))
SERVICE = Ref("Service", "m")
UNREACHABLE = Answer(503, b'{"models": {"m": {"code": "store_unreachable", "message": "the store cannot be reached"}}}')
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster()
    apply_steps(fake, STEPS)
    for ref, each in fake.objects.items():
        each["metadata"].setdefault("namespace", "default")
        each["metadata"]["creationTimestamp"] = "2026-11-23T17:00:00Z"
        if ref.kind == "Revision":
            generation = {"m-v1": "2", "m-v2": "10"}[ref.name]
            each["metadata"]["labels"]["serving.knative.dev/configurationGeneration"] = generation
    return fake


def pod(name: str, revision: str = "m-v1", *, status: Manifest | None = None, **metadata: str) -> Manifest:
    labels = {"serving.knative.dev/service": "m", "serving.knative.dev/revision": revision}
    return {"metadata": {"name": name, "labels": labels, **metadata}, "status": status or {"phase": "Running"}}


def model(cluster: FakeCluster) -> Model:
    (found,) = models(read_models(cluster, "m"))
    return found


def test_the_revisions_of_a_model_are_in_the_order_of_their_creation(cluster: FakeCluster) -> None:
    reported = model(cluster)
    assert (reported.name, reported.state, reported.url, reported.is_ready) == ("m", "Ready", "http://m.test", True)
    revisions = [(each.name, each.version, each.percent, each.tags, each.image) for each in reported.revisions]
    assert revisions == [
        ("m-v1", "1", 50, ("v1",), "scalezero:0.1"),
        ("m-v2", "2", 50, ("v2",), "scalezero:0.1"),
    ]


def test_a_revision_has_the_companions_of_its_variables(cluster: FakeCluster) -> None:
    assert [each.companions for each in model(cluster).revisions] == [{}, {}]
    env = cluster.objects[Ref("Revision", "m-v2")]["spec"]["containers"][0]["env"]
    companions = render_companions([Companion("reader", "1.0", "s3://models/reader$.onnx")])
    env.append({"name": "SCALEZERO_COMPANIONS", "value": companions.replace("$", "$$")})
    assert [each.companions for each in model(cluster).revisions] == [{}, {"reader": "1.0"}]


def test_a_split_with_its_own_route_belongs_to_the_model(cluster: FakeCluster) -> None:
    (reported,) = model(cluster).splits
    assert (reported.name, reported.state, reported.traffic) == ("m-ab", "Ready", {"m-v1": 50, "m-v2": 50})


def test_a_route_to_other_revisions_does_not_belong_to_the_model(cluster: FakeCluster) -> None:
    cluster.objects[Ref("Route", "m-ab")]["spec"]["traffic"] = [{"latestRevision": True, "percent": 100}]
    assert model(cluster).splits == ()


def test_a_revision_has_its_number_of_ready_pods_and_of_wanted_pods(cluster: FakeCluster) -> None:
    cluster.objects[Ref("Revision", "m-v1")]["status"]["desiredReplicas"] = 3
    cluster.objects[Ref("Revision", "m-v2")]["status"]["desiredReplicas"] = -1
    cluster.pods = [pod("a", status=READY), pod("b"), pod("c", status=READY, deletionTimestamp="2026-11-23T17:00:00Z")]
    first, second = model(cluster).revisions
    assert (first.pods, first.wanted) == (1, 3)
    assert (second.pods, second.wanted) == (0, None)


def test_a_ready_revision_whose_pod_fails_now_has_failed(cluster: FakeCluster) -> None:
    """Knative keeps its condition Ready."""
    ended = {"containerStatuses": [{"name": "model", "state": {"terminated": {"exitCode": 1, "message": "no model"}}}]}
    cluster.pods = [pod("a", status=ended)]
    reported = model(cluster)
    assert (reported.revisions[0].state, reported.revisions[0].reason) == (
        "Failed",
        "its container ended with exit code 1: no model",
    )
    assert not reported.is_ready
    assert (reported.state, reported.reason) == (
        "Failed",
        "m-v1 gets 50% of the traffic: its container ended with exit code 1: no model",
    )


def test_a_model_has_the_state_of_the_worst_revision_with_traffic(cluster: FakeCluster) -> None:
    starting = {"type": "Ready", "status": "Unknown", "reason": "Deploying"}
    cluster.objects[Ref("Revision", "m-v1")]["status"]["conditions"] = [starting]
    assert (model(cluster).state, model(cluster).reason[:4]) == ("Pending", "m-v1")
    break_v2(cluster)
    assert (model(cluster).state, model(cluster).reason[:4]) == ("Failed", "m-v2")


def test_a_terminating_pod_does_not_affect_the_state(cluster: FakeCluster) -> None:
    cluster.pods = [pod("a", status={"containerStatuses": []}, deletionTimestamp="2026-11-23T17:00:00Z")]
    assert model(cluster).is_ready


def test_a_pending_revision_has_the_reason_of_its_pod(cluster: FakeCluster) -> None:
    condition = {"type": "Ready", "status": "Unknown", "reason": "Deploying"}
    cluster.objects[Ref("Revision", "m-v2")]["status"]["conditions"] = [condition]
    assert model(cluster).revisions[1].reason == "waiting for its pod to start"
    cluster.pods, cluster.answers = [pod("a", "m-v2")], {"a": UNREACHABLE}
    reported = model(cluster).revisions[1]
    assert (reported.state, reported.reason) == ("Pending", "the store cannot be reached")


def test_a_ready_revision_without_a_ready_pod_has_the_reason_of_its_pod(cluster: FakeCluster) -> None:
    """The registry cannot be reached: the revision stays Ready, but none of its pods becomes ready."""
    cluster.pods = [pod("a", status={"phase": "Running"})]
    cluster.answers = {"a": UNREACHABLE}
    first, _ = model(cluster).revisions
    assert (first.state, first.reason) == ("Ready", "the store cannot be reached")
    assert model(cluster).reason == "m-v1 gets 50% of the traffic: the store cannot be reached"
    cluster.pods.append(pod("b", status=READY))
    assert model(cluster).revisions[0].reason == ""


def test_a_revision_that_failed_keeps_the_reason_of_knative(cluster: FakeCluster) -> None:
    break_v2(cluster)
    cluster.pods = [pod("a", "m-v2")]
    assert model(cluster).revisions[1].reason == "its container ended with exit code 1: why"


def test_a_broken_revision_without_traffic_leaves_its_model_ready(cluster: FakeCluster) -> None:
    apply_steps(cluster, desired(read(*DOCUMENTS[:2]), DeploymentOptions(image="scalezero:0.1")))
    traffic = [{"revisionName": "m-v1", "percent": 100}]
    for each in (SERVICE, Ref("Route", "m-ab")):
        cluster.change(each, manager="kn", traffic=traffic)
    break_v2(cluster)
    reported = model(cluster)
    assert reported.revisions[1].state == "Failed"
    assert reported.is_ready
    assert (reported.state, reported.reason) == ("Ready", "")


def test_a_broken_revision_that_only_a_split_routes_to_leaves_its_model_not_ready(cluster: FakeCluster) -> None:
    cluster.change(SERVICE, manager="kn", traffic=[{"revisionName": "m-v1", "percent": 100}])
    break_v2(cluster)
    assert not model(cluster).is_ready


def test_the_shares_of_a_revision_that_is_twice_in_a_split_are_added(cluster: FakeCluster) -> None:
    shares = ({"revisionName": "m-v1", "percent": 100}, {"revisionName": "m-v1", "tag": "old"})
    cluster.change(Ref("Route", "m-ab"), manager="kn", traffic=shares)
    assert [each.traffic for each in model(cluster).splits] == [{"m-v1": 100}]


def break_v2(cluster: FakeCluster) -> None:
    condition = {"type": "Ready", "status": "False", "reason": "ExitCode1", "message": "Container failed with: why"}
    cluster.objects[Ref("Revision", "m-v2")]["status"]["conditions"] = [condition]


def test_a_service_that_scalezero_did_not_create_is_reported_only_by_name(cluster: FakeCluster) -> None:
    cluster.objects[SERVICE]["metadata"]["labels"] = {}
    assert models(read_models(cluster)) == ()
    assert model(cluster).name == "m"


def test_an_unknown_model_is_refused_by_name(cluster: FakeCluster) -> None:
    with pytest.raises(NoService, match="no model 'n' in namespace"):
        read_models(cluster, "n")


def test_the_urls_of_a_plan_are_those_of_its_services_tags_and_splits(cluster: FakeCluster) -> None:
    result = plan(STEPS, observe(cluster, STEPS))
    assert urls(cluster, result) == {
        "m": "http://m.test",
        "m (v1)": "",
        "m (v2)": "",
        "m-ab": "http://m-ab.test",
    }


def test_the_reason_of_a_failed_revision_names_an_oom_kill(cluster: FakeCluster) -> None:
    """Knative's condition has only the exit code 137."""
    break_v2(cluster)
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    cluster.pods = [pod("a", "m-v2", status={"containerStatuses": [{"name": "model", "lastState": killed}]})]
    assert "more memory than its limit" in model(cluster).revisions[1].reason


def test_a_service_that_failed_because_of_a_revision_has_the_reason_of_the_revision(cluster: FakeCluster) -> None:
    """Knative's condition has only the revision's name."""
    break_v2(cluster)
    missing = {"type": "RoutesReady", "status": "False", "reason": "RevisionMissing", "message": 'Revision "m-v2" ...'}
    cluster.objects[SERVICE]["status"]["conditions"] = [missing]
    assert (model(cluster).state, model(cluster).reason) == (
        "Failed",
        "m-v2: its container ended with exit code 1: why",
    )


def test_the_reason_of_a_service_is_that_of_the_revision_which_its_condition_names(cluster: FakeCluster) -> None:
    break_v2(cluster)
    other = {"type": "Ready", "status": "False", "reason": "ExitCode1", "message": "another cause"}
    cluster.objects[Ref("Revision", "m-v1")]["status"]["conditions"] = [other]
    missing = {"type": "RoutesReady", "status": "False", "reason": "RevisionMissing", "message": 'Revision "m-v1" ...'}
    cluster.objects[SERVICE]["status"]["conditions"] = [missing]
    assert model(cluster).reason == "m-v1: its container ended with exit code 1: another cause"


def test_a_revision_has_the_ranking_that_it_pins_and_what_its_ready_pods_serve(cluster: FakeCluster) -> None:
    measured = [assessment("intel-amx", "int8-nncf-openvino", {"int8-nncf-openvino": 5.0, "int8-dynamic": 2.0})]
    pinned = pinned_from([variant(), variant("int8-nncf-openvino"), variant("int8-dynamic")], measured)
    env = cluster.objects[Ref("Revision", "m-v1")]["spec"]["containers"][0]["env"]
    env.append({"name": "SCALEZERO_VARIANTS", "value": render(pinned)})
    cluster.pods = [pod("a", status=READY), pod("b", status=READY), pod("c")]
    facts = {"variant": "int8-dynamic", "provider": "CPUExecutionProvider", "cpu_class": "intel-amx"}
    body = json.dumps({"serving": {**facts, "not_served": {"int8-nncf-openvino": "it offers no device"}}})
    cluster.answers = {"a": Answer(200, body.encode()), "b": Answer(404, b"{}"), "c": Answer(200, body.encode())}
    first, second = model(cluster).revisions
    assert first.variants == {"intel-amx": ("int8-nncf-openvino", "int8-dynamic", "original")}
    assert {name: str(each) for name, each in first.serving.items()} == {
        "a": "int8-dynamic on CPUExecutionProvider, intel-amx; int8-nncf-openvino is not served: it offers no device"
    }
    assert (second.variants, second.serving) == ({}, {})


EVENTS = (
    "{triggers: [{type: a}, {name: rest, filters: [{cesql: 'TRUE'}, {exact: {type: b}}], broker: other}], "
    "sequence: {steps: [m, n], reply: {uri: 'http://x'}}, predictions: {sink: {broker: logs}}, createBroker: true, "
    "delivery: {deadLetterSink: {function: dead}}}"
)


def with_events(cluster: FakeCluster) -> FakeCluster:
    apply_steps(cluster, desired(read(DOCUMENTS[0], config(EVENTS, "m")), DeploymentOptions(image="scalezero:0.1")))
    for each in cluster.objects.values():
        each["metadata"].setdefault("namespace", "default")
        each["metadata"]["creationTimestamp"] = "2026-11-23T17:00:00Z"
    return cluster


def test_the_objects_for_the_events_of_a_model_are_reported_with_their_state() -> None:
    cluster = with_events(FakeCluster())
    cluster.objects[Ref("Broker", "default")]["status"]["address"] = {"url": "http://broker/default"}
    failed = {
        "type": "Ready",
        "status": "False",
        "reason": "BrokerDoesNotExist",
        "message": 'Broker "other" does not exist',
    }
    cluster.objects[Ref("Trigger", "m-rest")]["status"]["conditions"] = [failed]
    reported = model(cluster)
    assert [(each.kind, each.name, each.state, each.detail) for each in reported.events] == [
        ("Broker", "default", "Ready", "http://broker/default"),
        ("SinkBinding", "m", "Ready", "m -> broker logs"),
        ("Sequence", "m", "Ready", "m -> n -> http://x"),
        ("Trigger", "m", "Ready", "default -> sequence m  type=a  dead letters: dead"),
        ("Trigger", "m-rest", "Failed", "other -> sequence m  2 filters  dead letters: dead"),
    ]
    assert reported.events[-1].reason == 'BrokerDoesNotExist: Broker "other" does not exist'
    assert (reported.state, reported.is_ready) == ("Ready", False)


def test_the_trigger_of_someone_else_to_the_model_is_reported_too() -> None:
    cluster = with_events(FakeCluster())
    trigger = cluster.objects[Ref("Trigger", "m")]
    trigger["metadata"]["labels"] = {}
    trigger["spec"] = {"broker": "b", "subscriber": {"ref": {"kind": "Service", "name": "m"}}, "filters": [{}]}
    details = [each.detail for each in model(cluster).events if each.kind == "Trigger"]
    assert details[0] == "b -> m  1 filter"


def test_without_eventing_or_the_right_to_list_it_there_are_no_events() -> None:
    cluster = with_events(FakeCluster())
    cluster.missing_apis, cluster.forbidden = frozenset({"eventing.knative.dev/v1"}), frozenset({"Sequence"})
    assert [each.kind for each in model(cluster).events] == ["SinkBinding"]
