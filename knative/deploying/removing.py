"""Delete objects by name: those that files declare, or those of a model. Only objects that scalezero created.

Triggers -> Sequences -> Routes -> Services -> SinkBindings -> ServiceAccounts of their pods -> Brokers

No object is deleted before the objects that depend on it. A SinkBinding is deleted after its Service: Knative removes
its variables from the template, which it refuses for a revision that exists.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import EventingMissing, KnativeMissing
from knative.deploying.errors import NotOurs, StillThere
from knative.deploying.leftovers import Leftover, leftovers, users_of
from knative.deploying.observe import events_of
from knative.deploying.waiting import Tell
from knative.manifests.names import MANAGED_BY, MANAGER, manager_of
from knative.objects import REVISION_LABEL, SERVICE_LABEL, Manifest, Ref, kubectl_name, owner_of, ref_of, targets_of

_ORDER: Final = (
    "Trigger",
    "Sequence",
    "Route",
    "Service",
    "SinkBinding",
    "Deployment",
    "ServiceAccount",
    "Broker",
)
_PAUSE: Final = 0.5  # s between two reads


def belongings(cluster: Cluster, model: str) -> tuple[Ref, ...]:
    """List the objects of a model: its Service, its ServiceAccount, and the Routes that lead only to its revisions.

    Those for its events are among them, with the Brokers of its Triggers that scalezero created.
    """
    revisions = {each["metadata"]["name"] for each in cluster.list("Revision", labels={SERVICE_LABEL: model})}
    routes = (each for each in cluster.list("Route", labels={MANAGED_BY: MANAGER}) if targets_of(each) <= revisions)
    # Knative deletes the Route that it created for the Service.
    own = (each for each in routes if SERVICE_LABEL not in each["metadata"]["labels"])
    account = cluster.get(Ref("ServiceAccount", model))
    accounts = [Ref("ServiceAccount", model)] if account and manager_of(account) == MANAGER else []
    of_events = [*events_of(cluster, model)]
    return (
        *map(ref_of, of_events),
        *(Ref("Route", each["metadata"]["name"]) for each in own),
        Ref("Service", model),
        *accounts,
        *_created_brokers(cluster, of_events),
    )


def _created_brokers(cluster: Cluster, of_events: Iterable[Manifest]) -> list[Ref]:
    names = dict.fromkeys(each["spec"]["broker"] for each in of_events if each["kind"] == "Trigger")
    refs = [Ref("Broker", name) for name in names]
    return [ref for ref in refs if (found := cluster.get(ref)) is not None and manager_of(found) == MANAGER]


def kept_brokers(cluster: Cluster, refs: Iterable[Ref]) -> tuple[Leftover, ...]:
    """List the Brokers among the objects that stay: others use them, or scalezero did not create them.

    The other users are the Triggers that are not deleted too.
    """
    refs = set(refs)
    found = {ref: _existing(cluster, ref) for ref in refs if ref.kind == "Broker"}
    if not any(found.values()):
        return ()
    others = [each for each in cluster.list("Trigger") if ref_of(each) not in refs]
    return tuple(
        Leftover(str(ref), users, f"kubectl delete {kubectl_name(ref)} --namespace {cluster.namespace}")
        for ref, broker in found.items()
        if broker is not None and ((users := _users(ref, others)) or manager_of(broker) != MANAGER)
    )


def _users(broker: Ref, triggers: Iterable[Manifest]) -> tuple[str, ...]:
    return tuple(str(ref_of(each)) for each in triggers if each["spec"].get("broker") == broker.name)


def _existing(cluster: Cluster, ref: Ref) -> Manifest | None:
    """Return the object; None if it does not exist, or its API does not."""
    with suppress(EventingMissing):
        return cluster.get(ref)
    return None


def kept_after(cluster: Cluster, refs: Iterable[Ref]) -> tuple[Leftover, ...]:
    """List the Secrets, ConfigMaps and models that stay when these objects are deleted. Reads, and deletes nothing."""
    refs = set(refs)
    pods = [*cluster.list("Revision"), *_foreign_deployments(cluster)]
    deleted = [each for each in pods if _owner(each) in refs]
    others = [each for each in pods if _owner(each) not in refs]
    return leftovers(deleted, others, namespace=cluster.namespace)


def model_users(cluster: Cluster, uris: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Name the revisions and Deployments of the namespace by the objects in S3 that they use, of those at the URIs.

    Reads only, and lists once.
    """
    revisions = []
    with suppress(KnativeMissing):  # then there is no revision
        revisions = cluster.list("Revision")
    pods = (*revisions, *_foreign_deployments(cluster))
    return {uri: users for uri in uris if (users := users_of(uri, pods))}


def _foreign_deployments(cluster: Cluster) -> list[Manifest]:
    """List the Deployments that Knative did not create for a revision."""
    deployments = cluster.list("Deployment")
    return [each for each in deployments if REVISION_LABEL not in (each["metadata"].get("labels") or {})]


def _owner(manifest: Manifest) -> Ref:
    """Return the Service of a revision, or the Deployment itself."""
    if manifest["kind"] == "Deployment":
        return ref_of(manifest)
    return Ref("Service", owner_of(manifest) or "")


def delete(
    cluster: Cluster, refs: Iterable[Ref], *, seconds: float, tell: Tell, sleep: Callable[[float], None] = time.sleep
) -> tuple[Ref, ...]:
    """Delete the objects, wait until they and their revisions are gone, and return those that existed.

    `tell` gets a line for each. Raises `NotOurs` before anything is deleted if scalezero did not create one of them;
    `StillThere` if one still exists after `seconds`.
    """
    ordered = sorted(dict.fromkeys(refs), key=lambda ref: _ORDER.index(ref.kind))
    existing = {ref: found for ref in ordered if (found := _existing(cluster, ref)) is not None}
    for ref, found in existing.items():
        if manager_of(found) != MANAGER:
            raise NotOurs(str(ref), manager=manager_of(found))
    for ref in ordered:
        tell(f"{ref}: {'deleted' if ref in existing and cluster.delete(ref) else 'not found'}")
    wait_until_gone(cluster, tuple(existing), seconds=seconds, sleep=sleep)
    return tuple(existing)


def wait_until_gone(
    cluster: Cluster, refs: Sequence[Ref], *, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Wait until the objects and the revisions of the Services among them are gone, so that their names are free.

    Raises `StillThere` if one still exists after `seconds`.
    """
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
