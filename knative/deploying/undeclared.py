"""The actions for what the cluster has and the files no longer declare. Pure.

Revisions, Routes and Services are kept and reported, because a rollback or clients may need them. Triggers, Sequences
and SinkBindings are deleted, as no one calls them. A Broker belongs to no function and may have other senders, so it is
kept. `observed` contains only objects of the declared models, and Triggers, Sequences and SinkBindings only if
scalezero created them.
"""

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from typing import Final

from knative.deploying.action import Action
from knative.deploying.companions import companions_in
from knative.manifests import Step
from knative.manifests.names import MANAGER, manager_of
from knative.objects import ROUTES, ROUTING_LABEL, Manifest, Ref, is_being_deleted, kubectl_name, owner_of, ref_of

_UNDECLARED: Final = "no file declares it"


def revisions(
    model: str, observed: Mapping[Ref, Manifest], *, declared: Container[str], needed: Collection[str]
) -> Iterator[Action]:
    """Report the revisions of a model that are not `declared`. They stay, because a rollback may need them.

    The files route to those that are `needed`.
    """
    service = observed.get(Ref("Service", model)) or {}
    latest = (service.get("status") or {}).get("latestCreatedRevisionName")
    for ref, found in observed.items():
        labels = found.get("metadata", {}).get("labels") or {}
        if ref.kind != "Revision" or ref.name in declared or owner_of(found) != model:
            continue
        why = "no ModelVersion declares it"
        if labels.get(ROUTING_LABEL) == "reserve" and ref.name not in {latest, *needed}:
            why += f", and nothing routes to it; kn revision delete {ref.name} removes it"
        yield Action(verb="keep", ref=ref, why=why)


def routes(steps: Sequence[Step], observed: Mapping[Ref, Manifest]) -> Iterator[Action]:
    """Report the Routes that the files no longer declare. They stay, because clients may use their URLs."""
    for ref in _left(steps, observed, "Route"):
        why = f"no file declares its split; kubectl delete {ROUTES}/{ref.name} removes it"
        yield Action(verb="keep", ref=ref, why=why, awaited=False)


def services_of_companions(steps: Sequence[Step], observed: Mapping[Ref, Manifest]) -> Iterator[Action]:
    """Report the Services that companions had as models of their own. They stay, because clients may use their URLs."""
    for step in (each for each in steps if each.makes is not None and each.final):
        for companion in companions_in(step.manifest["spec"]["template"]):
            ref = Ref("Service", companion.name)
            if _is_ours(ref, steps, observed):
                why = f"{step.manifest['metadata']['name']} serves this model as a companion"
                why += f"; scalezero delete {companion.name} removes the Service"
                yield Action(verb="keep", ref=ref, why=why, awaited=False)


def bindings(steps: Sequence[Step], observed: Mapping[Ref, Manifest], *, renewed: Collection[str]) -> Iterator[Action]:
    """Delete the SinkBindings that left the files, before the new revision of their Service; keep the others.

    `renewed` are the models of which the plan creates a revision. Knative removes the variables of a binding that is
    being deleted when the Service gets the template of that revision, and only then the binding is gone.
    """
    for ref in _left(steps, observed, "SinkBinding"):
        if ref.name in renewed:
            yield Action(verb="delete", ref=ref, why=f"{_UNDECLARED}, and the new revision does not need it")
        else:
            why = f"{_UNDECLARED}, and a revision has its variables; the deploy of a new ModelVersion deletes it"
            yield Action(verb="keep", ref=ref, why=why, awaited=False)


def deliveries(steps: Sequence[Step], observed: Mapping[Ref, Manifest]) -> Iterator[Action]:
    """Delete the Triggers and then the Sequences that left the files, after all others are Ready.

    Until then both the old and the new ones deliver, so that no event is lost. Reports the Brokers that lose their
    Triggers.
    """
    triggers = tuple(_left(steps, observed, "Trigger"))
    for ref in (*triggers, *_left(steps, observed, "Sequence")):
        if not is_being_deleted(observed[ref]):
            yield Action(verb="delete", ref=ref, why=_UNDECLARED)
    used = {each.manifest["spec"]["broker"] for each in steps if each.manifest["kind"] == "Trigger"}
    left = dict.fromkeys(Ref("Broker", observed[ref]["spec"]["broker"]) for ref in triggers)
    for ref in left:
        if ref.name not in used and _is_ours(ref, steps, observed):
            why = f"{_UNDECLARED}, and others may send to it; kubectl delete {kubectl_name(ref)} deletes it"
            yield Action(verb="keep", ref=ref, why=why, awaited=False)


def _left(steps: Sequence[Step], observed: Mapping[Ref, Manifest], kind: str) -> Iterator[Ref]:
    """Yield the objects of a kind that no step declares."""
    declared = _declared(steps)
    return (ref for ref in observed if ref.kind == kind and ref not in declared)


def _is_ours(ref: Ref, steps: Sequence[Step], observed: Mapping[Ref, Manifest]) -> bool:
    """Whether the object exists, scalezero created it, and no step declares it."""
    return ref in observed and ref not in _declared(steps) and manager_of(observed[ref]) == MANAGER


def _declared(steps: Sequence[Step]) -> frozenset[Ref]:
    return frozenset(ref_of(each.manifest) for each in steps)
