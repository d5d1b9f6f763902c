"""What Knative Eventing allows of a plan: the objects of others, the fields that never change, and what is left. Pure.

A SinkBinding adds variables to the template of its Service. A revision never changes, and Knative refuses a template
that changes under the name of its revision, also if only the traffic should change. So a binding is added and changed
only together with a new revision.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from knative.deploying.action import Action
from knative.deploying.differences import Difference
from knative.manifests import Step
from knative.manifests.names import BROKER_CLASS, MANAGED_BY, MANAGER
from knative.objects import Manifest, Ref, kubectl_name, ref_of

_EFFECTS: Final = {  # of an object that no file declares
    "Sequence": "no file declares it",
    "SinkBinding": "no file declares it, and its Service still has the variables that it added; delete it together "
    "with a new ModelVersion",
    "Trigger": "no file declares it, and it still delivers events",
}
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
    is_ours = (live["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER
    return "" if is_ours else "it exists, and scalezero did not create it"


def why_refused(ref: Ref, changed: Sequence[Difference], *, live: Manifest | None, service: Manifest | None) -> str:
    """Return why Knative would refuse the change, and the next step; otherwise empty.

    `service` is the Service of a SinkBinding if it exists and the plan creates no revision of it.
    """
    fixed = _IMMUTABLE.get(ref.kind)
    if live is not None and fixed and any(each.path.startswith(fixed) for each in changed):
        if ref.kind == "Trigger":
            return (
                "Knative never changes the Broker of a Trigger; give the trigger another name, and delete this one: "
                f"kubectl delete {kubectl_name(ref)}"
            )
        return f"Knative never changes the class of a Broker; delete it first: kubectl delete {kubectl_name(ref)}"
    if service is not None and (live is None or changed):
        return (
            "it changes the variables of a revision, and a revision never changes; declare another ModelVersion, which "
            "gets the new ones"
        )
    return ""


def leftovers(steps: Iterable[Step], observed: Mapping[Ref, Manifest]) -> Iterator[Action]:
    """Report the objects for events that the files no longer declare. They stay, because they may be in use."""
    declared = {ref_of(each.manifest) for each in steps}
    for ref in observed:
        if ref.kind in _EFFECTS and ref not in declared:
            why = f"{_EFFECTS[ref.kind]}; kubectl delete {kubectl_name(ref)} removes it"
            yield Action(verb="keep", ref=ref, why=why, awaited=False)
