"""Carry out a plan: apply and wait, in the order of `progress.next_action`, up to the first failure.

A revision that is not Ready gets no traffic, also one that an earlier command applied. So after any interruption the
next apply continues where the last one stopped.
"""

import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterError, Outrun
from knative.deploying.errors import DeploymentFailed, NotReadyInTime, PlanRefused
from knative.deploying.plan import Plan, template_name
from knative.deploying.progress import Apply, Delete, Done, Remove, Settle, Wait, next_action
from knative.deploying.readiness import Ready, readiness_of
from knative.deploying.removing import wait_until_gone
from knative.deploying.replacing import Removal, has_other_template
from knative.deploying.retrying import retry
from knative.deploying.waiting import Clock, Tell, wait
from knative.deploying.writing import Writes, over
from knative.manifests import names
from knative.objects import Manifest, Ref, is_being_deleted, ref_of

_PAUSE: Final = 0.5  # s between two reads
_BINDING_SECONDS: Final = 60.0  # s in which Knative learns of a SinkBinding; it takes about one


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
    """Apply the plan and wait until everything in it is Ready. `tell` gets a line per step.

    `seconds` limits the whole run. `observed` are the objects from which the plan was made: an object that has changed
    since is not overwritten. Raises `PlanRefused` before any change; `RevisionFailed`, `ObjectFailed` or
    `NotReadyInTime` for an object that does not become Ready; `Conflict` and `Outrun` for the changes of others; and
    the other errors of the cluster.
    """
    if plan.refusals:
        raise PlanRefused([f"{each.ref}: {each.why}" for each in plan.refusals])
    writes = Writes(cluster, observed, force=force)
    run = _Run(plan, cluster, writes, ends=clock() + seconds, tell=tell, clock=clock)
    while not isinstance(step := next_action(plan, writes.known), Done):
        try:
            run.do(step)
        except (ClusterError, DeploymentFailed):
            run.report_skipped(step.position)
            raise
    run.report_unchanged(len(plan.actions))


@dataclass(slots=True)
class _Run:
    """The state of one execution of a plan."""

    plan: Plan
    cluster: Cluster
    writes: Writes
    _: KW_ONLY
    ends: float
    tell: Tell
    clock: Clock
    applied: set[int] = field(default_factory=set)  # positions of actions whose manifest was applied
    parked: set[int] = field(default_factory=set)  # positions of actions whose Service has another template for now
    reported: int = 0  # actions before this position are reported

    def do(self, step: Apply | Delete | Remove | Settle | Wait) -> None:
        """Apply an action, delete an object, or wait for one."""
        self.report_unchanged(step.position + (not step.action.is_change))
        owner = step.action.manifest["metadata"]["name"] if step.action.manifest else None
        if isinstance(step, Wait):
            self._wait(step.ref, owner=owner)
            return
        if isinstance(step, Settle):
            self._settle(step.removal)
            return
        if isinstance(step, Remove):
            self._remove(step.removal)
            return
        if isinstance(step, Delete):
            self.writes.delete(step.action.ref)  # it is not waited for
            self.tell(f"{step.action.ref}: deleted")
            return
        is_parking = step.manifest is not step.action.manifest
        written = self.parked if is_parking else self.applied
        if step.position in written:  # another writer has changed it
            raise Outrun(str(ref_of(step.manifest)))
        if step.action.binding is not None and step.action.makes is not None and not is_parking:
            self._await_variables(step.action.binding, step.manifest)
        if not self.writes.apply(step.action, step.manifest):
            return
        written.add(step.position)
        if is_parking:
            self.tell(f"{ref_of(step.manifest)}: uses the template of {template_name(step.manifest)} for now")
        else:
            self.tell(f"{step.action.ref}: {'changed' if step.action.verb == 'change' else 'created'}")

    def report_unchanged(self, end: int) -> None:
        """Report the actions before position `end` that this run had nothing to apply for."""
        for position in range(self.reported, end):
            action = self.plan.actions[position]
            if action.is_change and action.manifest is None:
                continue  # reported when it was deleted
            if action.manifest is None:
                self.tell(f"{action.ref}: unchanged{f' ({action.why})' if action.why else ''}")
            elif position not in self.applied:
                self.tell(f"{action.ref}: applied before")
        self.reported = max(self.reported, end)

    def report_skipped(self, position: int) -> None:
        """Report the changes after this one."""
        for each in self.plan.actions[position + 1 :]:
            if each.is_change:
                self.tell(f"{each.ref}: skipped")

    def _wait(self, ref: Ref, *, owner: str | None) -> None:
        reported: list[str] = []

        def tell(line: str) -> None:
            reported.append(line)
            self.tell(line)

        outdated = retry(self.cluster, self.writes.known[ref], tell) if self._is_retried(ref) else {}
        left = max(0.0, self.ends - self.clock())
        self.writes.known[ref] = wait(
            self.cluster, ref, seconds=left, tell=tell, owner=owner, outdated=outdated, clock=self.clock
        )
        if reported:  # otherwise it was Ready at once
            self.tell(f"{ref}: Ready")

    def _is_retried(self, ref: Ref) -> bool:
        """Whether the object is a revision that existed before this run and was not Ready."""
        found = self.writes.known.get(ref) if ref.kind == "Revision" else None
        return found is not None and not isinstance(readiness_of(found), Ready)

    def _await_variables(self, binding: Ref, manifest: Manifest) -> None:
        """Wait until Knative adds the variables of the SinkBinding to the Service, which a dry run shows.

        Knative learns of the binding a moment after it was applied, and a revision without the variables would never
        get them. In the same way, a revision would keep those of a binding that was deleted. Raises `NotReadyInTime`,
        for example if the sink does not exist.
        """
        started, reported, known = self.clock(), False, self.writes.known
        is_bound = binding in known and not is_being_deleted(known[binding])
        waiting_for = f"waiting for Knative to remove {names.SINK} from the Service"
        if is_bound:
            waiting_for = f"waiting for Knative to add {names.SINK} to the Service; the sink has to exist"
        while is_bound != (names.SINK in self._variables_of(manifest)):
            if self.clock() + _PAUSE > min(self.ends, started + _BINDING_SECONDS):
                raise NotReadyInTime(str(binding), seconds=self.clock() - started, waiting_for=waiting_for)
            if not reported:
                self.tell(f"{binding}: {waiting_for}")
                reported = True
            time.sleep(_PAUSE)

    def _variables_of(self, manifest: Manifest) -> set[str]:
        """Return the names of the variables that the Service would have, by a dry run."""
        live = self.cluster.get(ref_of(manifest))
        fitted = over(manifest, live) if live else manifest
        return _variables(self.cluster.apply(fitted, force=True, dry_run=True))

    def _settle(self, removal: Removal) -> None:
        """Wait until Knative uses another template than that of the revision. Raises `Outrun`, `NotReadyInTime`."""
        started = self.clock()
        while True:
            if has_other_template(self.writes.read_again(removal.service), removal.ref.name):
                return
            if self.clock() + _PAUSE > self.ends:
                waiting_for = "waiting for Knative to reconcile it"
                raise NotReadyInTime(str(removal.service), seconds=self.clock() - started, waiting_for=waiting_for)
            time.sleep(_PAUSE)

    def _remove(self, removal: Removal) -> None:
        """Delete an object that never served, and wait until its name is free. Raises `Outrun`, `StillThere`."""
        self.writes.remove(removal)
        self.tell(f"{removal.ref}: deleted; it was never Ready")
        wait_until_gone(self.cluster, (removal.ref,), seconds=max(0.0, self.ends - self.clock()))


def _variables(service: Manifest) -> set[str]:
    """Return the names of the variables in the template of a Service."""
    containers = service["spec"]["template"]["spec"]["containers"]
    return {each["name"] for container in containers for each in container.get("env") or ()}
