"""How models are told to stand: made of an apply's own objects, with what clusters do to them."""

import pytest

from knative.api.client import Answer
from knative.api.errors import ObjectMissing
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.deploying.report import Model, look, models, urls
from knative.manifests import DeploymentOptions, desired
from knative.objects import Manifest, Ref
from tests.knative.deploying.test_apply import applied
from tests.knative.fake_cluster import FakeCluster
from tests.knative.manifests.test_steps import read, split, version

DOCUMENTS = (version("m-v1", "m", number="1"), version("m-v2", "m", number="2"), split("m-ab", "m-v1", "m-v2"))
STEPS = desired(read(*DOCUMENTS), DeploymentOptions(image="scalezero:0.1"))
SERVICE = Ref("Service", "m")
UNREACHABLE = Answer(503, b'{"models": {"m": {"code": "store_unreachable", "message": "the store cannot be reached"}}}')
UP = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    applied(made, STEPS)
    for ref, each in made.objects.items():
        each["metadata"].setdefault("namespace", "default")
        each["metadata"]["creationTimestamp"] = "2026-11-23T17:00:00Z"
        if ref.kind == "Revision":
            generation = {"m-v1": "2", "m-v2": "10"}[ref.name]
            each["metadata"]["labels"]["serving.knative.dev/configurationGeneration"] = generation
    return made


def pod(name: str, revision: str = "m-v1", *, status: Manifest | None = None, **metadata: str) -> Manifest:
    labels = {"serving.knative.dev/service": "m", "serving.knative.dev/revision": revision}
    return {"metadata": {"name": name, "labels": labels, **metadata}, "status": status or {"phase": "Running"}}


def model(cluster: FakeCluster) -> Model:
    (found,) = models(look(cluster, "m"))
    return found


def test_a_model_is_told_with_its_revisions_in_the_order_of_their_making(cluster: FakeCluster) -> None:
    told = model(cluster)
    assert (told.name, told.state, told.url, told.is_ready) == ("m", "Ready", "http://m.test", True)
    revisions = [(each.name, each.version, each.percent, each.tags, each.image) for each in told.revisions]
    assert revisions == [
        ("m-v1", "1", 50, ("v1",), "scalezero:0.1"),
        ("m-v2", "2", 50, ("v2",), "scalezero:0.1"),
    ]


def test_a_split_beside_the_service_is_told_with_it(cluster: FakeCluster) -> None:
    (told,) = model(cluster).splits
    assert (told.name, told.state, told.traffic) == ("m-ab", "Ready", {"m-v1": 50, "m-v2": 50})


def test_a_route_to_other_revisions_is_not_the_models(cluster: FakeCluster) -> None:
    cluster.objects[Ref("Route", "m-ab")]["spec"]["traffic"] = [{"latestRevision": True, "percent": 100}]
    assert model(cluster).splits == ()


def test_pods_that_take_requests_are_counted_beside_those_that_are_wanted(cluster: FakeCluster) -> None:
    cluster.objects[Ref("Revision", "m-v1")]["status"]["desiredReplicas"] = 3
    cluster.objects[Ref("Revision", "m-v2")]["status"]["desiredReplicas"] = -1
    cluster.pods = [pod("a", status=UP), pod("b"), pod("c", status=UP, deletionTimestamp="2026-11-23T17:00:00Z")]
    first, second = model(cluster).revisions
    assert (first.pods, first.wanted) == (1, 3)
    assert (second.pods, second.wanted) == (0, None)


def test_a_revision_that_was_ready_once_and_fails_now_is_told_as_its_pods_tell_it(cluster: FakeCluster) -> None:
    """Knative leaves it Ready."""
    ended = {"containerStatuses": [{"name": "model", "state": {"terminated": {"exitCode": 1, "message": "no model"}}}]}
    cluster.pods = [pod("a", status=ended)]
    told = model(cluster)
    assert (told.revisions[0].state, told.revisions[0].reason) == (
        "Failed",
        "its container ended with exit code 1: no model",
    )
    assert not told.is_ready
    assert (told.state, told.reason) == (
        "Failed",
        "m-v1 gets 50% of the traffic: its container ended with exit code 1: no model",
    )


def test_a_model_has_the_state_of_the_worst_revision_with_traffic(cluster: FakeCluster) -> None:
    starting = {"type": "Ready", "status": "Unknown", "reason": "Deploying"}
    cluster.objects[Ref("Revision", "m-v1")]["status"]["conditions"] = [starting]
    assert (model(cluster).state, model(cluster).reason[:4]) == ("Pending", "m-v1")
    break_v2(cluster)
    assert (model(cluster).state, model(cluster).reason[:4]) == ("Failed", "m-v2")


def test_a_pod_that_is_ending_is_nobodys_trouble(cluster: FakeCluster) -> None:
    cluster.pods = [pod("a", status={"containerStatuses": []}, deletionTimestamp="2026-11-23T17:00:00Z")]
    assert model(cluster).is_ready


def test_a_revision_on_its_way_says_what_its_pod_waits_for(cluster: FakeCluster) -> None:
    condition = {"type": "Ready", "status": "Unknown", "reason": "Deploying"}
    cluster.objects[Ref("Revision", "m-v2")]["status"]["conditions"] = [condition]
    assert model(cluster).revisions[1].reason == "its pod is started"
    cluster.pods, cluster.answers = [pod("a", "m-v2")], {"a": UNREACHABLE}
    told = model(cluster).revisions[1]
    assert (told.state, told.reason) == ("Pending", "the store cannot be reached")


def test_a_revision_that_was_ready_once_says_why_none_of_its_pods_is(cluster: FakeCluster) -> None:
    """The registry is away: the revision stays Ready, no pod of it does."""
    cluster.pods = [pod("a", status={"phase": "Running"})]
    cluster.answers = {"a": UNREACHABLE}
    first, _ = model(cluster).revisions
    assert (first.state, first.reason) == ("Ready", "the store cannot be reached")
    assert model(cluster).reason == "m-v1 gets 50% of the traffic: the store cannot be reached"
    cluster.pods.append(pod("b", status=UP))
    assert model(cluster).revisions[0].reason == ""


def test_a_revision_that_knative_gave_up_keeps_knatives_reason(cluster: FakeCluster) -> None:
    break_v2(cluster)
    cluster.pods = [pod("a", "m-v2")]
    assert model(cluster).revisions[1].reason == "its container ended with exit code 1: why"


def test_a_broken_revision_without_traffic_leaves_its_model_ready(cluster: FakeCluster) -> None:
    applied(cluster, desired(read(*DOCUMENTS[:2]), DeploymentOptions(image="scalezero:0.1")))
    traffic = [{"revisionName": "m-v1", "percent": 100}]
    for each in (SERVICE, Ref("Route", "m-ab")):
        cluster.change(each, manager="kn", traffic=traffic)
    break_v2(cluster)
    told = model(cluster)
    assert told.revisions[1].state == "Failed"
    assert told.is_ready
    assert (told.state, told.reason) == ("Ready", "")


def test_a_broken_revision_that_only_a_split_routes_to_leaves_its_model_not_ready(cluster: FakeCluster) -> None:
    cluster.change(SERVICE, manager="kn", traffic=[{"revisionName": "m-v1", "percent": 100}])
    break_v2(cluster)
    assert not model(cluster).is_ready


def test_a_revision_that_stands_in_a_split_twice_gets_the_sum(cluster: FakeCluster) -> None:
    shares = ({"revisionName": "m-v1", "percent": 100}, {"revisionName": "m-v1", "tag": "old"})
    cluster.change(Ref("Route", "m-ab"), manager="kn", traffic=shares)
    assert [each.traffic for each in model(cluster).splits] == [{"m-v1": 100}]


def break_v2(cluster: FakeCluster) -> None:
    condition = {"type": "Ready", "status": "False", "reason": "ExitCode1", "message": "Container failed with: why"}
    cluster.objects[Ref("Revision", "m-v2")]["status"]["conditions"] = [condition]


def test_only_what_scalezero_deployed_is_listed_unless_it_is_asked_for(cluster: FakeCluster) -> None:
    cluster.objects[SERVICE]["metadata"]["labels"] = {}
    assert models(look(cluster)) == ()
    assert model(cluster).name == "m"


def test_an_unknown_model_is_refused_by_name(cluster: FakeCluster) -> None:
    with pytest.raises(ObjectMissing, match="no Knative Service 'n'"):
        look(cluster, "n")


def test_what_was_applied_answers_at_these_addresses(cluster: FakeCluster) -> None:
    made = plan(STEPS, observe(cluster, STEPS))
    assert urls(cluster, made) == {
        "m": "http://m.test",
        "m (v1)": "",
        "m (v2)": "",
        "m-ab": "http://m-ab.test",
    }
