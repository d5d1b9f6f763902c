"""Delete what files declare or what belongs to a model: by name, and only what scalezero made.

Routes -> Services -> the accounts that their pods ran under      nothing loses what it stands on
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from knative.api.client import Cluster
from knative.deploying.errors import NotOurs, StillThere
from knative.deploying.waiting import Tell
from knative.manifests.names import MANAGED_BY, MANAGER
from knative.objects import SERVICE_LABEL, Manifest, Ref

_ORDER: Final = ("Route", "Service", "Deployment", "ServiceAccount")
_PAUSE: Final = 0.5  # s between two looks


def belongings(cluster: Cluster, model: str) -> tuple[Ref, ...]:
    """List what belongs to a model: its Service, its account, the Routes that lead to its revisions alone."""
    revisions = {each["metadata"]["name"] for each in cluster.list("Revision", labels={SERVICE_LABEL: model})}
    routes = (each for each in cluster.list("Route", labels={MANAGED_BY: MANAGER}) if _leads_to(each) <= revisions)
    # A Service's own Route goes with it.
    own = (each for each in routes if SERVICE_LABEL not in each["metadata"]["labels"])
    account = cluster.get(Ref("ServiceAccount", model))
    accounts = [Ref("ServiceAccount", model)] if account and _manager(account) == MANAGER else []
    return (*(Ref("Route", each["metadata"]["name"]) for each in own), Ref("Service", model), *accounts)


def delete(
    cluster: Cluster, refs: Iterable[Ref], *, seconds: float, tell: Tell, sleep: Callable[[float], None] = time.sleep
) -> tuple[Ref, ...]:
    """Delete the objects, wait until they and their revisions are gone, and name those that were there.

    `tell` hears of each.

    Raises `NotOurs` where one of them is somebody else's, before anything is deleted; `StillThere` in the end.
    """
    ordered = sorted(dict.fromkeys(refs), key=lambda ref: _ORDER.index(ref.kind))
    there = {ref: found for ref in ordered if (found := cluster.get(ref)) is not None}
    for ref, found in there.items():
        if _manager(found) != MANAGER:
            raise NotOurs(str(ref), manager=_manager(found))
    for ref in ordered:
        tell(f"{ref}: {'deleted' if ref in there and cluster.delete(ref) else 'not found'}")
    _wait(cluster, tuple(there), seconds, sleep)
    return tuple(there)


def _wait(cluster: Cluster, refs: Sequence[Ref], seconds: float, sleep: Callable[[float], None]) -> None:
    """Wait for the revisions too: until they are gone, none of their names can be given again."""
    ends = time.monotonic() + seconds
    while left := next(_left(cluster, refs), None):
        if time.monotonic() + _PAUSE > ends:
            raise StillThere(str(left), seconds=seconds)
        sleep(_PAUSE)


def _left(cluster: Cluster, refs: Sequence[Ref]) -> Iterator[Ref]:
    for ref in refs:
        if cluster.get(ref) is not None:
            yield ref
        if ref.kind == "Service":
            revisions = cluster.list("Revision", labels={SERVICE_LABEL: ref.name})
            yield from (Ref("Revision", each["metadata"]["name"]) for each in revisions)


def _leads_to(route: Manifest) -> set[str]:
    return {str(each.get("revisionName")) for each in route["spec"].get("traffic") or ()}


def _manager(manifest: Manifest) -> str | None:
    found: str | None = (manifest["metadata"].get("labels") or {}).get(MANAGED_BY)
    return found
