"""The readiness of an object, from its manifest in the cluster. Pure.

Knative's conditions are `True`, `False` or `Unknown` (knative.dev/pkg/apis, "living conditions"). They describe the
generation in `status.observedGeneration`, so they are outdated until it is the current one. `False` is not final:
Kubernetes restarts a container that exited, and a node may be added. So callers wait before they report a failure.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from knative.objects import Manifest, is_being_deleted


class Ready(NamedTuple):
    """The object is ready."""


class Pending(NamedTuple):
    """The object is not ready yet; `what` is what it waits for."""

    what: str


class Failed(NamedTuple):
    """The object cannot become ready in its current state; `reason` is the cause."""

    reason: str


Readiness = Ready | Pending | Failed

_EXIT_MESSAGE: Final = "Container failed with: "  # Knative puts it before the termination message of a container
_KILLED: Final = "137"  # SIGKILL; Knative's condition has the exit code and not the reason of the kubelet
_PHRASES: Final = {  # reasons whose message adds nothing
    "Deploying": "waiting for its pod to start",
    "IngressNotConfigured": "waiting for the gateway to configure its routes",
    "OutOfDate": "waiting for Knative to reconcile it",
    "ResolvingDigests": "resolving the digest of its image",
    "TrafficNotMigrated": "waiting for the traffic to move",
    "Uninitialized": "waiting for the gateway to configure its routes",
}
_OPENINGS: Final = {  # reasons whose message has the details
    "ProgressDeadlineExceeded": "not Ready within its progress deadline",
    "Unschedulable": "no node has room for its pod",
}
# Reasons of a condition that is False only for a while: no node has room yet, or the channel of a Broker or the pods
# that deliver its events are still starting. Triggers have the reason of their Broker.
_TRANSIENT: Final = frozenset({"ChannelNotReady", "EndpointsUnavailable", "NoAddress", "Unschedulable"})
# Reasons of a waiting container that only another image or manifest corrects. The kubelet retries some of them, which
# seldom helps, so they are reported as failures.
_FAILED_WAITING: Final = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


def readiness_of(manifest: Manifest) -> Readiness:
    """Return the readiness of an object. A kind that has no readiness is ready as soon as the object exists."""
    judge = _JUDGES.get((manifest["apiVersion"].partition("/")[0], manifest["kind"]))
    if judge is None:
        return Ready()
    if judge in _WITHOUT_GENERATION:
        return judge(manifest)
    if manifest.get("status", {}).get("observedGeneration") != manifest["metadata"].get("generation"):
        return Pending(_PHRASES["OutOfDate"])
    return judge(manifest)


def pod_readiness(pod: Manifest) -> Readiness:
    """Return the readiness of a pod. A missing image or Secret and a container that keeps exiting are failures."""
    if is_pod_ready(pod):
        return Ready()
    status = pod.get("status", {})
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    if trouble := next(filter(None, map(_container_problem, statuses)), None):
        return Failed(trouble)
    placed = condition(pod, "PodScheduled")
    return Pending(_sentence(placed) if placed.get("status") == "False" else _PHRASES["Deploying"])


def memory_problem(pod: Manifest) -> str | None:
    """Return the reason if the last exit of a container was an OOM kill, also if the container runs again."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        ended = container.get("state", {}).get("terminated") or (container.get("lastState") or {}).get("terminated")
        if ended and ended.get("reason") == "OOMKilled":
            return _describe_exit(ended)
    return None


def is_pod_ready(pod: Manifest) -> bool:
    """Whether the pod accepts requests."""
    return condition(pod, "Ready").get("status") == "True" and not is_being_deleted(pod)


def condition(manifest: Manifest, kind: str) -> Mapping[str, str]:
    """Return the condition of this type; empty if there is none."""
    conditions: Iterable[Mapping[str, str]] = (manifest.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})


def routed(manifest: Manifest) -> bool:
    """Whether the traffic of a Service or a Route in its status is the one in its spec."""
    return shares(manifest["spec"].get("traffic")) == shares(manifest.get("status", {}).get("traffic"))


def shares(traffic: Iterable[Manifest] | None) -> set[tuple[object, int, str]]:
    """Return a traffic block in a comparable form: revision, percent and tag of each target.

    A target that follows the latest revision has no revision name here, because Knative adds it to the status.
    """
    return {
        (bool(each.get("latestRevision")) or each.get("revisionName"), each.get("percent") or 0, each.get("tag") or "")
        for each in traffic or ()
    }


def _by_condition(manifest: Manifest, kind: str = "Ready") -> Readiness:
    found = condition(manifest, kind)
    match found.get("status"):
        case "True":
            return Ready()
        case "False" if found.get("reason") not in _TRANSIENT:
            return Failed(_sentence(found))
        case _:
            return Pending(_sentence(found))


def _route(manifest: Manifest) -> Readiness:
    judged = _by_condition(manifest)
    return Pending(_PHRASES["TrafficNotMigrated"]) if judged == Ready() and not routed(manifest) else judged


def _binding(manifest: Manifest) -> Readiness:
    """Judge a SinkBinding. Until its Service has its variables, its condition may be that of an earlier attempt."""
    judged = _by_condition(manifest)
    if manifest.get("status", {}).get("observedGeneration") == manifest["metadata"].get("generation"):
        return judged
    return Pending(_PHRASES["OutOfDate"] if isinstance(judged, Ready) else judged[0])


def _trigger(manifest: Manifest) -> Readiness:
    """Judge a Trigger. Without its Broker, no controller writes its status."""
    if not manifest.get("status", {}).get("conditions"):
        return Pending(f"waiting for Knative to reconcile it, which needs the Broker {manifest['spec'].get('broker')}")
    if manifest["status"].get("observedGeneration") != manifest["metadata"].get("generation"):
        return Pending(_PHRASES["OutOfDate"])
    return _by_condition(manifest)


def _service(manifest: Manifest) -> Readiness:
    """Judge a Service by its routes: its latest revision may be pending or failed without getting traffic."""
    latest = condition(manifest, "ConfigurationsReady")
    if latest.get("status") == "Unknown" and latest.get("reason") == "OutOfDate":  # Knative reconciles the routes later
        return Pending(_sentence(latest))
    judged = _by_condition(manifest, "RoutesReady")
    return Pending(_PHRASES["TrafficNotMigrated"]) if judged == Ready() and not routed(manifest) else judged


def _deployment(manifest: Manifest) -> Readiness:
    failed = condition(manifest, "Progressing")
    if failed.get("status") == "False":
        return Failed(_sentence(failed))
    wanted = manifest["spec"].get("replicas", 1)
    status = manifest["status"]
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if (old := status.get("replicas", 0) - updated) > 0:  # they may be the only available ones
        return Pending(f"{old} pods of an earlier template are still running")
    if updated >= wanted and available >= wanted:
        return Ready()
    return Pending(f"{available} of {wanted} pods are ready")


_JUDGES: Final[Mapping[tuple[str, str], Callable[[Manifest], Readiness]]] = {
    ("apps", "Deployment"): _deployment,
    ("eventing.knative.dev", "Broker"): _by_condition,
    ("eventing.knative.dev", "Trigger"): _trigger,
    ("flows.knative.dev", "Sequence"): _by_condition,
    ("serving.knative.dev", "Revision"): _by_condition,
    ("serving.knative.dev", "Route"): _route,
    ("serving.knative.dev", "Service"): _service,
    ("sources.knative.dev", "SinkBinding"): _binding,
}

_WITHOUT_GENERATION: Final = frozenset({_binding, _trigger})  # they judge it themselves


def _container_problem(container: Manifest) -> str | None:
    state, last = container.get("state", {}), container.get("lastState", {})
    ended = state.get("terminated") or last.get("terminated")
    waiting = state.get("waiting") or {}
    if ended and not container.get("ready") and "running" not in state:
        return _describe_exit(ended)
    return _sentence(waiting) if waiting.get("reason") in _FAILED_WAITING else None


def _describe_exit(ended: Mapping[str, object]) -> str:
    """Describe the exit of a container, with its termination message if it has one."""
    message = str(ended.get("message") or "").strip()
    exit_code = str(ended.get("exitCode"))
    if ended.get("reason") == "OOMKilled":
        message = "it used more memory than its limit"
    elif not message and exit_code == _KILLED:
        message = "it was killed, usually because it used more memory than its limit"
    exited = f"its container ended with exit code {exit_code}"
    return f"{exited}: {message}" if message else exited


def _sentence(found: Mapping[str, str]) -> str:
    """Describe a condition or the state of a container: a phrase for its reason, then its message."""
    reason, message = found.get("reason") or "", (found.get("message") or "").strip()
    if reason.startswith("ExitCode") and reason.removeprefix("ExitCode").isdigit():
        return _describe_exit(
            {"exitCode": reason.removeprefix("ExitCode"), "message": message.removeprefix(_EXIT_MESSAGE)}
        )
    if reason in _PHRASES:
        return _PHRASES[reason]
    opening = _OPENINGS.get(reason, reason)
    if message and opening and not message.startswith(opening):
        return f"{opening}: {message}"
    return message or opening or _PHRASES["OutOfDate"]
