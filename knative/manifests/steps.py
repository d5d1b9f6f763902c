"""The desired state, as applies in the order that a cluster accepts.

Knative makes one revision for each template of a Service, so a model with two versions is two applies of one Service:

    ServiceAccount -> Service (template v1) -> Service (template v2, the declared traffic) -> Route -> Deployment

The last Service of a model is its final state; the ones before it only make their revisions. The plan leaves out a step
whose revision exists, and keeps the traffic of an existing Service until the last step. Deployments of other servers
are independent of all this.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from knative.manifests import names
from knative.manifests.deployment import deployment
from knative.manifests.environment import Pin
from knative.manifests.options import DeploymentOptions
from knative.manifests.rbac import service_account
from knative.manifests.route import route
from knative.manifests.service import service
from knative.manifests.traffic import everything_to, models_of, service_traffic, split_of
from knative.objects import Manifest
from knative.resources import ABService, ModelVersion, Resources
from runtime.errors import BadSetting

Pins: TypeAlias = Mapping[str, Pin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One apply."""

    manifest: Manifest
    makes: str | None = None  # the revision that Knative makes from it
    needs: tuple[str, ...] = ()  # revisions in its traffic that no step makes, so the cluster must have them
    final: bool = True  # the final state of the object; False: only its revision is wanted
    split: bool = False  # the user declared its traffic; False: existing traffic is kept


def desired(resources: Resources, options: DeploymentOptions, pins: Pins = MappingProxyType({})) -> tuple[Step, ...]:
    """Return all steps. `pins` is what the registry holds now, by URI; a version without one is not pinned.

    Raises `BadSetting`, naming the field, for values that a cluster refuses.
    """
    _refuse_elsewhere(resources, options)
    wanted = _Wanted(resources, options, pins)
    models = chain.from_iterable(_model_steps(model, wanted) for model in resources.models)
    foreign = (Step(manifest=deployment(each, options)) for each in resources.deployments)
    return (*models, *_route_steps(wanted), *foreign)


class _Wanted(NamedTuple):
    """The arguments of `desired`."""

    resources: Resources
    options: DeploymentOptions
    pins: Pins

    def service(self, version: ModelVersion, traffic: Sequence[Manifest]) -> Manifest:
        config, pin = self.resources.config_of(version.spec.model_name), self.pins.get(version.spec.storage.path)
        return service(version, config=config, traffic=traffic, options=self.options, pin=pin)

    def undeclared(self, traffic: Iterable[Manifest]) -> tuple[str, ...]:
        """List the revisions in the traffic that no ModelVersion declares."""
        made = {each.metadata.name for each in self.resources.model_versions}
        return tuple(each["revisionName"] for each in traffic if each["revisionName"] not in made)


def _model_steps(model: str, wanted: _Wanted) -> Iterator[Step]:
    resources, options = wanted.resources, wanted.options
    if options.service_account is None:
        yield Step(manifest=service_account(model, options))
    *earlier, last = (each for each in resources.model_versions if each.spec.model_name == model)
    first = everything_to(model, names.revision((*earlier, last)[0]))
    for version in earlier:
        yield Step(manifest=wanted.service(version, first), makes=names.revision(version), final=False)
    traffic = service_traffic(model, resources)
    yield Step(
        manifest=wanted.service(last, traffic),
        makes=names.revision(last),
        needs=wanted.undeclared(traffic),
        split=split_of(model, resources) is not None,
    )


def _route_steps(wanted: _Wanted) -> Iterator[Step]:
    for split in wanted.resources.ab_services:
        if not _is_service(split, wanted.resources):
            manifest = route(split, wanted.options)
            yield Step(manifest=manifest, needs=wanted.undeclared(manifest["spec"]["traffic"]), split=True)


def _is_service(split: ABService, resources: Resources) -> bool:
    """Whether the split has the name of a model. Then it is the traffic of that model's Service."""
    name = split.metadata.name
    if name not in resources.models:
        return False
    if models_of(split, resources) != {name}:
        allowed = f"another name, or revisions of {name} alone: a model's Service routes to its own"
        raise BadSetting("metadata.name", value=name, allowed=allowed)
    return True


def _refuse_elsewhere(resources: Resources, options: DeploymentOptions) -> None:
    for each in resources:
        if each.metadata.namespace not in {None, options.namespace}:
            value = f"{each.metadata.namespace} ({each.kind} {each.metadata.name})"
            raise BadSetting("metadata.namespace", value=value, allowed=f"{options.namespace}, which is deployed to")
