"""The desired state: applies in the order that a cluster accepts.

Knative creates one revision for each template of a Service, so a model with two versions is two applies of one Service:

    Broker -> SinkBinding -> ServiceAccount -> Service (template v1) -> Service (template v2, the declared traffic)
           -> Route -> Deployment -> Sequence -> Trigger

A SinkBinding adds variables to the template of its Service, so it is applied before the Service; but it is ready only
when its Service exists. A Trigger delivers from its first moment, so it is last.

A companion of a function has no Service. Each revision of the function's main model serves it too.

The last Service of a model is its final state; the earlier ones only create their revisions. The plan leaves out a step
whose revision exists, and keeps the traffic of an existing Service until the last step. Deployments of other servers
are independent of the models.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from knative.manifests import names
from knative.manifests.broker import broker
from knative.manifests.deployment import deployment
from knative.manifests.environment import Pin, companions_of
from knative.manifests.options import DeploymentOptions
from knative.manifests.rbac import service_account
from knative.manifests.route import route
from knative.manifests.sequence import sequence
from knative.manifests.service import service
from knative.manifests.sink_binding import sink_binding
from knative.manifests.traffic import all_traffic_to, models_of, service_traffic, split_of, splits_of_companions
from knative.manifests.trigger import triggers
from knative.objects import Manifest, Ref, ref_of
from knative.resources import ABService, ModelVersion, Resources
from knative.resources.events import Events
from runtime.configuration.companions import Companion
from runtime.errors import BadSetting

Pins: TypeAlias = Mapping[str, Pin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One apply."""

    manifest: Manifest
    makes: str | None = None  # the revision that Knative creates from it
    needs: tuple[str, ...] = ()  # revisions in its traffic that no step creates; they must exist in the cluster
    final: bool = True  # the final state of the object; False: only its revision is needed
    split: bool = False  # the user declared its traffic; False: existing traffic is kept
    awaited: bool = True  # False: a later step waits until the object is Ready
    binding: Ref | None = None  # of a Service: the SinkBinding that adds variables to its template


def desired(resources: Resources, options: DeploymentOptions, pins: Pins = MappingProxyType({})) -> tuple[Step, ...]:
    """Return all steps. `pins` are the current objects in the registry, by URI; a version without a pin is not pinned.

    Raises `BadSetting`, naming the field, for values that a cluster refuses.
    """
    _refuse_other_namespaces(resources, options)
    _refuse_splits_of_companions(resources)
    _refuse_misplaced_events(resources)
    inputs = _Inputs(resources, options, pins, companions_of(resources, options))
    before, after = _event_steps(resources, options)
    models = chain.from_iterable(_model_steps(model, inputs) for model in resources.services)
    foreign = (Step(manifest=deployment(each, options)) for each in resources.deployments)
    return (*before, *models, *_route_steps(inputs), *foreign, *after)


class _Inputs(NamedTuple):
    """The arguments of `desired`."""

    resources: Resources
    options: DeploymentOptions
    pins: Pins
    companions: Sequence[Companion]

    def service(self, version: ModelVersion, traffic: Sequence[Manifest]) -> Manifest:
        return service(
            version,
            config=self.resources.config_of(version.spec.model_name),
            traffic=traffic,
            options=self.options,
            companions=self.companions,
            pins=self.pins,
        )

    def undeclared(self, traffic: Iterable[Manifest]) -> tuple[str, ...]:
        """List the revisions in the traffic that no ModelVersion declares."""
        declared = {each.metadata.name for each in self.resources.model_versions}
        return tuple(each["revisionName"] for each in traffic if each["revisionName"] not in declared)


def _model_steps(model: str, inputs: _Inputs) -> Iterator[Step]:
    resources, options = inputs.resources, inputs.options
    events = resources.events_of(model)
    binding = None
    if events and events.predictions:
        manifest = sink_binding(model, events.predictions, options)
        binding = ref_of(manifest)
        yield Step(manifest=manifest, awaited=False)
    if options.service_account is None:
        yield Step(manifest=service_account(model, options))
    *earlier, last = resources.versions_of(model)
    first = all_traffic_to(model, names.revision((*earlier, last)[0]))
    for version in earlier:
        yield Step(manifest=inputs.service(version, first), makes=names.revision(version), final=False, binding=binding)
    traffic = service_traffic(model, resources)
    yield Step(
        manifest=inputs.service(last, traffic),
        makes=names.revision(last),
        needs=inputs.undeclared(traffic),
        split=split_of(model, resources) is not None,
        binding=binding,
    )


def _event_steps(resources: Resources, options: DeploymentOptions) -> tuple[list[Step], list[Step]]:
    """Return the Brokers, before the functions, and the Sequences and Triggers, after them."""
    brokers: dict[str, Manifest] = {}
    sequences: list[Manifest] = []
    subscribed: list[Manifest] = []
    for model in resources.services:
        events = resources.events_of(model) or Events()
        if events.create_broker:
            brokers.setdefault(events.broker, broker(events, options))
        if events.sequence is not None:
            sequences.append(sequence(model, events.sequence, events, options))
        subscribed += triggers(model, events, options)
    after = [Step(manifest=each) for each in (*sequences, *subscribed)]
    return [Step(manifest=each) for each in brokers.values()], after


def _route_steps(inputs: _Inputs) -> Iterator[Step]:
    for split in inputs.resources.ab_services:
        if not _is_service(split, inputs.resources):
            manifest = route(split, inputs.options)
            yield Step(manifest=manifest, needs=inputs.undeclared(manifest["spec"]["traffic"]), split=True)


def _is_service(split: ABService, resources: Resources) -> bool:
    """Whether the split has the name of a model. Then it is the traffic of that model's Service."""
    name = split.metadata.name
    if name not in resources.services:
        return False
    if models_of(split, resources) != {name}:
        allowed = f"another name, or only revisions of {name}: a model's Service routes only to its own revisions"
        raise BadSetting("metadata.name", value=name, allowed=allowed)
    return True


def _refuse_splits_of_companions(resources: Resources) -> None:
    for split, revision in splits_of_companions(resources):
        value = f"{revision} ({split.metadata.name})"
        allowed = f"revisions of {' or '.join(resources.services)}; a companion has no revision of its own"
        raise BadSetting("revisionName", value=value, allowed=allowed)


def _refuse_misplaced_events(resources: Resources) -> None:
    """Refuse the events of a companion, which has no Service, and a Sequence that does not call its function."""
    for model in resources.models:
        events = resources.events_of(model)
        if events and model in resources.companion_models:
            allowed = f"the events of {' or '.join(resources.services)}; a companion has no Service that gets events"
            raise BadSetting("events", value=model, allowed=allowed)
        if events and events.sequence and model not in events.sequence.steps:
            value, allowed = ", ".join(events.sequence.steps), f"{model} as one of the steps"
            raise BadSetting("events.sequence.steps", value=value, allowed=allowed)


def _refuse_other_namespaces(resources: Resources, options: DeploymentOptions) -> None:
    for each in resources:
        if each.metadata.namespace not in {None, options.namespace}:
            value = f"{each.metadata.namespace} ({each.kind} {each.metadata.name})"
            raise BadSetting(
                "metadata.namespace", value=value, allowed=f"{options.namespace}, the namespace of the deployment"
            )
