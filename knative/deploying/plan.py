"""The actions that change a cluster to match the files. Pure: from the desired steps and the cluster's objects.

A model's versions are the revisions of one Knative Service, and Knative makes a revision when the Service's template
gets a new name. So each missing revision is one apply of the Service, with that template and with unchanged traffic.
When all of them are Ready, one more apply sets the traffic. A revision that is not Ready gets no traffic.

A revision never changes. The version that the files declare last must be as declared, or the plan is refused. An
earlier version stays as it was deployed, unless the files declare another model for it. A changed revision
that never served is no reason to refuse the plan: it is deleted and created again (replacing.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from knative.deploying import eventing_plan, replacing, revisions, undeclared
from knative.deploying.action import Action
from knative.deploying.differences import Difference, differences
from knative.deploying.kept_traffic import pinned, tagged, traffic_owner
from knative.deploying.owned import left_fields
from knative.deploying.replacing import never_served
from knative.manifests import Step
from knative.manifests.traffic import all_traffic_to
from knative.objects import EVENTING_APIS, Manifest, Ref, owner_of, ref_of


@dataclass(frozen=True, slots=True)
class Plan:
    """All actions, in their order."""

    actions: tuple[Action, ...]

    @property
    def changes(self) -> tuple[Action, ...]:
        """The actions that apply or delete something."""
        return tuple(each for each in self.actions if each.is_change)

    @property
    def refusals(self) -> tuple[Action, ...]:
        """The actions that are not possible. If there is one, nothing of the plan is applied."""
        return tuple(each for each in self.actions if each.verb == "refuse")


@dataclass(slots=True)
class _ClusterState:
    """The cluster's objects after the actions so far, during one call of `plan`."""

    objects: dict[Ref, Manifest]
    force: bool
    templates: Mapping[str, Manifest] = field(default_factory=dict)  # the declared ones, by revision
    needed: frozenset[str] = frozenset()  # revisions that the files route to, declared or not
    renewed: frozenset[str] = frozenset()  # models of which the plan creates a revision
    unbound: frozenset[Ref] = frozenset()  # SinkBindings that the plan deletes

    def find(self, kind: str, name: str) -> Manifest | None:
        return self.objects.get(Ref(kind, name))

    def assume(self, action: Action) -> Action:
        """Assume that the action was carried out, and return it."""
        if action.removal is not None:
            self.objects = replacing.without(action.removal.ref, self.objects)
        if action.verb == "delete":
            self.objects.pop(action.ref, None)
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
    """Return the actions. `observed` contains the objects of the steps and all revisions of their models that exist.

    `force` overwrites traffic that another field manager has set since; without it, the plan is refused.
    """
    templates = {each.makes: each.manifest["spec"]["template"] for each in steps if each.makes is not None}
    needed = frozenset(name for each in steps for name in each.needs)
    renewed = frozenset(
        each.manifest["metadata"]["name"]
        for each in steps
        if each.makes is not None and Ref("Revision", each.makes) not in observed
    )
    state = _ClusterState(dict(observed), force, templates, needed, renewed)
    replaced = tuple(state.assume(action) for action in _replaced_services(steps, state))
    bindings = tuple(state.assume(action) for action in undeclared.bindings(steps, observed, renewed=renewed))
    state.unbound = frozenset(each.ref for each in bindings if each.verb == "delete")
    actions = tuple(state.assume(action) for step in steps for action in _actions(step, state))
    left = (
        *undeclared.routes(steps, observed),
        *undeclared.services_of_companions(steps, observed),
        *undeclared.deliveries(steps, observed),
    )
    return Plan((*replaced, *bindings, *actions, *left))


def _replaced_services(steps: Sequence[Step], state: _ClusterState) -> Iterator[Action]:
    """Replace each Service of which no revision was ever Ready, if one of them is not as declared."""
    differing: dict[str, list[Difference]] = {}
    for step in steps:
        found = state.find("Revision", step.makes) if step.makes is not None else None
        model = step.manifest["metadata"]["name"]
        if found is not None and owner_of(found) == model:
            forbidden = revisions.forbidden_changes(step.manifest["spec"]["template"], found, newest=step.final)
            differing.setdefault(model, []).extend(forbidden)
    for model, changed in differing.items():
        if changed and (removal := replacing.of_service(state.find("Service", model))):
            why = "no revision of it was ever Ready, so it is deleted, and created as declared now"
            yield Action(verb="replace", ref=removal.ref, differences=tuple(changed), why=why, removal=removal)


def _actions(step: Step, state: _ClusterState) -> Iterator[Action]:
    if missing := [each for each in step.needs if state.find("Revision", each) is None]:
        yield _refused(ref_of(step.manifest), _undeclared(missing))
    elif step.makes is None:
        yield _other(step, state)
    else:
        revision = _revision(step, step.makes, state)
        yield revision
        if step.final and revision.verb != "refuse":
            yield _service(step, state)
            model = step.manifest["metadata"]["name"]
            yield from undeclared.revisions(model, state.objects, declared=state.templates, needed=state.needed)


def _revision(step: Step, name: str, state: _ClusterState) -> Action:
    """Create the revision, or compare the existing one with the declared one."""
    ref, model = Ref("Revision", name), step.manifest["metadata"]["name"]
    found = state.find(*ref)
    if found is None:
        live = state.find("Service", model)
        traffic = live["spec"]["traffic"] if live else all_traffic_to(model, name)
        manifest = _with(step.manifest, traffic=pinned(traffic, live))
        return Action(verb="create", ref=ref, manifest=manifest, makes=name, binding=_binding(step, state))
    if (owner := owner_of(found)) != model:
        return _refused(ref, f"it belongs to {owner or 'no Service'}; rename the ModelVersion")
    template = step.manifest["spec"]["template"]
    if forbidden := revisions.forbidden_changes(template, found, newest=step.final):
        return _replaced_or_refused(step, ref, forbidden, state)
    changed = revisions.all_changes(template, found)
    return Action(verb="keep", ref=ref, differences=changed, why=revisions.why_kept(template, found))


def _replaced_or_refused(step: Step, ref: Ref, changed: tuple[Difference, ...], state: _ClusterState) -> Action:
    """Replace the revision if it was never Ready and nothing routes to it."""
    found, live = state.objects[ref], state.find("Service", step.manifest["metadata"]["name"])
    why = revisions.why_forbidden(step.manifest["spec"]["template"], found)
    if live is None:
        return _refused(ref, why, changed)
    manifest = _with(step.manifest, traffic=pinned(live["spec"]["traffic"], live))
    removal = replacing.of_revision(ref.name, live, manifest, state.objects)
    if removal is None:
        ready = replacing.latest_ready(live, state.objects)
        if ready is not None and replacing.was_never_ready(found, ready):
            why += "; this revision was never Ready, and a deploy replaces it once no traffic target names it"
        return _refused(ref, why, changed)
    why = "it was never Ready and gets no traffic, so it is deleted, and created as declared now"
    return Action(
        verb="replace",
        ref=ref,
        manifest=manifest,
        makes=step.makes,
        differences=changed,
        why=why,
        removal=removal,
        binding=_binding(step, state),
    )


def _binding(step: Step, state: _ClusterState) -> Ref | None:
    """Return the SinkBinding that changes the template of a Service: it adds its variables, or no longer does."""
    left = Ref("SinkBinding", step.manifest["metadata"]["name"])
    return left if left in state.unbound else step.binding


def _service(step: Step, state: _ClusterState) -> Action:
    """Set the traffic, after all revisions exist."""
    live = state.find("Service", step.manifest["metadata"]["name"])
    if live is None:  # a revision without its Service: the Service is being deleted
        return _refused(
            ref_of(step.manifest), "it is being deleted and its revisions still exist; run the command again later"
        )
    template = live["spec"]["template"]
    kept = not step.split and not never_served(live)
    # The template of an earlier revision would be a new revision under an existing name, so the latest one stays.
    wanted = _with(
        step.manifest,
        template=state.templates.get(template.get("metadata", {}).get("name"), template),
        traffic=tagged(live, step.manifest) if kept else step.manifest["spec"]["traffic"],
    )
    return replace(_object(wanted, state, force=kept), binding=step.binding)


def _other(step: Step, state: _ClusterState) -> Action:
    """Apply an object that makes no revision, unless Knative would refuse the change."""
    action = _object(step.manifest, state)
    live = state.find(*action.ref)
    if why := eventing_plan.why_kept(step.manifest, live):
        return Action(verb="keep", ref=action.ref, why=why, awaited=step.awaited)
    has_template = action.ref.kind == "SinkBinding" and action.ref.name not in state.renewed
    service = state.find("Service", action.ref.name) if has_template else None
    if why := eventing_plan.why_refused(action.ref, action.differences, live=live, service=service):
        return _refused(action.ref, why, action.differences)
    return replace(action, awaited=step.awaited)


def _object(manifest: Manifest, state: _ClusterState, *, force: bool = False) -> Action:
    ref = ref_of(manifest)
    live = state.find(*ref)
    if live is None:
        return Action(verb="create", ref=ref, manifest=manifest)
    changed = changed_fields(manifest, live)
    if not changed:
        return Action(verb="keep", ref=ref)
    owner = traffic_owner(live)
    if owner and not (force or state.force) and any(each.path.startswith("spec.traffic") for each in changed):
        why = f"{owner} has set its traffic since; change the files, or overwrite it with --force-conflicts"
        return _refused(ref, why, changed)
    return Action(verb="change", ref=ref, manifest=manifest, differences=changed, force=force)


def changed_fields(manifest: Manifest, live: Manifest) -> tuple[Difference, ...]:
    """List the fields of an object that an apply of the manifest changes, without the template of a Service."""
    left = left_fields(manifest, live) if manifest["apiVersion"] in EVENTING_APIS else ()
    return (*differences(without_template(manifest), live), *left)


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


def _with(manifest: Manifest, **spec: object) -> Manifest:
    return {**manifest, "spec": {**manifest["spec"], **spec}}


def _refused(ref: Ref, why: str, changed: tuple[Difference, ...] = ()) -> Action:
    return Action(verb="refuse", ref=ref, differences=changed, why=why)


def _undeclared(revisions: Sequence[str]) -> str:
    listed = " and ".join(revisions)
    return (
        f"it routes to {listed}, which no ModelVersion declares and the cluster does not have; declare it, or remove "
        "it from the split"
    )
