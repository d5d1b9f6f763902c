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
from knative.deploying.action import Action
from knative.deploying.errors import DeploymentFailed, NotReadyInTime, PlanRefused
from knative.deploying.eventing_plan import is_shared
from knative.deploying.plan import Plan, template_name, traffic_owner
from knative.deploying.progress import Apply, Delete, Done, Remove, Settle, Wait, is_applied, next_action
from knative.deploying.readiness import Ready, readiness_of, shares
from knative.deploying.removing import wait_until_gone
from knative.deploying.replacing import (
    Removal,
    has_other_template,
    is_routed,
    latest_ready_ref,
    never_served,
    was_never_ready,
    without,
)
from knative.deploying.retrying import retry
from knative.deploying.waiting import Clock, Tell, wait
from knative.manifests import names
from knative.objects import Manifest, Ref, is_being_deleted, ref_of

_ATTEMPTS: Final = 5  # to write an object whose status others write at the same time
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
    run = _Run(plan, cluster, dict(observed), force=force, ends=clock() + seconds, tell=tell, clock=clock)
    while not isinstance(step := next_action(plan, run.known), Done):
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
    known: dict[Ref, Manifest]  # as the plan saw it, or as this run left it
    _: KW_ONLY
    force: bool
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
            self._delete(step.action.ref)
            return
        is_parking = step.manifest is not step.action.manifest
        written = self.parked if is_parking else self.applied
        if step.position in written:  # another writer has changed it
            raise Outrun(str(ref_of(step.manifest)))
        if step.action.binding is not None and step.action.makes is not None and not is_parking:
            self._await_variables(step.action.binding, step.manifest)
        if not self._write(step.action, step.manifest):
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

    def _await_variables(self, binding: Ref, manifest: Manifest) -> None:
        """Wait until Knative adds the variables of the SinkBinding to the Service, which a dry run shows.

        Knative learns of the binding a moment after it was applied, and a revision without the variables would never
        get them. In the same way, a revision would keep those of a binding that was deleted. Raises `NotReadyInTime`,
        for example if the sink does not exist.
        """
        started, reported = self.clock(), False
        is_bound = binding in self.known and not is_being_deleted(self.known[binding])
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
        fitted = _over(manifest, live) if live else manifest
        return _variables(self.cluster.apply(fitted, force=True, dry_run=True))

    def _settle(self, removal: Removal) -> None:
        """Wait until Knative uses another template than that of the revision. Raises `Outrun`, `NotReadyInTime`."""
        started = self.clock()
        while True:
            live = self.cluster.get(removal.service)
            if live is None or _identity(live) != _identity(self.known.get(removal.service)):
                raise Outrun(str(removal.service))
            self.known[removal.service] = live
            if has_other_template(live, removal.ref.name):
                return
            if self.clock() + _PAUSE > self.ends:
                waiting_for = "waiting for Knative to reconcile it"
                raise NotReadyInTime(str(removal.service), seconds=self.clock() - started, waiting_for=waiting_for)
            time.sleep(_PAUSE)

    def _remove(self, removal: Removal) -> None:
        """Delete an object that never served, and wait until its name is free. Raises `Outrun`, `StillThere`."""
        for _ in range(_ATTEMPTS):
            live = self.cluster.get(removal.ref)
            if live is None:
                break
            if removal.is_done({removal.ref: live}) or not self._may_delete(removal, live):
                raise Outrun(str(removal.ref))
            try:
                self.cluster.delete(removal.ref, seen=live)
            except Outrun:  # perhaps only its status has changed: read it again
                continue
            break
        else:
            raise Outrun(str(removal.ref))
        self.tell(f"{removal.ref}: deleted; it was never Ready")
        wait_until_gone(self.cluster, (removal.ref,), seconds=max(0.0, self.ends - self.clock()))
        self.known = without(removal.ref, self.known)

    def _delete(self, ref: Ref) -> None:
        """Delete an object that left the files, and do not wait until it is gone. Raises `Outrun` if it has changed."""
        for _ in range(_ATTEMPTS):
            live = self.cluster.get(ref)
            if live is not None and _identity(live) != _identity(self.known[ref]):
                break
            try:
                if live is not None:
                    self.cluster.delete(ref, seen=live)
            except Outrun:  # perhaps only its status has changed: read it again
                continue
            del self.known[ref]
            self.tell(f"{ref}: deleted")
            return
        raise Outrun(str(ref))

    def _may_delete(self, removal: Removal, live: Manifest) -> bool:
        """Return whether the object still has never been Ready: minutes may have passed since the plan."""
        if removal.ref == removal.service:
            return never_served(live)
        service = self.cluster.get(removal.service)
        latest = latest_ready_ref(service)
        ready = self.cluster.get(latest) if latest else None
        if service is None or ready is None:
            return False
        return was_never_ready(live, ready) and not is_routed(live, service, {})

    def _write(self, action: Action, manifest: Manifest) -> bool:
        """Apply the manifest if the object is still the one that the plan saw. Raises `Outrun` if it is not.

        Returns False for a Broker that another deploy has created since: it is used as it is.
        """
        ref = ref_of(manifest)
        for _ in range(_ATTEMPTS):
            live = self.cluster.get(ref)
            if live and ref not in self.known and is_shared(ref) and is_applied(action, manifest, {ref: live}):
                self.known[ref] = live
                return False
            if _identity(live) != _identity(self.known.get(ref)):
                break
            try:
                fitted = _over(manifest, live) if live else manifest
                self.known[ref] = self.cluster.apply(fitted, force=self.force or action.force)
            except Outrun:  # perhaps only its status has changed: read it again
                continue
            return True
        raise Outrun(str(ref))


def _variables(service: Manifest) -> set[str]:
    """Return the names of the variables in the template of a Service."""
    containers = service["spec"]["template"]["spec"]["containers"]
    return {each["name"] for container in containers for each in container.get("env") or ()}


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
    if "traffic" in spec and traffic_owner(live) and shares(spec["traffic"]) == shares(live["spec"]["traffic"]):
        del spec["traffic"]
    return {**manifest, "metadata": {**manifest["metadata"], **version}, **({"spec": spec} if spec else {})}
