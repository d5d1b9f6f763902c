"""The objects that a delete removes, their order, and the objects that it keeps."""

import pytest

from knative.deploying.errors import NotOurs, StillThere
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.deploying.removing import belongings, delete, kept_brokers
from knative.manifests import DeploymentOptions, desired
from knative.objects import Manifest, Ref
from tests.knative.deploying.applying import apply_steps
from tests.knative.documents import config, read, split, version
from tests.knative.fake_cluster import FakeCluster

OPTIONS = DeploymentOptions(image="scalezero:0.1")
DOCUMENTS = (version("a-v1", "a"), version("b-v1", "b"), split("ab", "a-v1", "b-v1"), split("a-only", "a-v1"))
SERVICE, ACCOUNT, ROUTE = Ref("Service", "a"), Ref("ServiceAccount", "a"), Ref("Route", "a-only")


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster()
    apply_steps(fake, desired(read(*DOCUMENTS), OPTIONS))
    return fake


def deleted(cluster: FakeCluster, *refs: Ref, seconds: float = 5.0) -> list[str]:
    lines: list[str] = []
    delete(cluster, refs, seconds=seconds, tell=lines.append, sleep=lambda _: None)
    return lines


def test_a_model_is_deleted_with_its_service_account_and_the_splits_of_its_revisions_alone(
    cluster: FakeCluster,
) -> None:
    assert belongings(cluster, "a") == (ROUTE, SERVICE, ACCOUNT)
    assert belongings(cluster, "b") == (Ref("Service", "b"), Ref("ServiceAccount", "b"))


def test_a_service_account_that_scalezero_did_not_create_is_not_deleted(cluster: FakeCluster) -> None:
    cluster.objects[ACCOUNT]["metadata"]["labels"] = {}
    assert ACCOUNT not in belongings(cluster, "a")


def test_the_route_that_knative_created_for_the_service_is_left_to_knative(cluster: FakeCluster) -> None:
    cluster.objects[ROUTE]["metadata"]["labels"]["serving.knative.dev/service"] = "a"
    assert belongings(cluster, "a") == (SERVICE, ACCOUNT)


def test_no_object_is_deleted_before_the_objects_that_depend_on_it(cluster: FakeCluster) -> None:
    assert deleted(cluster, ACCOUNT, SERVICE, ROUTE) == [
        "route/a-only: deleted",
        "service/a: deleted",
        "serviceaccount/a: deleted",
    ]


def test_a_second_delete_succeeds(cluster: FakeCluster) -> None:
    deleted(cluster, SERVICE)
    assert deleted(cluster, SERVICE) == ["service/a: not found"]


@pytest.mark.parametrize("manager", [None, "helm"])
def test_nothing_is_deleted_if_scalezero_did_not_create_one_of_the_objects(
    cluster: FakeCluster, manager: str | None
) -> None:
    labels: Manifest = {"app.kubernetes.io/managed-by": manager} if manager else {}
    cluster.objects[SERVICE]["metadata"]["labels"] = labels
    with pytest.raises(NotOurs, match="service/a was not created by scalezero"):
        deleted(cluster, ROUTE, SERVICE)
    assert ROUTE in cluster.objects


def test_a_delete_waits_for_the_revisions_of_the_service(cluster: FakeCluster) -> None:
    cluster.collects_garbage = False
    with pytest.raises(StillThere, match="revision/a-v1 still exists 0 s after its deletion"):
        deleted(cluster, SERVICE, seconds=0)


def test_a_delete_succeeds_when_the_revisions_are_collected_later(cluster: FakeCluster) -> None:
    cluster.collects_garbage = False

    def collect(_: float) -> None:
        del cluster.objects[Ref("Revision", "a-v1")]

    delete(cluster, [SERVICE], seconds=60, tell=lambda _: None, sleep=collect)
    assert Ref("Revision", "a-v1") not in cluster.objects


def test_an_object_that_still_exists_is_named(cluster: FakeCluster) -> None:
    class Stuck(FakeCluster):
        def delete(self, ref: Ref, *, seen: Manifest | None = None) -> bool:  # noqa: ARG002 - the signature of the base class
            return ref in self.objects

    cluster.__class__ = Stuck
    with pytest.raises(StillThere, match="service/a still exists"):
        deleted(cluster, SERVICE, seconds=0)


def test_a_deleted_model_can_be_deployed_again(cluster: FakeCluster) -> None:
    deleted(cluster, *belongings(cluster, "a"))
    wanted = desired(read(version("a-v1", "a")), OPTIONS)
    apply_steps(cluster, wanted)
    assert plan(wanted, observe(cluster, wanted)).changes == ()


EVENTS = "{createBroker: true, triggers: [{}], sequence: {steps: [a]}, predictions: {sink: {broker: default}}}"
BROKER, TRIGGER = Ref("Broker", "default"), Ref("Trigger", "a")


@pytest.fixture
def with_events() -> FakeCluster:
    fake = FakeCluster()
    fake.namespace = "default"
    apply_steps(fake, desired(read(*DOCUMENTS, config(EVENTS, "a")), OPTIONS))
    return fake


def test_the_objects_for_the_events_of_a_model_are_deleted_with_it(with_events: FakeCluster) -> None:
    assert deleted(with_events, *belongings(with_events, "a")) == [
        "trigger/a: deleted",
        "sequence/a: deleted",
        "route/a-only: deleted",
        "service/a: deleted",
        "sinkbinding/a: deleted",
        "serviceaccount/a: deleted",
        "broker/default: deleted",
    ]


def test_a_broker_that_other_functions_use_is_kept(with_events: FakeCluster) -> None:
    apply_steps(with_events, desired(read(version("b-v1", "b"), config("{triggers: [{}]}", "b")), OPTIONS))
    (kept,) = kept_brokers(with_events, belongings(with_events, "a"))
    assert str(kept) == "broker/default: kept, still used by trigger/b"
    assert kept_brokers(with_events, (*belongings(with_events, "a"), Ref("Trigger", "b"))) == ()


def test_a_broker_that_scalezero_did_not_create_is_kept(with_events: FakeCluster) -> None:
    with_events.objects[BROKER]["metadata"]["labels"] = {}
    assert BROKER not in belongings(with_events, "a")
    (kept,) = kept_brokers(with_events, [BROKER, TRIGGER])
    assert str(kept).startswith(
        "broker/default: kept; to delete it: kubectl delete brokers.eventing.knative.dev/default"
    )


def test_declared_objects_for_events_do_not_exist_without_eventing(cluster: FakeCluster) -> None:
    cluster.missing_apis = frozenset({"eventing.knative.dev/v1"})
    cluster.namespace = "default"
    assert belongings(cluster, "a") == (ROUTE, SERVICE, ACCOUNT)
    assert kept_brokers(cluster, [BROKER, TRIGGER]) == ()
    assert deleted(cluster, TRIGGER, SERVICE) == ["trigger/a: not found", "service/a: deleted"]
