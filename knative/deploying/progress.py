"""What comes next for a plan: pure, from the plan and the cluster's objects.

    next_action(plan, observed) -> Apply | Wait | Done

It depends on nothing but its arguments. The command line calls it in a loop (apply.py); a controller can call it once
per reconciliation and requeue on `Wait`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from knative.deploying.differences import differences
from knative.deploying.plan import Action, Plan, template_name, without_template
from knative.deploying.readiness import Ready, readiness_of
from knative.objects import Manifest, Ref, ref_of

_WITH_READINESS: Final = frozenset({"Deployment", "Route", "Service"})


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply the manifest of an action."""

    position: int  # of the action in the plan
    action: Action
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until an object is Ready: the result of an action, or a revision that the action sends traffic to."""

    position: int
    action: Action
    ref: Ref


@dataclass(frozen=True, slots=True)
class Done:
    """Every action is applied, and every result is Ready."""


def next_action(plan: Plan, observed: Mapping[Ref, Manifest]) -> Apply | Wait | Done:
    """Return the first thing that is left to do. `observed` holds the objects of the plan, as far as they exist.

    A revision gets traffic only when it is Ready, so an apply that sets traffic comes after that wait.
    """
    for position, action in enumerate(plan.actions):
        applied = action.manifest is None or _is_applied(action, action.manifest, observed)
        for ref in _awaited(action, observed) if applied else _prerequisites(action.manifest, action.makes):
            if not _is_ready(observed.get(ref)):
                return Wait(position, action, ref)
        if action.manifest is not None and not applied:
            return Apply(position, action, action.manifest)
    return Done()


def _is_applied(action: Action, manifest: Manifest, observed: Mapping[Ref, Manifest]) -> bool:
    live = observed.get(ref_of(manifest))
    if action.makes is not None:
        if Ref("Revision", action.makes) in observed:
            return True
        # Knative creates the revision a moment after the Service has its template.
        return live is not None and template_name(live) == action.makes
    return live is not None and not differences(without_template(manifest), live)


def _awaited(action: Action, observed: Mapping[Ref, Manifest]) -> Iterator[Ref]:
    """Yield what must be Ready after the action: the revisions that the object routes to, then the object.

    An object that is kept may route to a revision that failed. The revision has the cause, and it can be retried.
    """
    live = observed.get(action.ref)
    if action.makes is None and action.ref.kind in {"Route", "Service"}:
        yield from (each for each in _prerequisites(live, None) if each in observed)
    if action.makes is not None or action.ref.kind in _WITH_READINESS:
        yield action.ref


def _prerequisites(manifest: Manifest | None, makes: str | None) -> Iterator[Ref]:
    """Yield the revisions that the manifest routes to. A manifest that makes a revision keeps the traffic."""
    if makes is None and manifest is not None:
        for target in manifest.get("spec", {}).get("traffic", ()):
            if name := target.get("revisionName"):
                yield Ref("Revision", name)


def _is_ready(manifest: Manifest | None) -> bool:
    return manifest is not None and isinstance(readiness_of(manifest), Ready)
