"""Whether what was applied is up, by the conditions that Kubernetes 1.34 and Knative 1.21 were seen to write."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.deploying.readiness import (
    Failed,
    Pending,
    Readiness,
    Ready,
    is_up,
    pod_readiness,
    readiness_of,
    routed,
    shares,
)
from knative.objects import Manifest

NO_NODE = "0/1 nodes are available: 1 Insufficient cpu."
ENDED = "s3://models/m-v1.onnx: there is no such object"


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    told = {"type": kind, "status": status, "reason": reason, "message": message}
    return {name: value for name, value in told.items() if value}


def knative(kind: str, *conditions: dict[str, str], generation: int = 1, observed: int = 1, **more: object) -> Manifest:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": kind,
        "metadata": {"name": "m", "generation": generation},
        "spec": {},
        "status": {"observedGeneration": observed, "conditions": list(conditions)},
        **more,
    }


def deployment(
    *conditions: dict[str, str], wanted: int | None = None, updated: int = 0, available: int = 0, old: int = 0
) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "m", "generation": 1},
        "spec": {} if wanted is None else {"replicas": wanted},
        "status": {
            "observedGeneration": 1,
            "replicas": updated + old,
            "updatedReplicas": updated,
            "availableReplicas": available,
            "conditions": list(conditions),
        },
    }


def pod(*containers: Manifest, conditions: tuple[dict[str, str], ...] = (), **metadata: str) -> Manifest:
    return {
        "metadata": {"name": "p", **metadata},
        "status": {"containerStatuses": list(containers), "conditions": list(conditions)},
    }


def routing(*targets: Manifest, had: tuple[Manifest, ...] | None = None) -> dict[str, Any]:
    conditions = [condition("RoutesReady", "True"), condition("Ready", "True")]
    traffic = list(targets if had is None else had)
    return {
        "spec": {"traffic": list(targets)},
        "status": {"observedGeneration": 1, "conditions": conditions, "traffic": traffic},
    }


@pytest.mark.parametrize(
    ("condition_of_it", "judged"),
    [
        pytest.param(condition("Ready", "True"), Ready(), id="up"),
        pytest.param(condition("Active", "False", "NoTraffic"), Pending("Knative has not looked at it yet"), id="new"),
        pytest.param(
            condition("Ready", "Unknown", "Deploying"), Pending("its pod is started"), id="a reason as a phrase"
        ),
        pytest.param(
            condition("Ready", "Unknown", "Odd", "Something new."), Pending("Odd: Something new."), id="another reason"
        ),
        pytest.param(
            condition("Ready", "False", "Unschedulable", NO_NODE),
            Pending(f"no node has room for its pod: {NO_NODE}"),
            id="a node may come",
        ),
        pytest.param(
            condition("Ready", "False", "ExitCode1", f"Container failed with: {ENDED}"),
            Failed(f"its container ended with exit code 1: {ENDED}"),
            id="the runtime's own reason",
        ),
        pytest.param(
            condition("Ready", "False", "ExitCodes", "Several."), Failed("ExitCodes: Several."), id="no exit code"
        ),
        pytest.param(
            condition("Ready", "False", "ProgressDeadlineExceeded", "ReplicaSet timed out."),
            Failed("it was not up within its progress deadline: ReplicaSet timed out."),
            id="too late",
        ),
        pytest.param(
            condition("Ready", "False", "ContainerMissing", "ContainerMissing: no image"),
            Failed("ContainerMissing: no image"),
            id="a reason that the message repeats",
        ),
        pytest.param(condition("Ready", "False", "", "It is broken."), Failed("It is broken."), id="no reason"),
    ],
)
def test_a_revision_is_judged_by_its_condition_ready(condition_of_it: dict[str, str], judged: Readiness) -> None:
    assert readiness_of(knative("Revision", condition_of_it)) == judged


def test_a_condition_of_an_earlier_generation_says_nothing_of_this_one() -> None:
    manifest = knative("Revision", condition("Ready", "True"), generation=2)
    assert readiness_of(manifest) == Pending("Knative has not looked at it yet")


def test_what_has_no_readiness_is_up_when_it_is_there() -> None:
    assert readiness_of({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "m"}}) == Ready()


def test_a_service_is_up_when_its_traffic_is_where_it_should_be_whatever_its_latest_revision_does() -> None:
    target = {"revisionName": "m-v1", "percent": 100}
    manifest = knative("Service", **routing(target))
    manifest["status"]["conditions"].append(condition("ConfigurationsReady", "False", "RevisionFailed", "v2 failed"))
    assert readiness_of(manifest) == Ready()


def test_routes_that_were_ready_before_the_template_changed_say_nothing() -> None:
    """Knative looks at the routes only after it has looked at the template, and leaves their old condition there."""
    manifest = knative("Service", **routing({"revisionName": "m-v1", "percent": 100}))
    manifest["status"]["conditions"].append(condition("ConfigurationsReady", "Unknown", "OutOfDate", "Still working."))
    assert readiness_of(manifest) == Pending("Knative has not looked at it yet")


def test_a_service_without_routes_is_on_its_way() -> None:
    manifest = knative("Service", condition("RoutesReady", "Unknown", "IngressNotConfigured", "Not yet."))
    assert readiness_of(manifest) == Pending("the gateway takes its routes")


@pytest.mark.parametrize("kind", ["Route", "Service"])
def test_traffic_that_is_wanted_and_not_routed_yet_is_waited_for(kind: str) -> None:
    wanted, had = {"revisionName": "m-v2", "percent": 100}, {"revisionName": "m-v1", "percent": 100}
    assert readiness_of(knative(kind, **routing(wanted, had=(had,)))) == Pending("the traffic moves")
    assert readiness_of(knative(kind, **routing(wanted))) == Ready()


def test_traffic_that_follows_the_latest_revision_is_routed_when_its_name_is_filled_in() -> None:
    wanted = {"latestRevision": True, "percent": 100}
    assert routed(knative("Service", **routing(wanted, had=({**wanted, "revisionName": "m-v7"},))))


targets = st.fixed_dictionaries(
    {"revisionName": st.sampled_from(["m-v1", "m-v2"]), "percent": st.integers(0, 100)},
    optional={"tag": st.sampled_from(["v1", "v2"])},
)


@given(st.lists(targets, max_size=4), st.randoms(use_true_random=False))
def test_what_knative_adds_to_traffic_and_its_order_change_nothing(traffic: list[Manifest], dice: Random) -> None:
    written = [{**each, "latestRevision": False, "url": "http://there"} for each in traffic]
    dice.shuffle(written)
    assert shares(traffic) == shares(written)


def test_nothing_is_the_share_of_no_percent() -> None:
    assert shares([{"revisionName": "m-v1", "tag": "v1"}]) == shares(
        [{"revisionName": "m-v1", "tag": "v1", "percent": 0}]
    )
    assert shares(None) == set()


@pytest.mark.parametrize(
    ("manifest", "judged"),
    [
        pytest.param(deployment(wanted=2, updated=2, available=2), Ready(), id="all pods are up"),
        pytest.param(deployment(wanted=2, updated=2, available=1), Pending("1 of 2 pods are up"), id="one is missing"),
        pytest.param(
            deployment(wanted=2, updated=1, available=1), Pending("1 of 2 pods are up"), id="one is not made yet"
        ),
        pytest.param(
            deployment(wanted=1, updated=1, available=1, old=1),
            Pending("1 of its earlier pods are left"),
            id="only an old one is up",
        ),
        pytest.param(deployment(updated=1, available=1), Ready(), id="one pod where no number is said"),
        pytest.param(
            deployment(condition("Progressing", "False", "ProgressDeadlineExceeded", "Timed out."), wanted=1),
            Failed("it was not up within its progress deadline: Timed out."),
            id="too late",
        ),
    ],
)
def test_a_deployment_is_judged_by_its_pods(manifest: Manifest, judged: Readiness) -> None:
    assert readiness_of(manifest) == judged


def container(*, ready: bool = False, last: Manifest | None = None, **state: Manifest) -> Manifest:
    return {"name": "model", "ready": ready, "state": state, "lastState": {"terminated": last} if last else {}}


@pytest.mark.parametrize(
    ("manifest", "judged"),
    [
        pytest.param(pod(conditions=(condition("Ready", "True"),)), Ready(), id="up"),
        pytest.param({"metadata": {"name": "p"}}, Pending("its pod is started"), id="nothing is known"),
        pytest.param(
            pod(container(waiting={"reason": "ContainerCreating"})), Pending("its pod is started"), id="being made"
        ),
        pytest.param(
            {"metadata": {"name": "p"}, "status": {"initContainerStatuses": [container(terminated={"exitCode": 3})]}},
            Failed("its container ended with exit code 3"),
            id="what runs before it ended badly",
        ),
        pytest.param(
            {
                "metadata": {"name": "p"},
                "status": {"initContainerStatuses": [container(ready=True, terminated={"exitCode": 0})]},
            },
            Pending("its pod is started"),
            id="what runs before it is done",
        ),
        pytest.param(pod(container(running={})), Pending("its pod is started"), id="running, not ready yet"),
        pytest.param(
            pod(container(waiting={"reason": "CreateContainerConfigError", "message": 'secret "s" not found'})),
            Failed('CreateContainerConfigError: secret "s" not found'),
            id="a Secret is missing",
        ),
        pytest.param(
            pod(
                container(waiting={"reason": "ContainerCreating"}),
                container(waiting={"reason": "ImagePullBackOff", "message": "Back-off pulling image"}),
            ),
            Failed("ImagePullBackOff: Back-off pulling image"),
            id="an image is missing, of any container",
        ),
        pytest.param(
            pod(container(waiting={"reason": "CrashLoopBackOff"}, last={"exitCode": 1, "message": ENDED})),
            Failed(f"its container ended with exit code 1: {ENDED}"),
            id="it ended and waits to be started again",
        ),
        pytest.param(
            pod(container(terminated={"exitCode": 3})), Failed("its container ended with exit code 3"), id="it ended"
        ),
        pytest.param(
            pod(container(waiting={"reason": "CrashLoopBackOff"}, last={"exitCode": 137, "reason": "OOMKilled"})),
            Failed("its container ended with exit code 137: it needed more memory than its limit"),
            id="its memory was not enough",
        ),
        pytest.param(
            pod(container(running={}, last={"exitCode": 1})), Pending("its pod is started"), id="it runs once more"
        ),
        pytest.param(
            pod(container(ready=True, terminated={"exitCode": 0})), Pending("its pod is started"), id="it was ready"
        ),
        pytest.param(
            pod(conditions=(condition("PodScheduled", "False", "Unschedulable", NO_NODE),)),
            Pending(f"no node has room for its pod: {NO_NODE}"),
            id="no node has room",
        ),
    ],
)
def test_a_pod_tells_what_knative_tells_late(manifest: Manifest, judged: Readiness) -> None:
    assert pod_readiness(manifest) == judged


def test_a_pod_that_is_ending_takes_no_requests() -> None:
    assert not is_up(pod(conditions=(condition("Ready", "True"),), deletionTimestamp="2026-11-23T00:00:00Z"))
