"""What has to be done so that a cluster holds what is wanted: pure, from the wanted steps and what is there.

A model's versions are the revisions of one Knative Service, and Knative makes a revision when the Service's template
gets a new name. So each revision that is missing is an apply of the Service with that template and with the traffic as
it stands; only when all of them are Ready the traffic is set, by one more apply. What is not Ready gets no traffic.

A revision never changes. The version declared last is held to what the files say; one before it stays as it was made,
unless it would be another model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from knative.deploying import revisions
from knative.deploying.differences import Difference, differences
from knative.deploying.readiness import condition
from knative.manifests import Step, names
from knative.manifests.traffic import everything_to
from knative.objects import ROUTING_LABEL, SERVICE_LABEL, Manifest, Ref, ref_of, traffic_writers

Verb = Literal["create", "change", "keep", "refuse"]

_IDENTITY: Final = frozenset({"SCALEZERO_MODEL_URI", "SCALEZERO_MODEL_NAME", "SCALEZERO_MODEL_VERSION"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do, or to leave."""

    verb: Verb
    ref: Ref
    manifest: Manifest | None = None  # what to apply; none: nothing
    makes: str | None = None  # the revision that must be Ready before the next action
    differences: tuple[Difference, ...] = ()
    why: str = ""  # of a refusal, with what would be right; of a keep, what is worth knowing
    force: bool = False  # it may take fields that others wrote: it holds what they wrote


@dataclass(frozen=True, slots=True)
class Plan:
    """All actions, in the order of doing them."""

    actions: tuple[Action, ...]

    @property
    def changes(self) -> tuple[Action, ...]:
        """Those to carry out."""
        return tuple(each for each in self.actions if each.manifest is not None)

    @property
    def refusals(self) -> tuple[Action, ...]:
        """Those that cannot be carried out; with one of them nothing is."""
        return tuple(each for each in self.actions if each.verb == "refuse")


@dataclass(slots=True)
class _World:
    """What the cluster would hold after the actions so far; for one call of `plan` alone."""

    objects: dict[Ref, Manifest]
    force: bool
    templates: Mapping[str, Manifest] = field(default_factory=dict)  # as declared, by revision
    needed: frozenset[str] = frozenset()  # revisions that the files route to, declared or not

    def find(self, kind: str, name: str) -> Manifest | None:
        return self.objects.get(Ref(kind, name))

    def after(self, action: Action) -> Action:
        """Take the action as done."""
        if action.manifest is not None:
            ref = ref_of(action.manifest)
            before = self.objects.get(ref, {})
            # Who holds which field is in the metadata, and an apply leaves that to them.
            metadata = {**before.get("metadata", {}), **action.manifest["metadata"]}
            self.objects[ref] = {**before, **action.manifest, "metadata": metadata}
        if action.makes is not None:
            self.objects[Ref("Revision", action.makes)] = {}
        return action


def plan(steps: Sequence[Step], observed: Mapping[Ref, Manifest], *, force: bool = False) -> Plan:
    """Work out the actions. `observed` holds the objects of the steps and their models' revisions, as far as there are.

    With `force`, traffic that somebody else has set since is taken over; without, that is refused.
    """
    templates = {each.makes: each.manifest["spec"]["template"] for each in steps if each.makes is not None}
    needed = frozenset(name for each in steps for name in each.needs)
    world = _World(dict(observed), force, templates, needed)
    return Plan(tuple(world.after(action) for step in steps for action in _actions(step, world)))


def _actions(step: Step, world: _World) -> Iterator[Action]:
    if missing := [each for each in step.needs if world.find("Revision", each) is None]:
        yield _refused(ref_of(step.manifest), _undeclared(missing))
    elif step.makes is None:
        yield _object(step.manifest, world)
    else:
        revision = _revision(step, step.makes, world)
        yield revision
        if step.final and revision.verb != "refuse":
            yield _service(step, world)
            yield from _leftover(step.manifest["metadata"]["name"], world)


def _revision(step: Step, name: str, world: _World) -> Action:
    """Make the revision, or see whether the one that is there is the one that is wanted."""
    ref, model = Ref("Revision", name), step.manifest["metadata"]["name"]
    found = world.find(*ref)
    if found is None:
        live = world.find("Service", model)
        traffic = live["spec"]["traffic"] if live else everything_to(model, name)
        return Action(verb="create", ref=ref, manifest=_with(step.manifest, traffic=_pinned(traffic, live)), makes=name)
    owner = found["metadata"].get("labels", {}).get(SERVICE_LABEL)
    if owner != model:
        return _refused(ref, f"it belongs to {owner or 'no Service'}; give the ModelVersion another name")
    template = step.manifest["spec"]["template"]
    changed = revisions.changes(template, found)
    if replaced := revisions.replaced_model(template, found):
        return _with_replaced_model(step, ref, found, (replaced, *changed))
    if changed and (step.final or any(_is_identity(each) for each in changed)):
        return _refused(ref, _unchangeable(found, world.find("Service", model)), changed)
    why = "deployed before these changes of the files, and never changed" if changed else ""
    return Action(verb="keep", ref=ref, differences=changed, why=why)


def _with_replaced_model(step: Step, ref: Ref, found: Manifest, changed: tuple[Difference, ...]) -> Action:
    """Report that the registry has other bytes under the model's URI than the revision was deployed with.

    The newest version would be expected to serve them, so its plan is refused.
    """
    versioned = revisions.serves_a_version(found)
    effect = "this revision still serves its own version of it" if versioned else "the next pod of this revision fails"
    why = (
        f"the object {revisions.model_uri(found)} was replaced after the deployment, and {effect}; publish the new "
        "model under another URI and declare it as another ModelVersion, or restore the object"
    )
    return _refused(ref, why, changed) if step.final else Action(verb="keep", ref=ref, differences=changed, why=why)


def _service(step: Step, world: _World) -> Action:
    """Set the traffic, now that all revisions are there."""
    live = world.find("Service", step.manifest["metadata"]["name"])
    if live is None:  # its revision is there, it is not: somebody is deleting it
        return _refused(
            ref_of(step.manifest), "it is being deleted, its revisions are still there; try again in a while"
        )
    template = live["spec"]["template"]
    kept = not step.split and not _never_served(live)
    # Knative would take an old revision's template for a new revision under a taken name, so the latest one stays.
    wanted = _with(
        step.manifest,
        template=world.templates.get(template.get("metadata", {}).get("name"), template),
        traffic=_tagged(step, live) if kept else step.manifest["spec"]["traffic"],
    )
    return _object(wanted, world, force=kept)


def _leftover(model: str, world: _World) -> Iterator[Action]:
    """Tell of the model's revisions that the files no longer declare; they stay, as traffic may come back to them."""
    service = world.find("Service", model) or {}
    latest = (service.get("status") or {}).get("latestCreatedRevisionName")
    for ref, found in world.objects.items():
        labels = found.get("metadata", {}).get("labels") or {}
        if ref.kind != "Revision" or ref.name in world.templates or labels.get(SERVICE_LABEL) != model:
            continue
        why = "no ModelVersion declares it"
        if labels.get(ROUTING_LABEL) == "reserve" and ref.name not in {latest, *world.needed}:
            why += f", and nothing routes to it; kn revision delete {ref.name} removes it"
        yield Action(verb="keep", ref=ref, why=why)


def _object(manifest: Manifest, world: _World, *, force: bool = False) -> Action:
    ref = ref_of(manifest)
    live = world.find(*ref)
    if live is None:
        return Action(verb="create", ref=ref, manifest=manifest)
    changed = differences(without_template(manifest), live)
    if not changed:
        return Action(verb="keep", ref=ref)
    holder = holder_of_traffic(live)
    if holder and not (force or world.force) and any(each.path.startswith("spec.traffic") for each in changed):
        why = f"{holder} has set its traffic since; change the files, or take it over with --force-conflicts"
        return _refused(ref, why, changed)
    return Action(verb="change", ref=ref, manifest=manifest, differences=changed, force=force)


def without_template(manifest: Manifest) -> Manifest:
    """Return what an object is compared by: all of it, or a Knative Service without its template.

    The template belongs to the latest revision, and the revisions are compared one by one.
    """
    if ref_of(manifest).kind != "Service":
        return manifest
    return {**manifest, "spec": {"traffic": manifest["spec"]["traffic"]}}


def template_name(manifest: Manifest) -> str | None:
    """Return the name of the revision that a Service's template makes, if it has one."""
    name: str | None = manifest.get("spec", {}).get("template", {}).get("metadata", {}).get("name")
    return name


def holder_of_traffic(live: Manifest) -> str | None:
    """Name who set the traffic last, where it was not an apply of ours."""
    holders = traffic_writers(live)
    return None if names.MANAGER in holders else ", ".join(holders) or None


def _never_served(live: Manifest) -> bool:
    """Whether no revision of it was ever Ready: then there is no traffic to keep, and another revision may mend it."""
    status = live.get("status") or {}
    return "latestCreatedRevisionName" in status and "latestReadyRevisionName" not in status


def _tagged(step: Step, live: Manifest) -> list[Manifest]:
    """Keep the traffic as it is, and give each revision that is not in it a tag of its own, at 0 %."""
    kept = _pinned(live["spec"]["traffic"], live)
    there = {each.get("revisionName") for each in kept}
    new = (each for each in step.manifest["spec"]["traffic"] if each["revisionName"] not in there)
    return [*kept, *({**each, "percent": 0} for each in new)]


def _pinned(traffic: Sequence[Manifest], live: Manifest | None) -> list[Manifest]:
    """Write the traffic by revisions: what goes to the latest would go to the next one as soon as it is there.

    Where none was ever Ready there is no name to write, and nothing that the next one could take traffic from.
    """
    latest = ((live or {}).get("status") or {}).get("latestReadyRevisionName")
    instead = {"revisionName": latest} if latest else {"latestRevision": True}
    return [
        {key: value for key, value in each.items() if key not in {"latestRevision", "url"}}
        | ({} if "revisionName" in each else instead)
        for each in traffic
    ]


def _with(manifest: Manifest, **spec: object) -> Manifest:
    return {**manifest, "spec": {**manifest["spec"], **spec}}


def _is_identity(difference: Difference) -> bool:
    return any(f"[{variable}]" in difference.path for variable in _IDENTITY)


def _refused(ref: Ref, why: str, changed: tuple[Difference, ...] = ()) -> Action:
    return Action(verb="refuse", ref=ref, differences=changed, why=why)


def _unchangeable(revision: Manifest, service: Manifest | None) -> str:
    """Say what may be done instead of changing a revision: also one that was never Ready keeps its name."""
    another = "declare what is new as another ModelVersion, with a name and version of its own"
    if service and _never_served(service):
        model = service["metadata"]["name"]
        another = (
            f"{model} has never been Ready, so `scalezero delete {model}` loses nothing and begins anew; or {another}"
        )
    elif service and _is_idle(revision, service):
        another += "; this one is not Ready and gets no traffic, so it may stay as it is"
    return f"a revision never changes; {another}"


def _is_idle(revision: Manifest, service: Manifest) -> bool:
    """Whether it is not Ready, and its Service sends it nothing."""
    name = revision["metadata"]["name"]
    traffic = (service.get("status") or {}).get("traffic") or ()
    routed = any(each.get("revisionName") == name and each.get("percent") for each in traffic)
    return condition(revision, "Ready").get("status") == "False" and not routed


def _undeclared(revisions: Sequence[str]) -> str:
    some = " and ".join(revisions)
    return (
        f"it routes to {some}, which no ModelVersion declares and the cluster does not have; declare it, or take it out"
    )
