"""The next action of a plan. Pure: from the plan and the cluster's objects.

    next_action(plan, observed) -> Apply | Delete | Remove | Settle | Wait | Done

It depends only on its arguments. The command line calls it in a loop (apply.py); a controller can call it once
per reconciliation and requeue on `Wait`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from knative.deploying.action import Action
from knative.deploying.eventing_plan import why_kept
from knative.deploying.plan import Plan, changed_fields, template_name
from knative.deploying.readiness import Ready, readiness_of
from knative.deploying.replacing import Removal, has_other_template
from knative.objects import Manifest, Ref, is_being_deleted, ref_of

_WITH_READINESS: Final = frozenset({"Broker", "Deployment", "Route", "Sequence", "Service", "SinkBinding", "Trigger"})


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply the manifest of an action."""

    position: int  # of the action in the plan
    action: Action
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object that left the files."""

    position: int
    action: Action


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete an object that never served, with what it owns, so that the action can create it again."""

    position: int
    action: Action
    removal: Removal


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait until Knative uses the template of another revision, so that it does not create the deleted one again."""

    position: int
    action: Action
    removal: Removal


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until an object is Ready: the result of an action, or a revision that the action sends traffic to."""

    position: int
    action: Action
    ref: Ref


@dataclass(frozen=True, slots=True)
class Done:
    """Every action is applied, and every result is Ready."""


def next_action(plan: Plan, observed: Mapping[Ref, Manifest]) -> Apply | Delete | Remove | Settle | Wait | Done:
    """Return the next action. `observed` contains those objects of the plan that exist.

    A revision gets traffic only when it is Ready, so an apply that sets traffic comes after that wait.
    """
    for position, action in enumerate(plan.actions):
        if action.verb == "delete":
            live = observed.get(action.ref)
            if live is not None and not is_being_deleted(live):  # a SinkBinding exists until its Service has changed
                return Delete(position, action)
            continue
        if action.removal is not None and not action.removal.is_done(observed):
            return _next_of_removal(position, action, action.removal, observed)
        if action.removal is not None and action.manifest is None:  # later actions create the object again
            continue
        applied = action.manifest is None or is_applied(action, action.manifest, observed)
        for ref in _awaited(action, observed) if applied else _prerequisites(action.manifest, action.makes):
            if not _is_ready(observed.get(ref)):
                return Wait(position, action, ref)
        if action.manifest is not None and not applied:
            return Apply(position, action, action.manifest)
    return Done()


def _next_of_removal(
    position: int, action: Action, removal: Removal, observed: Mapping[Ref, Manifest]
) -> Apply | Remove | Settle:
    """Move the Service to another template and wait until Knative uses it; then delete."""
    service = observed.get(removal.service)
    if removal.ref != removal.service:
        if removal.parked and service and template_name(service) == removal.ref.name:
            return Apply(position, action, removal.parked)
        if not has_other_template(service, removal.ref.name):
            return Settle(position, action, removal)
    return Remove(position, action, removal)


def is_applied(action: Action, manifest: Manifest, observed: Mapping[Ref, Manifest]) -> bool:
    """Whether the cluster has what the action applies, so that another apply would change nothing."""
    live = observed.get(ref_of(manifest))
    if action.makes is not None:
        if Ref("Revision", action.makes) in observed:
            return True
        # Knative creates the revision a moment after the Service has its template.
        return live is not None and template_name(live) == action.makes
    return live is not None and (bool(why_kept(manifest, live)) or not changed_fields(manifest, live))


def _awaited(action: Action, observed: Mapping[Ref, Manifest]) -> Iterator[Ref]:
    """Yield the objects that must be Ready after the action: the revisions that the object routes to, then the object.

    An object that is kept may route to a revision that failed. The revision has the cause, and it can be retried. A
    SinkBinding is Ready when its Service is.
    """
    if not action.awaited:
        return
    live = observed.get(action.ref)
    if action.makes is None and action.ref.kind in {"Route", "Service"}:
        yield from (each for each in _prerequisites(live, None) if each in observed)
    if action.makes is not None or action.ref.kind in _WITH_READINESS:
        yield action.ref
    if action.makes is None and action.binding is not None:
        yield action.binding


def _prerequisites(manifest: Manifest | None, makes: str | None) -> Iterator[Ref]:
    """Yield the revisions that the manifest routes to. A manifest that makes a revision keeps the traffic."""
    if makes is None and manifest is not None:
        for target in manifest.get("spec", {}).get("traffic", ()):
            if name := target.get("revisionName"):
                yield Ref("Revision", name)


def _is_ready(manifest: Manifest | None) -> bool:
    return manifest is not None and isinstance(readiness_of(manifest), Ready)
