"""The revisions and Services that can be deleted and created again, because they never served. Pure.

Knative creates a revision again as soon as it is deleted if the Service's template still has its name. So the Service
gets the template of another revision first, and keeps its traffic. A Service of which no revision was ever Ready has no
other template to use, and no traffic to keep: it is deleted as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from knative.deploying.readiness import Ready, readiness_of
from knative.manifests.names import MANAGER, PROGRESS_DEADLINE, manager_of
from knative.objects import ROUTING_LABEL, SERVING_PREFIX, Manifest, Ref, generation_of, owner_of, ref_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """An object to delete before its action applies something."""

    ref: Ref
    uid: str  # of the object that the plan saw
    service: Ref  # the Service of a revision, or the object itself
    parked: Manifest | None = None  # the Service with another revision's template, applied before the deletion

    def is_done(self, observed: Mapping[Ref, Manifest]) -> bool:
        """Whether the object is gone, or another one has its name."""
        live = observed.get(self.ref)
        return live is None or live.get("metadata", {}).get("uid") != self.uid


def of_revision(
    name: str, service: Manifest | None, wanted: Manifest, observed: Mapping[Ref, Manifest]
) -> Removal | None:
    """Return how to remove the revision; None if it may have been Ready, or if anything routes to it.

    `wanted` is the Service as it is applied afterwards, with the traffic that it has now.
    """
    ref, ready = Ref("Revision", name), latest_ready(service, observed)
    revision = observed[ref]
    if service is None or ready is None or not was_never_ready(revision, ready):
        return None
    if is_routed(revision, service, observed):
        return None
    parked = None
    if service["spec"]["template"].get("metadata", {}).get("name") == name:
        parked = {**wanted, "spec": {**wanted["spec"], "template": _template_of(ready)}}
    return Removal(ref=ref, uid=revision["metadata"]["uid"], service=ref_of(service), parked=parked)


def of_service(service: Manifest | None) -> Removal | None:
    """Return how to remove the Service; None if a revision of it was Ready, or scalezero did not create it."""
    if service is None or not never_served(service):
        return None
    if manager_of(service) != MANAGER:
        return None
    return Removal(ref=ref_of(service), uid=service["metadata"]["uid"], service=ref_of(service))


def never_served(service: Manifest) -> bool:
    """Whether no revision of the Service was ever Ready. Then there is no traffic to keep."""
    status = _status(service)
    return "latestCreatedRevisionName" in status and "latestReadyRevisionName" not in status


def latest_ready_ref(service: Manifest | None) -> Ref | None:
    """Return the reference to the latest revision of the Service that was Ready; None: no revision was."""
    name = _status(service).get("latestReadyRevisionName")
    return Ref("Revision", name) if name else None


def latest_ready(service: Manifest | None, observed: Mapping[Ref, Manifest]) -> Manifest | None:
    """Return the latest revision of the Service that was Ready, if it still exists."""
    ref = latest_ready_ref(service)
    return observed.get(ref) if ref else None


def without(removed: Ref, objects: Mapping[Ref, Manifest]) -> dict[Ref, Manifest]:
    """Return the other objects; the revisions of a removed Service are removed with it."""
    return {
        ref: each for ref, each in objects.items() if ref != removed and removed != Ref("Service", owner_of(each) or "")
    }


def was_never_ready(revision: Manifest, ready: Manifest) -> bool:
    """Whether the revision was never Ready; `ready` is the latest one that was.

    A revision that was Ready once can be not Ready now, for example if no node has room for its pod. But Knative only
    ever moves on to newer revisions, so one that is newer than the latest Ready revision was never Ready.
    """
    return not isinstance(readiness_of(revision), Ready) and generation_of(revision) > generation_of(ready) > 0


def is_routed(revision: Manifest, service: Manifest, observed: Mapping[Ref, Manifest]) -> bool:
    """Whether the Service or a Route has a target for the revision, with or without traffic."""
    name = revision["metadata"]["name"]
    routes = [each for ref, each in observed.items() if ref.kind == "Route"]
    targets = (
        target.get("revisionName")
        for each in (service, *routes)
        for part in ("spec", "status")
        for target in (each.get(part) or {}).get("traffic") or ()
    )
    labels = revision["metadata"].get("labels") or {}
    return labels.get(ROUTING_LABEL) == "active" or name in targets


def has_other_template(service: Manifest | None, name: str) -> bool:
    """Whether Knative has reconciled the Service, and its template is not that of the revision `name`."""
    if service is None:
        return True
    status, generation = _status(service), service["metadata"].get("generation")
    return status.get("observedGeneration") == generation and status.get("latestCreatedRevisionName") != name


def _template_of(revision: Manifest) -> dict[str, Any]:
    """Return the template that made the revision. Knative accepts it only with an equal spec."""
    metadata = revision["metadata"]
    return {
        "metadata": {
            "name": metadata["name"],
            "labels": _without_knative(metadata.get("labels")),
            "annotations": _without_knative(metadata.get("annotations")),
        },
        "spec": revision["spec"],
    }


def _without_knative(values: Mapping[str, str] | None) -> dict[str, str]:
    """Leave out the labels and annotations that Knative Serving adds to a revision."""
    return {
        name: value
        for name, value in (values or {}).items()
        if name == PROGRESS_DEADLINE or not name.startswith(SERVING_PREFIX)
    }


def _status(service: Manifest | None) -> Manifest:
    status: Manifest = (service or {}).get("status") or {}
    return status
