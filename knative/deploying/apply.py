"""Carry out a plan: apply and wait, in the order that `progress.next_action` gives, up to the first failure.

A revision that is not Ready gets no traffic, also one that an earlier command applied. So after any interruption the
next apply continues where the last one stopped.
"""

import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterError, Outrun
from knative.deploying.errors import NotUp, PlanRefused
from knative.deploying.plan import Action, Plan, holder_of_traffic, template_name
from knative.deploying.progress import Apply, Done, Wait, next_action
from knative.deploying.readiness import Ready, readiness_of, shares
from knative.deploying.retrying import retry
from knative.deploying.waiting import Clock, Tell, wait
from knative.objects import Manifest, Ref, ref_of

_ATTEMPTS: Final = 5  # to write an object whose status others write at the same time


def carry_out(
    plan: Plan,
    observed: Mapping[Ref, Manifest],
    cluster: Cluster,
    *,
    force: bool,
    seconds: float,
    tell: Tell,
    clock: Clock = time.monotonic,
) -> None:
    """Apply the plan and wait until everything in it is Ready. `seconds` bounds the whole; `tell` gets a line per step.

    `observed` is what the plan was made from: an object that has changed since is not overwritten. Raises `PlanRefused`
    before any change; `RevisionFailed`, `ObjectFailed` or `NotReadyInTime` for an object that does not become Ready;
    `Conflict` and `Outrun` for the changes of others; and what a cluster refuses.
    """
    if plan.refusals:
        raise PlanRefused([f"{each.ref}: {each.why}" for each in plan.refusals])
    run = _Run(plan, cluster, dict(observed), force=force, ends=clock() + seconds, tell=tell, clock=clock)
    while not isinstance(step := next_action(plan, run.known), Done):
        try:
            run.do(step)
        except (ClusterError, NotUp):
            run.report_skipped(step.position)
            raise
    run.report_unchanged(len(plan.actions))


@dataclass(slots=True)
class _Run:
    """The state of one execution of a plan."""

    plan: Plan
    cluster: Cluster
    known: dict[Ref, Manifest]  # as the plan saw it, or as this run left it
    _: KW_ONLY
    force: bool
    ends: float
    tell: Tell
    clock: Clock
    applied: set[int] = field(default_factory=set)  # positions of actions
    reported: int = 0  # actions before this position have had their line

    def do(self, step: Apply | Wait) -> None:
        """Apply an action, or wait for one object."""
        self.report_unchanged(step.position + (step.action.manifest is None))
        owner = step.action.manifest["metadata"]["name"] if step.action.manifest else None
        if isinstance(step, Wait):
            self._wait(step.ref, owner=owner)
            return
        if step.position in self.applied:  # it is not what was applied: somebody else writes it too
            raise Outrun(str(step.action.ref))
        self._apply(step.action, step.manifest)
        self.applied.add(step.position)

    def report_unchanged(self, end: int) -> None:
        """Report the actions before position `end` that this run had nothing to apply for."""
        for position in range(self.reported, end):
            action = self.plan.actions[position]
            if action.manifest is None:
                self.tell(f"{action.ref}: unchanged{f' ({action.why})' if action.why else ''}")
            elif position not in self.applied:
                self.tell(f"{action.ref}: applied before")
        self.reported = max(self.reported, end)

    def report_skipped(self, position: int) -> None:
        """Report the actions after this one that would have applied something."""
        for each in self.plan.actions[position + 1 :]:
            if each.manifest is not None:
                self.tell(f"{each.ref}: skipped")

    def _wait(self, ref: Ref, *, owner: str | None) -> None:
        reported: list[str] = []

        def tell(line: str) -> None:
            reported.append(line)
            self.tell(line)

        outdated = retry(self.cluster, self.known[ref], tell) if self._is_retried(ref) else {}
        left = max(0.0, self.ends - self.clock())
        self.known[ref] = wait(
            self.cluster, ref, seconds=left, tell=tell, owner=owner, outdated=outdated, clock=self.clock
        )
        if reported:  # otherwise it was Ready at once
            self.tell(f"{ref}: Ready")

    def _is_retried(self, ref: Ref) -> bool:
        """Whether the object is a revision that existed before this run and was not Ready."""
        return ref.kind == "Revision" and ref in self.known and not isinstance(readiness_of(self.known[ref]), Ready)

    def _apply(self, action: Action, manifest: Manifest) -> None:
        """Apply the manifest if the object is still the one that the plan saw. Raises `Outrun` if it is not."""
        ref = ref_of(manifest)
        for _ in range(_ATTEMPTS):
            live = self.cluster.get(ref)
            if _identity(live) != _identity(self.known.get(ref)):
                break
            try:
                fitted = _over(manifest, live) if live else manifest
                self.known[ref] = self.cluster.apply(fitted, force=self.force or action.force)
            except Outrun:  # perhaps only its status has changed: read it again
                continue
            self.tell(f"{action.ref}: {'created' if action.verb == 'create' else 'changed'}")
            return
        raise Outrun(str(ref))


def _identity(manifest: Manifest | None) -> tuple[object, object] | None:
    """Identify an object with one state of its spec; its status may change."""
    if manifest is None:
        return None
    return manifest["metadata"].get("uid"), manifest["metadata"].get("generation")


def _over(manifest: Manifest, live: Manifest) -> Manifest:
    """Adapt the manifest to the object that was just read; the API server refuses it for any other version.

    Knative refuses a changed template under the name of an existing revision, and fills in no defaults there. So the
    template of an existing revision is sent back as it is. Traffic that others own and that does not change is left
    out, so that they keep its ownership.
    """
    version = {"resourceVersion": live["metadata"]["resourceVersion"]}
    spec = dict(manifest.get("spec", {}))
    if template_name(manifest) is not None and template_name(manifest) == template_name(live):
        spec["template"] = live["spec"]["template"]
    if "traffic" in spec and holder_of_traffic(live) and shares(spec["traffic"]) == shares(live["spec"]["traffic"]):
        del spec["traffic"]
    return {**manifest, "metadata": {**manifest["metadata"], **version}, **({"spec": spec} if spec else {})}
