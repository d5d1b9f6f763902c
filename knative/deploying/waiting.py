"""Wait until what was applied is up, or until it is clear that it does not come up. Effects around `readiness`."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterError, ClusterUnreachable
from knative.deploying import explain
from knative.deploying.errors import NotReadyInTime, NotUp, ObjectFailed, RevisionFailed
from knative.deploying.readiness import Failed, Pending, Readiness, Ready, condition, readiness_of
from knative.manifests.names import LOOKED_AT
from knative.objects import SERVING, Manifest, Ref, ref_of

Tell = Callable[[str], None]
Clock = Callable[[], float]  # seconds that only grow

_WITH_PODS: Final = frozenset({"Deployment", "Revision"})
_GLANCE: Final = 2.0  # s between two looks at what no watch tells: the pods
_LOOKS: Final = 5  # that Knative is asked for
# s that a failure must last: a container that ended may come up again, a Secret may be on its way
_SETTLED: Final = 6.0

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(slots=True)
class Patience:
    """How long something has been failing; a failure that lasts is one."""

    since: float | None = None  # s, as `now`

    def is_over(self, judged: Readiness, now: float) -> bool:
        """Take note of a verdict and tell whether it is a failure that has lasted."""
        if not isinstance(judged, Failed):
            self.since = None
            return False
        self.since = now if self.since is None else self.since
        return now - self.since >= _SETTLED


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
    """Wait until the object is up, and return it; `tell` hears what is waited for, each thing once.

    `owner` is the Service that makes it, which knows why it is not there. `outdated` is a Ready condition of an earlier
    attempt: as long as the object has it, its pods are judged instead. Raises `RevisionFailed` or `ObjectFailed`
    for one that does not come up, `NotReadyInTime` when the time is over.
    """
    patience, told = Patience(), "nothing is known of it"
    for found in _looks(cluster, ref, seconds, clock, sleep):
        judged = _judged(cluster, ref, found, owner, outdated)
        if isinstance(judged, Ready):
            return found or {}
        (said,) = judged
        if patience.is_over(judged, clock()):
            raise _failure(cluster, ref, found, said, sleep)
        if said != told:
            tell(f"{ref}: {said}")
            told = said
    raise NotReadyInTime(str(ref), seconds=seconds, waiting_for=told)


def _looks(
    cluster: Cluster, ref: Ref, seconds: float, clock: Clock, sleep: Callable[[float], None]
) -> Iterator[Manifest | None]:
    """Yield the object whenever it changes, and at least at every glance; None while it is not there."""
    ends, reached = clock() + seconds, False
    while (left := ends - clock()) > 0:
        try:
            seen = False
            for found in cluster.follow(ref.kind, name=ref.name, seconds=min(left, _GLANCE)):
                yield found
                seen = True
            if not seen:
                yield None
            reached = True
        except ClusterUnreachable:
            if not reached:
                raise
            sleep(min(left, _GLANCE))  # an API server that is started anew; the revision goes on without it


def _judged(
    cluster: Cluster, ref: Ref, found: Manifest | None, owner: str | None, outdated: Mapping[str, str]
) -> Readiness:
    """Judge the object, and where that says little, what is below it or above it."""
    if found is None:
        return _owner_says(cluster, owner)
    judged = readiness_of(found)
    is_outdated = isinstance(judged, Failed) and condition(found, "Ready") == outdated
    if ref.kind in _WITH_PODS and (is_outdated or isinstance(judged, Pending)):
        pods = explain.pods_readiness(cluster, explain.pods_of(cluster, found))
        if is_outdated and isinstance(pods, Ready):
            return Pending("its pods are ready, and Knative updates its condition")
        return pods if isinstance(pods, Failed | Pending) else judged
    return judged


def _owner_says(cluster: Cluster, owner: str | None) -> Readiness:
    """Ask the Service why its revision is not made: a quota, a name that is taken."""
    service = cluster.get(Ref("Service", owner)) if owner else None
    refused = condition(service or {}, "ConfigurationsReady")
    if refused.get("status") == "False" and refused.get("reason") == "RevisionCreationFailed":
        return Failed(refused.get("message", ""))
    return Pending("it is being made")


def _failure(cluster: Cluster, ref: Ref, found: Manifest | None, reason: str, sleep: Callable[[float], None]) -> NotUp:
    if ref.kind != "Revision":
        return ObjectFailed(str(ref), reason)
    if found is None:
        return RevisionFailed(ref.name, reason)
    _have_looked_at(cluster, found, sleep)
    return explain.failure(cluster, found, reason)


def _have_looked_at(cluster: Cluster, revision: Manifest, sleep: Callable[[float], None]) -> None:
    """Let Knative's own condition say it too: it looks at a revision's pods when anything of the revision changes.

    Else it does so when the progress deadline is over, which is minutes later. What it looks for is how the run before
    has ended, which may be a moment later than what is known here.
    """
    found: Manifest | None = revision
    with suppress(ClusterError):  # it is told here all the same
        for _ in range(_LOOKS):
            if found is None or isinstance(readiness_of(found), Failed):
                return
            marked = {LOOKED_AT: found["metadata"]["resourceVersion"]}
            named = {"name": found["metadata"]["name"], "annotations": marked}
            cluster.apply({"apiVersion": SERVING, "kind": "Revision", "metadata": named})
            sleep(_GLANCE)
            found = cluster.get(ref_of(revision))
