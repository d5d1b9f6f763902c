"""What Knative Eventing allows of a plan: the objects of others, and the fields that never change. Pure.

A SinkBinding adds variables to the template of its Service. A revision never changes, and Knative refuses a template
that changes under the name of its revision, also if only the traffic should change. So a binding is added, changed and
deleted only together with a new revision.
"""

from collections.abc import Sequence
from typing import Final

from knative.deploying.differences import Difference
from knative.manifests.names import BROKER_CLASS, MANAGER, manager_of
from knative.objects import Manifest, Ref, kubectl_name, ref_of

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
