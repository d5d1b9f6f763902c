"""The readiness of objects, from conditions that Kubernetes 1.34 and Knative 1.21 wrote in a real cluster."""

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
    is_pod_ready,
    pod_readiness,
    readiness_of,
    routed,
    shares,
)
from knative.objects import Manifest

NO_NODE = "0/1 nodes are available: 1 Insufficient cpu."
KILLED = "it was killed, usually because it used more memory than its limit"
ENDED = "s3://models/m-v1.onnx: there is no such object"


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    fields = {"type": kind, "status": status, "reason": reason, "message": message}
    return {name: value for name, value in fields.items() if value}


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


def routing(*targets: Manifest, actual: tuple[Manifest, ...] | None = None) -> dict[str, Any]:
    conditions = [condition("RoutesReady", "True"), condition("Ready", "True")]
    traffic = list(targets if actual is None else actual)
    return {
        "spec": {"traffic": list(targets)},
        "status": {"observedGeneration": 1, "conditions": conditions, "traffic": traffic},
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(condition("Ready", "True"), Ready(), id="ready"),
        pytest.param(
            condition("Active", "False", "NoTraffic"),
            Pending("waiting for Knative to reconcile it"),
            id="not reconciled yet",
        ),
        pytest.param(
            condition("Ready", "Unknown", "Deploying"),
            Pending("waiting for its pod to start"),
            id="a known reason",
        ),
        pytest.param(
            condition("Ready", "Unknown", "Odd", "Something new."),
            Pending("Odd: Something new."),
            id="an unknown reason",
        ),
        pytest.param(
            condition("Ready", "False", "Unschedulable", NO_NODE),
            Pending(f"no node has room for its pod: {NO_NODE}"),
            id="a node may be added",
        ),
        pytest.param(
            condition("Ready", "False", "ExitCode1", f"Container failed with: {ENDED}"),
            Failed(f"its container ended with exit code 1: {ENDED}"),
            id="the termination message of the runtime",
        ),
        pytest.param(
            condition("Ready", "False", "ExitCodes", "Several."),
            Failed("ExitCodes: Several."),
            id="a reason that only resembles an exit code",
        ),
        pytest.param(
            condition("Ready", "False", "ProgressDeadlineExceeded", "ReplicaSet timed out."),
            Failed("not Ready within its progress deadline: ReplicaSet timed out."),
            id="progress deadline exceeded",
        ),
        pytest.param(
            condition("Ready", "False", "ContainerMissing", "ContainerMissing: no image"),
            Failed("ContainerMissing: no image"),
            id="a reason that the message repeats",
        ),
        pytest.param(condition("Ready", "False", "", "It is broken."), Failed("It is broken."), id="no reason"),
    ],
)
def test_the_readiness_of_a_revision_is_its_condition_ready(found: dict[str, str], expected: Readiness) -> None:
    assert readiness_of(knative("Revision", found)) == expected


def test_a_condition_of_an_earlier_generation_is_ignored() -> None:
    manifest = knative("Revision", condition("Ready", "True"), generation=2)
    assert readiness_of(manifest) == Pending("waiting for Knative to reconcile it")


def test_an_object_without_conditions_is_ready_when_it_exists() -> None:
    assert readiness_of({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "m"}}) == Ready()


def test_a_service_is_ready_when_its_traffic_is_routed_even_if_its_latest_revision_failed() -> None:
    target = {"revisionName": "m-v1", "percent": 100}
    manifest = knative("Service", **routing(target))
    manifest["status"]["conditions"].append(condition("ConfigurationsReady", "False", "RevisionFailed", "v2 failed"))
    assert readiness_of(manifest) == Ready()


def test_a_routes_condition_from_before_the_template_change_is_ignored() -> None:
    """Knative reconciles the routes after the template. Until then their condition is the old one."""
    manifest = knative("Service", **routing({"revisionName": "m-v1", "percent": 100}))
    manifest["status"]["conditions"].append(condition("ConfigurationsReady", "Unknown", "OutOfDate", "Still working."))
    assert readiness_of(manifest) == Pending("waiting for Knative to reconcile it")


def test_a_service_without_routes_is_pending() -> None:
    manifest = knative("Service", condition("RoutesReady", "Unknown", "IngressNotConfigured", "Not yet."))
    assert readiness_of(manifest) == Pending("waiting for the gateway to configure its routes")


@pytest.mark.parametrize("kind", ["Route", "Service"])
def test_traffic_that_is_not_routed_yet_is_pending(kind: str) -> None:
    wanted, actual = {"revisionName": "m-v2", "percent": 100}, {"revisionName": "m-v1", "percent": 100}
    assert readiness_of(knative(kind, **routing(wanted, actual=(actual,)))) == Pending(
        "waiting for the traffic to move"
    )
    assert readiness_of(knative(kind, **routing(wanted))) == Ready()


def test_traffic_to_the_latest_revision_is_routed_when_the_status_has_its_name() -> None:
    wanted = {"latestRevision": True, "percent": 100}
    assert routed(knative("Service", **routing(wanted, actual=({**wanted, "revisionName": "m-v7"},))))


targets = st.fixed_dictionaries(
    {"revisionName": st.sampled_from(["m-v1", "m-v2"]), "percent": st.integers(0, 100)},
    optional={"tag": st.sampled_from(["v1", "v2"])},
)


@given(st.lists(targets, max_size=4), st.randoms(use_true_random=False))
def test_fields_that_knative_adds_to_traffic_and_its_order_make_no_difference(
    traffic: list[Manifest], random: Random
) -> None:
    written = [{**each, "latestRevision": False, "url": "http://m.test"} for each in traffic]
    random.shuffle(written)
    assert shares(traffic) == shares(written)


def test_a_target_without_a_percent_has_the_share_0() -> None:
    assert shares([{"revisionName": "m-v1", "tag": "v1"}]) == shares(
        [{"revisionName": "m-v1", "tag": "v1", "percent": 0}]
    )
    assert shares(None) == set()


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param(deployment(wanted=2, updated=2, available=2), Ready(), id="all pods are ready"),
        pytest.param(
            deployment(wanted=2, updated=2, available=1), Pending("1 of 2 pods are ready"), id="one pod is not ready"
        ),
        pytest.param(
            deployment(wanted=2, updated=1, available=1),
            Pending("1 of 2 pods are ready"),
            id="one pod does not exist yet",
        ),
        pytest.param(
            deployment(wanted=1, updated=1, available=1, old=1),
            Pending("1 pods of an earlier template are still running"),
            id="a pod of the earlier template still runs",
        ),
        pytest.param(deployment(updated=1, available=1), Ready(), id="one replica is the default"),
        pytest.param(
            deployment(condition("Progressing", "False", "ProgressDeadlineExceeded", "Timed out."), wanted=1),
            Failed("not Ready within its progress deadline: Timed out."),
            id="progress deadline exceeded",
        ),
    ],
)
def test_a_deployment_is_ready_when_all_of_its_pods_are_ready(manifest: Manifest, expected: Readiness) -> None:
    assert readiness_of(manifest) == expected


def container(*, ready: bool = False, last: Manifest | None = None, **state: Manifest) -> Manifest:
    return {"name": "model", "ready": ready, "state": state, "lastState": {"terminated": last} if last else {}}


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param(pod(conditions=(condition("Ready", "True"),)), Ready(), id="ready"),
        pytest.param({"metadata": {"name": "p"}}, Pending("waiting for its pod to start"), id="no status"),
        pytest.param(
            pod(container(waiting={"reason": "ContainerCreating"})),
            Pending("waiting for its pod to start"),
            id="the container is being created",
        ),
        pytest.param(
            {"metadata": {"name": "p"}, "status": {"initContainerStatuses": [container(terminated={"exitCode": 3})]}},
            Failed("its container ended with exit code 3"),
            id="an init container failed",
        ),
        pytest.param(
            {
                "metadata": {"name": "p"},
                "status": {"initContainerStatuses": [container(ready=True, terminated={"exitCode": 0})]},
            },
            Pending("waiting for its pod to start"),
            id="an init container succeeded",
        ),
        pytest.param(pod(container(running={})), Pending("waiting for its pod to start"), id="running, not ready yet"),
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
            id="the image of one container is missing",
        ),
        pytest.param(
            pod(container(waiting={"reason": "CrashLoopBackOff"}, last={"exitCode": 1, "message": ENDED})),
            Failed(f"its container ended with exit code 1: {ENDED}"),
            id="it failed and waits for its restart",
        ),
        pytest.param(
            pod(container(terminated={"exitCode": 3})), Failed("its container ended with exit code 3"), id="it failed"
        ),
        pytest.param(
            pod(container(waiting={"reason": "CrashLoopBackOff"}, last={"exitCode": 137, "reason": "OOMKilled"})),
            Failed("its container ended with exit code 137: it used more memory than its limit"),
            id="it was killed for its memory",
        ),
        pytest.param(
            pod(container(terminated={"exitCode": 137})),
            Failed(f"its container ended with exit code 137: {KILLED}"),
            id="killed without a reason",
        ),
        pytest.param(
            pod(container(running={}, last={"exitCode": 1})),
            Pending("waiting for its pod to start"),
            id="it was restarted",
        ),
        pytest.param(
            pod(container(ready=True, terminated={"exitCode": 0})),
            Pending("waiting for its pod to start"),
            id="it was ready before it ended",
        ),
        pytest.param(
            pod(conditions=(condition("PodScheduled", "False", "Unschedulable", NO_NODE),)),
            Pending(f"no node has room for its pod: {NO_NODE}"),
            id="no node has room",
        ),
    ],
)
def test_a_pod_shows_a_failure_before_knative_does(manifest: Manifest, expected: Readiness) -> None:
    assert pod_readiness(manifest) == expected


def test_a_terminating_pod_is_not_ready() -> None:
    assert not is_pod_ready(pod(conditions=(condition("Ready", "True"),), deletionTimestamp="2026-11-23T00:00:00Z"))


def of_eventing(api: str, kind: str, status: Manifest, **spec: object) -> Manifest:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": "m", "generation": 2},
        "spec": spec,
        "status": status,
    }


MISSING = condition("Ready", "False", "SubjectMissing", 'services.serving.knative.dev "m" not found')
NO_BROKER = "waiting for Knative to reconcile it, which needs the Broker b"


@pytest.mark.parametrize(
    ("observed", "conditions", "expected"),
    [
        pytest.param(None, [], Pending(NO_BROKER), id="no controller for its Broker"),
        pytest.param(
            1, [condition("Ready", "True")], Pending("waiting for Knative to reconcile it"), id="an earlier generation"
        ),
        pytest.param(2, [condition("Ready", "True")], Ready(), id="ready"),
        pytest.param(
            2,
            [condition("Ready", "False", "BrokerNotReady", "no channel")],
            Failed("BrokerNotReady: no channel"),
            id="failed",
        ),
    ],
)
def test_a_trigger_needs_a_controller_of_its_broker(
    observed: int | None, conditions: list[dict[str, str]], expected: Readiness
) -> None:
    status: Manifest = {"conditions": conditions, **({"observedGeneration": observed} if observed else {})}
    assert readiness_of(of_eventing("eventing.knative.dev/v1", "Trigger", status, broker="b")) == expected


@pytest.mark.parametrize("reason", ["NoAddress", "ChannelNotReady", "EndpointsUnavailable"])
@pytest.mark.parametrize("kind", ["Broker", "Trigger"])
def test_a_broker_that_is_starting_has_not_failed(kind: str, reason: str) -> None:
    """Its condition is False until its channel has an address. A Trigger copies the condition of its Broker."""
    status: Manifest = {"conditions": [condition("Ready", "False", reason, "later")], "observedGeneration": 2}
    assert readiness_of(of_eventing("eventing.knative.dev/v1", kind, status)) == Pending(f"{reason}: later")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, Pending("waiting for Knative to reconcile it"), id="new"),
        pytest.param(
            {"conditions": [MISSING]},
            Pending('SubjectMissing: services.serving.knative.dev "m" not found'),
            id="before its Service",
        ),
        pytest.param(
            {"conditions": [condition("Ready", "True")], "observedGeneration": 1},
            Pending("waiting for Knative to reconcile it"),
            id="ready for an earlier generation",
        ),
        pytest.param({"conditions": [condition("Ready", "True")], "observedGeneration": 2}, Ready(), id="ready"),
        pytest.param(
            {"conditions": [MISSING], "observedGeneration": 2},
            Failed('SubjectMissing: services.serving.knative.dev "m" not found'),
            id="its Service was deleted",
        ),
    ],
)
def test_a_binding_is_not_ready_until_its_service_has_the_variables(status: Manifest, expected: Readiness) -> None:
    """Knative writes the observed generation only then."""
    assert readiness_of(of_eventing("sources.knative.dev/v1", "SinkBinding", status)) == expected
