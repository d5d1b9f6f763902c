"""Read the cluster's objects that a plan compares."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from knative.api.client import Cluster
from knative.api.errors import EventingMissing, Forbidden
from knative.deploying.companions import companions_in
from knative.manifests import Step
from knative.manifests.names import MANAGED_BY, MANAGER, NAME
from knative.objects import SERVICE_LABEL, Manifest, Ref, owner_of, ref_of, targets_of


def observe(cluster: Cluster, steps: Sequence[Step]) -> Mapping[Ref, Manifest]:
    """Read the objects of the steps, and the revisions that they need, if they exist.

    Of their models, it reads all revisions, the Routes that scalezero created to these revisions, and what it created
    for their events, with the Brokers of their Triggers. Of their companions it reads the Services, which they may have
    from the time before they were companions.

    Raises `KnativeMissing`, `EventingMissing`, `Forbidden`, `ClusterUnreachable`.
    """
    refs = dict.fromkeys(ref for step in steps for ref in _refs(step))
    models = dict.fromkeys(step.manifest["metadata"]["name"] for step in steps if step.makes)
    revisions = [each for model in models for each in cluster.list("Revision", labels={SERVICE_LABEL: model})]
    routes = _routes_to(frozenset(each["metadata"]["name"] for each in revisions), cluster) if revisions else ()
    of_events = [each for model in models for each in events_of(cluster, model)]
    found = {ref_of(each): each for each in (*revisions, *routes, *of_events, *_brokers_of(of_events, cluster))}
    return found | {ref: each for ref in refs if ref not in found and (each := cluster.get(ref)) is not None}


def events_of(cluster: Cluster, model: str) -> Iterator[Manifest]:
    """Yield the objects that scalezero created for the events of a model; the Broker belongs to no model.

    There are none in a cluster without Knative Eventing, and for a user without the right to list them, who could not
    have created one.
    """
    labels = {MANAGED_BY: MANAGER, NAME: model}
    for kind in ("SinkBinding", "Sequence", "Trigger"):
        with suppress(EventingMissing, Forbidden):
            yield from cluster.list(kind, labels=labels)


def _brokers_of(of_events: Iterable[Manifest], cluster: Cluster) -> Iterator[Manifest]:
    """Yield the Brokers of the Triggers. A user without the right to read Brokers has created none."""
    for name in dict.fromkeys(each["spec"]["broker"] for each in of_events if each["kind"] == "Trigger"):
        with suppress(Forbidden):
            if broker := cluster.get(Ref("Broker", name)):
                yield broker


def _routes_to(revisions: frozenset[str], cluster: Cluster) -> Iterator[Manifest]:
    """Yield the Routes to the revisions, except those that Knative created for a Service."""
    for route in cluster.list("Route", labels={MANAGED_BY: MANAGER}):
        if owner_of(route) is None and targets_of(route) & revisions:
            yield route


def _refs(step: Step) -> Iterator[Ref]:
    yield ref_of(step.manifest)
    yield from (Ref("Revision", name) for name in (step.makes, *step.needs) if name)
    if step.makes is not None:
        yield from (Ref("Service", each.name) for each in companions_in(step.manifest["spec"]["template"]))
