"""What a delete takes away, in which order, and what it leaves alone."""

import pytest

from knative.deploying.errors import NotOurs, StillThere
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.deploying.removing import belongings, delete
from knative.manifests import DeploymentOptions, desired
from knative.objects import Manifest, Ref
from tests.knative.deploying.test_apply import applied
from tests.knative.fake_cluster import FakeCluster
from tests.knative.manifests.test_steps import read, split, version

OPTIONS = DeploymentOptions(image="scalezero:0.1")
DOCUMENTS = (version("a-v1", "a"), version("b-v1", "b"), split("ab", "a-v1", "b-v1"), split("a-only", "a-v1"))
SERVICE, ACCOUNT, ROUTE = Ref("Service", "a"), Ref("ServiceAccount", "a"), Ref("Route", "a-only")


class Collecting(FakeCluster):
    """Takes the revisions away with their Service, as a garbage collector does, or does not come to it."""

    collects = True

    def delete(self, ref: Ref) -> bool:
        if ref.kind == "Service" and self.collects:
            for each in self.list("Revision", labels={"serving.knative.dev/service": ref.name}):
                del self.objects[Ref("Revision", each["metadata"]["name"])]
        return super().delete(ref)


@pytest.fixture
def cluster() -> Collecting:
    made = Collecting()
    applied(made, desired(read(*DOCUMENTS), OPTIONS))
    return made


def removed(cluster: FakeCluster, *refs: Ref, seconds: float = 5.0) -> list[str]:
    said: list[str] = []
    delete(cluster, refs, seconds=seconds, tell=said.append, sleep=lambda _: None)
    return said


def test_a_model_takes_along_its_account_and_the_splits_that_lead_to_it_alone(cluster: Collecting) -> None:
    assert belongings(cluster, "a") == (ROUTE, SERVICE, ACCOUNT)
    assert belongings(cluster, "b") == (Ref("Service", "b"), Ref("ServiceAccount", "b"))


def test_an_account_that_somebody_else_made_is_not_the_models(cluster: Collecting) -> None:
    cluster.objects[ACCOUNT]["metadata"]["labels"] = {}
    assert ACCOUNT not in belongings(cluster, "a")


def test_the_route_that_knative_makes_for_a_service_goes_with_it(cluster: Collecting) -> None:
    cluster.objects[ROUTE]["metadata"]["labels"]["serving.knative.dev/service"] = "a"
    assert belongings(cluster, "a") == (SERVICE, ACCOUNT)


def test_nothing_loses_what_it_stands_on(cluster: Collecting) -> None:
    assert removed(cluster, ACCOUNT, SERVICE, ROUTE) == [
        "route/a-only: deleted",
        "service/a: deleted",
        "serviceaccount/a: deleted",
    ]


def test_a_second_delete_finds_nothing_and_is_well(cluster: Collecting) -> None:
    removed(cluster, SERVICE)
    assert removed(cluster, SERVICE) == ["service/a: not found"]


@pytest.mark.parametrize("manager", [None, "helm"])
def test_one_object_of_somebody_else_keeps_all_of_them(cluster: Collecting, manager: str | None) -> None:
    labels: Manifest = {"app.kubernetes.io/managed-by": manager} if manager else {}
    cluster.objects[SERVICE]["metadata"]["labels"] = labels
    with pytest.raises(NotOurs, match="service/a was not created by scalezero"):
        removed(cluster, ROUTE, SERVICE)
    assert ROUTE in cluster.objects


def test_a_model_is_gone_when_its_revisions_are(cluster: Collecting) -> None:
    cluster.collects = False
    with pytest.raises(StillThere, match="revision/a-v1 still exists 0 s after its deletion"):
        removed(cluster, SERVICE, seconds=0)


def test_a_garbage_collector_may_take_its_time(cluster: Collecting) -> None:
    cluster.collects = False

    def collect(_: float) -> None:
        del cluster.objects[Ref("Revision", "a-v1")]

    delete(cluster, [SERVICE], seconds=60, tell=lambda _: None, sleep=collect)
    assert Ref("Revision", "a-v1") not in cluster.objects


def test_what_does_not_go_is_named(cluster: Collecting) -> None:
    class Stuck(Collecting):
        def delete(self, ref: Ref) -> bool:
            return ref in self.objects

    cluster.__class__ = Stuck
    with pytest.raises(StillThere, match="service/a still exists"):
        removed(cluster, SERVICE, seconds=0)


def test_what_was_deleted_can_be_made_again(cluster: Collecting) -> None:
    removed(cluster, *belongings(cluster, "a"))
    wanted = desired(read(version("a-v1", "a")), OPTIONS)
    applied(cluster, wanted)
    assert plan(wanted, observe(cluster, wanted)).changes == ()
