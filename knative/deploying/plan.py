"""The actions that change a cluster to match the files. Pure: from the desired steps and the cluster's objects.

A model's versions are the revisions of one Knative Service, and Knative makes a revision when the Service's template
gets a new name. So each missing revision is one apply of the Service, with that template and with unchanged traffic.
When all of them are Ready, one more apply sets the traffic. A revision that is not Ready gets no traffic.

A revision never changes. The version that the files declare last must be as declared, or the plan is refused. An
earlier version stays as it was deployed, unless the files declare another model for it.
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
    """One object, and what to do with it."""

    verb: Verb
    ref: Ref
    manifest: Manifest | None = None  # to apply; None: nothing to apply
    makes: str | None = None  # the revision that must be Ready before the next action
    differences: tuple[Difference, ...] = ()
    why: str = ""  # the reason of a refusal and the next step; or a note about an object that is kept
    force: bool = False  # may take over fields of other managers, because it keeps their values


@dataclass(frozen=True, slots=True)
class Plan:
    """All actions, in their order."""

    actions: tuple[Action, ...]

    @property
    def changes(self) -> tuple[Action, ...]:
        """The actions that apply something."""
        return tuple(each for each in self.actions if each.manifest is not None)

    @property
    def refusals(self) -> tuple[Action, ...]:
        """The actions that are not possible. If there is one, nothing of the plan is applied."""
        return tuple(each for each in self.actions if each.verb == "refuse")


@dataclass(slots=True)
class _World:
    """The cluster's objects after the actions so far, during one call of `plan`."""

    objects: dict[Ref, Manifest]
    force: bool
    templates: Mapping[str, Manifest] = field(default_factory=dict)  # as declared, by revision
    needed: frozenset[str] = frozenset()  # revisions that the files route to, declared or not

    def find(self, kind: str, name: str) -> Manifest | None:
        return self.objects.get(Ref(kind, name))

    def after(self, action: Action) -> Action:
        """Assume that the action is done."""
        if action.manifest is not None:
            ref = ref_of(action.manifest)
            before = self.objects.get(ref, {})
            # The metadata records which manager owns which field, and an apply keeps that.
            metadata = {**before.get("metadata", {}), **action.manifest["metadata"]}
            self.objects[ref] = {**before, **action.manifest, "metadata": metadata}
        if action.makes is not None:
            self.objects[Ref("Revision", action.makes)] = {}
        return action


def plan(steps: Sequence[Step], observed: Mapping[Ref, Manifest], *, force: bool = False) -> Plan:
    """Return the actions. `observed` holds the objects of the steps and all revisions of their models that exist.

    `force` overwrites traffic that another field manager has set since; without it, the plan is refused.
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
    """Create the revision, or compare the existing one with the declared one."""
    ref, model = Ref("Revision", name), step.manifest["metadata"]["name"]
    found = world.find(*ref)
    if found is None:
        live = world.find("Service", model)
        traffic = live["spec"]["traffic"] if live else everything_to(model, name)
        return Action(verb="create", ref=ref, manifest=_with(step.manifest, traffic=_pinned(traffic, live)), makes=name)
    owner = found["metadata"].get("labels", {}).get(SERVICE_LABEL)
    if owner != model:
        return _refused(ref, f"it belongs to {owner or 'no Service'}; rename the ModelVersion")
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
    """Set the traffic, after all revisions exist."""
    live = world.find("Service", step.manifest["metadata"]["name"])
    if live is None:  # a revision without its Service: the Service is being deleted
        return _refused(
            ref_of(step.manifest), "it is being deleted and its revisions still exist; run the command again later"
        )
    template = live["spec"]["template"]
    kept = not step.split and not _never_served(live)
    # The template of an earlier revision would be a new revision under an existing name, so the latest one stays.
    wanted = _with(
        step.manifest,
        template=world.templates.get(template.get("metadata", {}).get("name"), template),
        traffic=_tagged(step, live) if kept else step.manifest["spec"]["traffic"],
    )
    return _object(wanted, world, force=kept)


def _leftover(model: str, world: _World) -> Iterator[Action]:
    """Report the revisions that the files no longer declare. They stay, because a rollback may need them."""
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
        why = f"{holder} has set its traffic since; change the files, or overwrite it with --force-conflicts"
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
    """Return the field manager that owns the traffic, if it is not scalezero's."""
    holders = traffic_writers(live)
    return None if names.MANAGER in holders else ", ".join(holders) or None


def _never_served(live: Manifest) -> bool:
    """Whether no revision of the Service was ever Ready. Then there is no traffic to keep."""
    status = live.get("status") or {}
    return "latestCreatedRevisionName" in status and "latestReadyRevisionName" not in status


def _tagged(step: Step, live: Manifest) -> list[Manifest]:
    """Keep the traffic, and add each revision that is not in it with its tag, at 0 %."""
    kept = _pinned(live["spec"]["traffic"], live)
    there = {each.get("revisionName") for each in kept}
    new = (each for each in step.manifest["spec"]["traffic"] if each["revisionName"] not in there)
    return [*kept, *({**each, "percent": 0} for each in new)]


def _pinned(traffic: Sequence[Manifest], live: Manifest | None) -> list[Manifest]:
    """Replace `latestRevision` by the revision's name. Otherwise that traffic would move to the next revision at once.

    If no revision was ever Ready, there is no name, and no traffic that could move.
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
    """Return why the revision is not changed, and what to do instead."""
    another = "declare the change as another ModelVersion, with its own name and version"
    if service and _never_served(service):
        model = service["metadata"]["name"]
        another = (
            f"{model} has never been Ready, so `scalezero delete {model}` loses no traffic, and a deploy creates "
            f"it again; or {another}"
        )
    elif service and _is_idle(revision, service):
        another += "; this revision is not Ready and gets no traffic, so it can stay"
    return f"a revision never changes; {another}"


def _is_idle(revision: Manifest, service: Manifest) -> bool:
    """Whether the revision is not Ready, and its Service sends it no traffic."""
    name = revision["metadata"]["name"]
    traffic = (service.get("status") or {}).get("traffic") or ()
    routed = any(each.get("revisionName") == name and each.get("percent") for each in traffic)
    return condition(revision, "Ready").get("status") == "False" and not routed


def _undeclared(revisions: Sequence[str]) -> str:
    some = " and ".join(revisions)
    return (
        f"it routes to {some}, which no ModelVersion declares and the cluster does not have; declare it, or remove it "
        "from the split"
    )
