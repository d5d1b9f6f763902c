"""Whether what was applied is up: pure, from an object as the cluster holds it to a verdict.

Knative's conditions are `True`, `False` or `Unknown` (knative.dev/pkg/apis, "living conditions"); they speak of the
generation in `status.observedGeneration`, and before that one is the current one they speak of the past. A `False` is
no last word: a container that ended is started again, a node may come. Who waits gives it a while.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from knative.objects import Manifest


class Ready(NamedTuple):
    """It is up."""


class Pending(NamedTuple):
    """It is on its way; `what` says what is waited for."""

    what: str


class Failed(NamedTuple):
    """It does not come up as things stand; `reason` says why."""

    reason: str


Readiness = Ready | Pending | Failed

_MODEL_ENDED: Final = "Container failed with: "  # Knative's words before a container's own
_PHRASES: Final = {  # for reasons that come with no more than they say themselves
    "Deploying": "its pod is started",
    "IngressNotConfigured": "the gateway takes its routes",
    "OutOfDate": "Knative has not looked at it yet",
    "ResolvingDigests": "the image's digest is looked up",
    "TrafficNotMigrated": "the traffic moves",
    "Uninitialized": "the gateway takes its routes",
}
_OPENINGS: Final = {  # for reasons whose message says the rest
    "ProgressDeadlineExceeded": "it was not up within its progress deadline",
    "Unschedulable": "no node has room for its pod",
}
# Reasons of a waiting container for which its image or its manifest has to change. What the kubelet tries again is
# among them: it seldom helps, and the wait is given back to the person with the reason.
_STUCK: Final = frozenset(
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
    """Judge an object; one of a kind without readiness is up as soon as it is there."""
    judge = _JUDGES.get((manifest["apiVersion"].partition("/")[0], manifest["kind"]))
    if judge is None:
        return Ready()
    if manifest.get("status", {}).get("observedGeneration") != manifest["metadata"].get("generation"):
        return Pending(_PHRASES["OutOfDate"])
    return judge(manifest)


def pod_readiness(pod: Manifest) -> Readiness:
    """Judge a pod: an image, a Secret or a node that is not there, a container that ends and ends again."""
    if is_up(pod):
        return Ready()
    status = pod.get("status", {})
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    if trouble := next(filter(None, map(_trouble, statuses)), None):
        return Failed(trouble)
    placed = condition(pod, "PodScheduled")
    return Pending(_sentence(placed) if placed.get("status") == "False" else _PHRASES["Deploying"])


def memory_problem(pod: Manifest) -> str | None:
    """Return a sentence if a container's last end was an OOM kill, also while the container runs again."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        ended = container.get("state", {}).get("terminated") or (container.get("lastState") or {}).get("terminated")
        if ended and ended.get("reason") == "OOMKilled":
            return _end_of(ended)
    return None


def is_up(pod: Manifest) -> bool:
    """Tell whether the pod takes requests."""
    return condition(pod, "Ready").get("status") == "True" and "deletionTimestamp" not in pod["metadata"]


def condition(manifest: Manifest, kind: str) -> Mapping[str, str]:
    """Find a condition; empty where there is none."""
    conditions: Iterable[Mapping[str, str]] = (manifest.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})


def routed(manifest: Manifest) -> bool:
    """Tell whether the traffic that a Service or a Route wants is what it has."""
    return shares(manifest["spec"].get("traffic")) == shares(manifest.get("status", {}).get("traffic"))


def shares(traffic: Iterable[Manifest] | None) -> set[tuple[object, int, str]]:
    """Give a traffic block as what can be compared: revision, percent and tag of each target.

    A target that follows the latest revision is compared as that: Knative fills the revision's name in.
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
        case "False" if found.get("reason") != "Unschedulable":  # a node may be on its way
            return Failed(_sentence(found))
        case _:
            return Pending(_sentence(found))


def _route(manifest: Manifest) -> Readiness:
    judged = _by_condition(manifest)
    return Pending(_PHRASES["TrafficNotMigrated"]) if judged == Ready() and not routed(manifest) else judged


def _service(manifest: Manifest) -> Readiness:
    """Judge by its traffic: its latest revision may have failed, or be on its way, and be out of it."""
    latest = condition(manifest, "ConfigurationsReady")
    if latest.get("status") == "Unknown" and latest.get("reason") == "OutOfDate":  # the routes are looked at after it
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
    if (old := status.get("replicas", 0) - updated) > 0:  # they may be all that is available
        return Pending(f"{old} of its earlier pods are left")
    if updated >= wanted and available >= wanted:
        return Ready()
    return Pending(f"{available} of {wanted} pods are up")


_JUDGES: Final[Mapping[tuple[str, str], Callable[[Manifest], Readiness]]] = {
    ("apps", "Deployment"): _deployment,
    ("serving.knative.dev", "Revision"): _by_condition,
    ("serving.knative.dev", "Route"): _route,
    ("serving.knative.dev", "Service"): _service,
}


def _trouble(container: Manifest) -> str | None:
    state, last = container.get("state", {}), container.get("lastState", {})
    ended = state.get("terminated") or last.get("terminated")
    waiting = state.get("waiting") or {}
    if ended and not container.get("ready") and "running" not in state:
        return _end_of(ended)
    return _sentence(waiting) if waiting.get("reason") in _STUCK else None


def _end_of(ended: Mapping[str, object]) -> str:
    """Tell how a container ended, in its own words where it left some."""
    said = str(ended.get("message") or "").strip()
    how = f"its container ended with exit code {ended.get('exitCode')}"
    if ended.get("reason") == "OOMKilled":
        return f"{how}: it needed more memory than its limit"
    return f"{how}: {said}" if said else how


def _sentence(found: Mapping[str, str]) -> str:
    """Tell a condition's or a container's state: its reason as a phrase, then its message."""
    reason, message = found.get("reason") or "", (found.get("message") or "").strip()
    if reason.startswith("ExitCode") and reason.removeprefix("ExitCode").isdigit():
        return _end_of({"exitCode": reason.removeprefix("ExitCode"), "message": message.removeprefix(_MODEL_ENDED)})
    if reason in _PHRASES:
        return _PHRASES[reason]
    opening = _OPENINGS.get(reason, reason)
    if message and opening and not message.startswith(opening):
        return f"{opening}: {message}"
    return message or opening or _PHRASES["OutOfDate"]
