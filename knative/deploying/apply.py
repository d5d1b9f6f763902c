"""Carry out a plan: apply, wait, apply the next. It stops at the first thing that does not come up.

What is not Ready gets no traffic: before traffic is set, each revision in it is waited for, also one that an apply
before this one made and did not see Ready. So whatever cut an apply short, the next one takes it up where it stands.
"""

import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterError, Outrun
from knative.deploying.errors import NotUp, PlanRefused
from knative.deploying.plan import Action, Plan, holder_of_traffic
from knative.deploying.readiness import shares
from knative.deploying.waiting import Clock, Tell, wait
from knative.objects import Manifest, Ref, ref_of

_ATTEMPTS: Final = 5  # to write over an object whose status others write at the same time
_WAITED: Final = frozenset({"Deployment", "Route", "Service"})


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
    """Do what the plan says, and see that what it keeps is up. `seconds` bounds the whole; `tell` hears each step.

    `observed` is what the plan was made of: an object that has changed since is not written over. Raises `PlanRefused`
    before anything is done, `RevisionFailed`, `ObjectFailed` or `NotReadyInTime` for what does not come up, `Conflict`
    and `Outrun` for what others hold or do, and what a cluster refuses.
    """
    if plan.refusals:
        raise PlanRefused([f"{each.ref}: {each.why}" for each in plan.refusals])
    run = _Run(cluster, dict(observed), force=force, ends=clock() + seconds, tell=tell, clock=clock)
    for number, action in enumerate(plan.actions):
        try:
            run.do(action)
        except (ClusterError, NotUp):
            for each in plan.actions[number + 1 :]:
                if each.manifest is not None:
                    tell(f"{each.ref}: skipped")
            raise


@dataclass(slots=True)
class _Run:
    """One go at a plan."""

    cluster: Cluster
    known: dict[Ref, Manifest]  # as the plan saw it, or as this run made it
    _: KW_ONLY
    force: bool
    ends: float
    tell: Tell
    clock: Clock
    up: set[Ref] = field(default_factory=set)  # revisions seen Ready

    def do(self, action: Action) -> None:
        """Carry out one action and wait for it."""
        if action.manifest is None:
            self.tell(f"{action.ref}: unchanged{f' ({action.why})' if action.why else ''}")
        else:
            if action.makes is None:
                self._wait_for_revisions(action.manifest)
            self._apply(action, action.manifest)
            self.tell(f"{action.ref}: {'created' if action.verb == 'create' else 'changed'}")
        if action.makes is not None or action.ref.kind in _WAITED:
            self._wait(action.ref, owner=action.manifest["metadata"]["name"] if action.manifest else None)

    def _wait_for_revisions(self, manifest: Manifest) -> None:
        """See that all revisions that the manifest routes to are up: else the route stays where it is."""
        for target in manifest.get("spec", {}).get("traffic", ()):
            if name := target.get("revisionName"):
                self._wait(Ref("Revision", name), owner=manifest["metadata"]["name"])

    def _wait(self, ref: Ref, *, owner: str | None) -> None:
        if ref in self.up:
            return
        heard: list[str] = []

        def tell(line: str) -> None:
            heard.append(line)
            self.tell(line)

        wait(self.cluster, ref, seconds=max(0.0, self.ends - self.clock()), tell=tell, owner=owner, clock=self.clock)
        if heard:  # else it was up all along
            self.tell(f"{ref}: Ready")
        if ref.kind == "Revision":
            self.up.add(ref)

    def _apply(self, action: Action, manifest: Manifest) -> None:
        """Apply over the object that the plan saw. Raises `Outrun` where it is another one by now."""
        ref = ref_of(manifest)
        for _ in range(_ATTEMPTS):
            live = self.cluster.get(ref)
            if _identity(live) != _identity(self.known.get(ref)):
                break
            try:
                fitted = _over(manifest, live) if live else manifest
                self.known[ref] = self.cluster.apply(fitted, force=self.force or action.force)
            except Outrun:  # its status was written in between; another look tells whether it is more than that
                continue
            return
        raise Outrun(str(ref))


def _identity(manifest: Manifest | None) -> tuple[object, object] | None:
    """Tell one object in one state of its spec from others; its status may change."""
    if manifest is None:
        return None
    return manifest["metadata"].get("uid"), manifest["metadata"].get("generation")


def _over(manifest: Manifest, live: Manifest) -> Manifest:
    """Fit the manifest to the object just seen, and have the API server refuse it for any other.

    Knative fills in no defaults where a template keeps its revision's name, and refuses one that differs: the template
    of a revision that is there is sent back as it is. Traffic that others have set and that stays is left out, so that
    it stays theirs.
    """
    version = {"resourceVersion": live["metadata"]["resourceVersion"]}
    spec = dict(manifest.get("spec", {}))
    if _template_name(manifest) is not None and _template_name(manifest) == _template_name(live):
        spec["template"] = live["spec"]["template"]
    if "traffic" in spec and holder_of_traffic(live) and shares(spec["traffic"]) == shares(live["spec"]["traffic"]):
        del spec["traffic"]
    return {**manifest, "metadata": {**manifest["metadata"], **version}, **({"spec": spec} if spec else {})}


def _template_name(manifest: Manifest) -> str | None:
    """Name the revision that a Service makes; None for what makes none."""
    name: str | None = manifest.get("spec", {}).get("template", {}).get("metadata", {}).get("name")
    return name
