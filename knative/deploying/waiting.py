"""Wait until an object is Ready, or until it has failed for a few seconds. The effects around `readiness`."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterError, ClusterUnreachable
from knative.deploying import explain
from knative.deploying.errors import DeploymentFailed, NotReadyInTime, ObjectFailed, RevisionFailed
from knative.deploying.readiness import Failed, Pending, Readiness, Ready, condition, readiness_of
from knative.manifests.names import RECONCILE_REQUESTED
from knative.objects import REVISION_UID_LABEL, Manifest, Ref, ref_of

Tell = Callable[[str], None]
Clock = Callable[[], float]  # monotonic seconds

_WITH_PODS: Final = frozenset({"Deployment", "Revision"})
_POLL: Final = 2.0  # s between two reads of the pods, which are not watched
_ATTEMPTS: Final = 5  # to make Knative update a condition
# s that a failure must last: a container may start again, and a missing Secret may be created
_FAILURE_SECONDS: Final = 6.0

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(slots=True)
class FailureTimer:
    """The time for which an object has failed without interruption."""

    since: float | None = None  # s, on the clock of `now`

    def is_over(self, judged: Readiness, now: float) -> bool:
        """Record a readiness; return whether it is a failure that has lasted."""
        if not isinstance(judged, Failed):
            self.since = None
            return False
        self.since = now if self.since is None else self.since
        return now - self.since >= _FAILURE_SECONDS


def wait(
    cluster: Cluster,
    ref: Ref,
    *,
    seconds: float,
    tell: Tell,
    owner: str | None = None,
    outdated: Mapping[str, str] = _NONE,
    clock: Clock = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Manifest:
    """Wait until the object is Ready, and return it. `tell` gets a line whenever the reason for waiting changes.

    `owner` is the Service that creates the object, and has the reason if it cannot. `outdated` is the Ready condition
    of an earlier attempt: while the object has it, its pods are judged instead. Raises `RevisionFailed` or
    `ObjectFailed` if the failure lasts, `NotReadyInTime` after `seconds`.
    """
    timer, reported = FailureTimer(), "its state is unknown"
    for found in _states(cluster, ref, seconds, clock, sleep):
        judged = _judged(cluster, ref, found, owner, outdated)
        if isinstance(judged, Ready):
            return found or {}
        (reason,) = judged
        if timer.is_over(judged, clock()):
            raise _failure(cluster, ref, found, reason, sleep)
        if reason != reported:
            tell(f"{ref}: {reason}")
            reported = reason
    raise NotReadyInTime(str(ref), seconds=seconds, waiting_for=reported)


def _states(
    cluster: Cluster, ref: Ref, seconds: float, clock: Clock, sleep: Callable[[float], None]
) -> Iterator[Manifest | None]:
    """Yield the object whenever it changes, and at least every `_POLL` seconds; None if it does not exist."""
    ends, reached = clock() + seconds, False
    while (left := ends - clock()) > 0:
        try:
            seen = False
            for found in cluster.follow(ref.kind, name=ref.name, seconds=min(left, _POLL)):
                yield found
                seen = True
            if not seen:
                yield None
            reached = True
        except ClusterUnreachable:
            if not reached:
                raise
            sleep(min(left, _POLL))  # the API server may be restarting, which does not stop the revision


def _judged(
    cluster: Cluster, ref: Ref, found: Manifest | None, owner: str | None, outdated: Mapping[str, str]
) -> Readiness:
    """Return the readiness of the object; if that has no reason, of its pods or of its Service."""
    if found is None:
        return _readiness_of_missing(cluster, owner)
    judged = readiness_of(found)
    is_outdated = isinstance(judged, Failed) and condition(found, "Ready") == outdated
    if ref.kind in _WITH_PODS and (is_outdated or isinstance(judged, Pending)):
        pods = explain.combined_readiness(cluster, explain.pods_of(cluster, found))
        if is_outdated and isinstance(pods, Ready):
            return Pending("its pods are ready; waiting for Knative to update its condition")
        return pods if isinstance(pods, Failed | Pending) else judged
    return judged


def _readiness_of_missing(cluster: Cluster, owner: str | None) -> Readiness:
    """Read from the Service why its revision does not exist, such as a quota or a name in use."""
    service = cluster.get(Ref("Service", owner)) if owner else None
    refused = condition(service or {}, "ConfigurationsReady")
    if refused.get("status") == "False" and refused.get("reason") == "RevisionCreationFailed":
        return Failed(refused.get("message", ""))
    return Pending("waiting for Knative to create it")


def _failure(
    cluster: Cluster, ref: Ref, found: Manifest | None, reason: str, sleep: Callable[[float], None]
) -> DeploymentFailed:
    if ref.kind != "Revision":
        return ObjectFailed(str(ref), reason)
    if found is None:
        return RevisionFailed(ref.name, reason)
    _trigger_reconciliation(cluster, found, sleep)
    return explain.failure(cluster, found, reason)


def _trigger_reconciliation(cluster: Cluster, revision: Manifest, sleep: Callable[[float], None]) -> None:
    """Change an annotation of the revision's Deployment, so that Knative reads its pods and updates its condition.

    Without a change, Knative does that only after the progress deadline, minutes later. It reads how the previous run
    of the container ended, which may happen a moment later than the failure seen here, so it is repeated. Knative
    copies annotations of the revision itself to its pods: a change there would start a second, failing pod.
    """
    found: Manifest | None = revision
    with suppress(ClusterError):  # the command reports the failure anyway
        for _ in range(_ATTEMPTS):
            if found is None or isinstance(readiness_of(found), Failed):
                return
            for deployment in cluster.list("Deployment", labels={REVISION_UID_LABEL: revision["metadata"]["uid"]}):
                cluster.apply(_annotated(deployment))
            sleep(_POLL)
            found = cluster.get(ref_of(revision))


def _annotated(deployment: Manifest) -> Manifest:
    """Return the change that makes Knative reconcile; it is refused if the Deployment changed or is gone."""
    metadata = deployment["metadata"]
    version = metadata["resourceVersion"]
    return {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "metadata": {
            "name": metadata["name"],
            "resourceVersion": version,
            "annotations": {RECONCILE_REQUESTED: version},
        },
    }
