"""The desired state, in the order in which a cluster can take it.

Knative makes one revision for each template that a Service is given, so a model of two versions is two applies of one
Service:

    ServiceAccount -> Service (template v1) -> Service (template v2, the declared traffic) -> Route -> Deployment

The last Service of a model is what shall stand; those before it are there for their revision alone. Who carries the
steps out leaves out one whose revision is there already, and keeps the traffic of a Service that is there until its
last step. The Deployments of other servers have to do with none of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from knative.manifests import names
from knative.manifests.deployment import deployment
from knative.manifests.options import DeploymentOptions
from knative.manifests.rbac import service_account
from knative.manifests.route import route
from knative.manifests.service import service
from knative.manifests.traffic import everything_to, models_of, service_traffic, split_of
from knative.objects import Manifest
from knative.resources import ABService, ModelVersion, Resources
from runtime.errors import BadSetting


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One apply."""

    manifest: Manifest
    makes: str | None = None  # the revision that Knative makes of it
    needs: tuple[str, ...] = ()  # revisions in its traffic that no step makes: the cluster must have them
    final: bool = True  # whether the object shall stay like this; False: it is there for its revision
    split: bool = False  # whether its traffic is what the user declared; False: traffic that is there is as good


def desired(resources: Resources, options: DeploymentOptions) -> tuple[Step, ...]:
    """Work out all steps. Raises `BadSetting`, naming the field, for what a cluster would refuse."""
    _refuse_elsewhere(resources, options)
    made = {each.metadata.name for each in resources.model_versions}
    models = chain.from_iterable(_model_steps(model, resources, options, made) for model in resources.models)
    foreign = (Step(manifest=deployment(each, options)) for each in resources.deployments)
    return (*models, *_route_steps(resources, options, made), *foreign)


def _model_steps(model: str, resources: Resources, options: DeploymentOptions, made: set[str]) -> Iterator[Step]:
    if options.service_account is None:
        yield Step(manifest=service_account(model, options))
    versions = [each for each in resources.model_versions if each.spec.model_name == model]
    first = everything_to(model, names.revision(versions[0]))
    for version in versions[:-1]:
        yield Step(manifest=_service(version, resources, options, first), makes=names.revision(version), final=False)
    traffic = service_traffic(model, resources)
    yield Step(
        manifest=_service(versions[-1], resources, options, traffic),
        makes=names.revision(versions[-1]),
        needs=_missing(traffic, made),
        split=split_of(model, resources) is not None,
    )


def _service(
    version: ModelVersion, resources: Resources, options: DeploymentOptions, traffic: Sequence[Manifest]
) -> Manifest:
    config = resources.config_of(version.spec.model_name)
    return service(version, config=config, traffic=traffic, options=options)


def _route_steps(resources: Resources, options: DeploymentOptions, made: set[str]) -> Iterator[Step]:
    for split in resources.ab_services:
        if not _is_service(split, resources):
            manifest = route(split, options)
            yield Step(manifest=manifest, needs=_missing(manifest["spec"]["traffic"], made), split=True)


def _is_service(split: ABService, resources: Resources) -> bool:
    """Whether the split has the name of a model: it then is the traffic of that Service, whose Route has the name."""
    name = split.metadata.name
    if name not in resources.models:
        return False
    if models_of(split, resources) != {name}:
        allowed = f"another name, or revisions of {name} alone: a model's Service routes to its own"
        raise BadSetting("metadata.name", value=name, allowed=allowed)
    return True


def _missing(traffic: Iterable[Manifest], made: set[str]) -> tuple[str, ...]:
    return tuple(each["revisionName"] for each in traffic if each["revisionName"] not in made)


def _refuse_elsewhere(resources: Resources, options: DeploymentOptions) -> None:
    for each in resources:
        if each.metadata.namespace not in {None, options.namespace}:
            value = f"{each.metadata.namespace} ({each.kind} {each.metadata.name})"
            raise BadSetting("metadata.namespace", value=value, allowed=f"{options.namespace}, which is deployed to")
