"""The part of a plan for Knative Eventing: the objects of others, the fields that never change, what is left. Pure.

An object that left the files is deleted if scalezero created it for the function. A Broker belongs to no function and
may have senders that scalezero does not know, so it is kept and reported.

A SinkBinding adds variables to the template of its Service. A revision never changes, and Knative refuses a template
that changes under the name of its revision, also if only the traffic should change. So a binding is added, changed and
deleted only together with a new revision.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from knative.deploying.action import Action
from knative.deploying.differences import Difference
from knative.manifests import Step
from knative.manifests.names import BROKER_CLASS, MANAGER, manager_of
from knative.objects import Manifest, Ref, is_being_deleted, kubectl_name, ref_of

_UNDECLARED: Final = "no file declares it"
_IMMUTABLE: Final = {  # the start of a path, by kind
    "Broker": f"metadata.annotations.{BROKER_CLASS}",
    "Trigger": "spec.broker",
}


def is_shared(ref: Ref) -> bool:
    """Whether the files of several functions may declare the object, so that their deploys may create it at once."""
    return ref.kind == "Broker"


def why_kept(manifest: Manifest, live: Manifest | None) -> str:
    """Return why the files' Broker is used as it is: someone else created it. Otherwise empty."""
    if live is None or not is_shared(ref_of(manifest)):
        return ""
    return "" if manager_of(live) == MANAGER else "it exists, and scalezero did not create it"


def why_refused(ref: Ref, changed: Sequence[Difference], *, live: Manifest | None, service: Manifest | None) -> str:
    """Return why Knative would refuse the change, and the next step; otherwise empty.

    `service` is the Service of a SinkBinding if it exists and the plan creates no revision of it.
    """
    fixed = _IMMUTABLE.get(ref.kind)
    if live is not None and fixed and any(each.path.startswith(fixed) for each in changed):
        if ref.kind == "Trigger":
            return (
                "Knative never changes the Broker of a Trigger; give the trigger another name: the deploy creates it, "
                "and deletes this one"
            )
        return f"Knative never changes the class of a Broker; delete it first: kubectl delete {kubectl_name(ref)}"
    if service is not None and (live is None or changed):
        return (
            "it changes the variables of a revision, and a revision never changes; declare another ModelVersion, which "
            "gets the new ones"
        )
    return ""


def left_bindings(
    steps: Iterable[Step], observed: Mapping[Ref, Manifest], renewed: Collection[str]
) -> Iterator[Action]:
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


def left_deliveries(steps: Iterable[Step], observed: Mapping[Ref, Manifest]) -> Iterator[Action]:
    """Delete the Triggers and then the Sequences that left the files, after all others are Ready.

    Until then both the old and the new ones deliver, so that no event is lost. Reports the Brokers that lose their
    Triggers.
    """
    steps = tuple(steps)
    triggers = tuple(_left(steps, observed, "Trigger"))
    for ref in (*triggers, *_left(steps, observed, "Sequence")):
        if not is_being_deleted(observed[ref]):
            yield Action(verb="delete", ref=ref, why=_UNDECLARED)
    used = {each.manifest["spec"]["broker"] for each in steps if each.manifest["kind"] == "Trigger"}
    left = dict.fromkeys(Ref("Broker", observed[ref]["spec"]["broker"]) for ref in triggers)
    for ref in left:
        is_declared = any(ref_of(each.manifest) == ref for each in steps)
        if ref in observed and ref.name not in used and not is_declared and manager_of(observed[ref]) == MANAGER:
            why = f"{_UNDECLARED}, and others may send to it; kubectl delete {kubectl_name(ref)} deletes it"
            yield Action(verb="keep", ref=ref, why=why, awaited=False)


def _left(steps: Iterable[Step], observed: Mapping[Ref, Manifest], kind: str) -> Iterator[Ref]:
    declared = {ref_of(each.manifest) for each in steps}
    return (ref for ref in observed if ref.kind == kind and ref not in declared)
