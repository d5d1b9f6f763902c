"""Delete what files declare or what belongs to a model: by name, and only what scalezero created.

Routes -> Services -> ServiceAccounts of their pods      no object loses what it depends on
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from knative.api.client import Cluster
from knative.deploying.errors import NotOurs, StillThere
from knative.deploying.leftovers import Leftover, leftovers
from knative.deploying.waiting import Tell
from knative.manifests.names import MANAGED_BY, MANAGER
from knative.objects import REVISION_LABEL, SERVICE_LABEL, Manifest, Ref, ref_of

_ORDER: Final = ("Route", "Service", "Deployment", "ServiceAccount")
_PAUSE: Final = 0.5  # s between two reads


def belongings(cluster: Cluster, model: str) -> tuple[Ref, ...]:
    """List the objects of a model: its Service, its ServiceAccount, the Routes to its revisions alone."""
    revisions = {each["metadata"]["name"] for each in cluster.list("Revision", labels={SERVICE_LABEL: model})}
    routes = (each for each in cluster.list("Route", labels={MANAGED_BY: MANAGER}) if _leads_to(each) <= revisions)
    # Knative deletes the Route that it made for the Service.
    own = (each for each in routes if SERVICE_LABEL not in each["metadata"]["labels"])
    account = cluster.get(Ref("ServiceAccount", model))
    accounts = [Ref("ServiceAccount", model)] if account and _manager(account) == MANAGER else []
    return (*(Ref("Route", each["metadata"]["name"]) for each in own), Ref("Service", model), *accounts)


def kept_after(cluster: Cluster, refs: Iterable[Ref]) -> tuple[Leftover, ...]:
    """List the Secrets, ConfigMaps and models that stay when these objects are deleted. Reads, and deletes nothing."""
    refs = set(refs)
    foreign = (each for each in cluster.list("Deployment") if not _is_of_knative(each))
    pods = [*cluster.list("Revision"), *foreign]
    deleted = [each for each in pods if _owner(each) in refs]
    others = [each for each in pods if _owner(each) not in refs]
    return leftovers(deleted, others, namespace=cluster.namespace)


def _is_of_knative(deployment: Manifest) -> bool:
    """Whether Knative made the Deployment for a revision."""
    return REVISION_LABEL in (deployment["metadata"].get("labels") or {})


def _owner(manifest: Manifest) -> Ref:
    """Return the Service of a revision, or the Deployment itself."""
    if manifest["kind"] == "Deployment":
        return ref_of(manifest)
    return Ref("Service", (manifest["metadata"].get("labels") or {}).get(SERVICE_LABEL, ""))


def delete(
    cluster: Cluster, refs: Iterable[Ref], *, seconds: float, tell: Tell, sleep: Callable[[float], None] = time.sleep
) -> tuple[Ref, ...]:
    """Delete the objects, wait until they and their revisions are gone, and return those that existed.

    `tell` gets a line for each. Raises `NotOurs` before anything is deleted if scalezero did not create one of them;
    `StillThere` if one still exists after `seconds`.
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
    """Wait for the revisions too: their names are free only when they are gone."""
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
