"""The traffic of a model's Service.

A split whose revisions all belong to one model becomes the traffic of that model's Service, so `kn service update
--traffic` and a rollout start from it. Without a split, the first declared version gets all traffic, as in `scalezero
serve`, and the others have only their tags.
"""

from collections.abc import Iterable, Iterator

from knative.manifests import names
from knative.objects import Manifest
from knative.resources import ABService, Resources
from knative.resources.ab_service import TrafficTarget
from knative.resources.links import model_of_name
from runtime.errors import BadSetting

_WHOLE = 100  # percent


def split_of(model: str, resources: Resources) -> ABService | None:
    """Return the split of a model, if there is one. Raises `BadSetting` if there are two."""
    splits = [each for each in resources.ab_services if models_of(each, resources) == {model}]
    if len(splits) > 1:
        first, second = (each.metadata.name for each in splits[:2])
        raise BadSetting("traffic", value=second, allowed=f"one split of {model}, which is {first}")
    return splits[0] if splits else None


def models_of(split: ABService, resources: Resources) -> set[str | None]:
    """Return the models of the split's revisions; None stands for a revision of no declared model."""
    declared = {each.metadata.name: each.spec.model_name for each in resources.model_versions}
    revisions = (target.revision_name for target in split.spec.traffic)
    return {declared.get(each) or model_of_name(each, resources.models) for each in revisions}


def splits_of_companions(resources: Resources) -> Iterator[tuple[ABService, str]]:
    """Yield each split with a target that is the version of a companion, and the target."""
    companions = {
        each.metadata.name for each in resources.model_versions if each.spec.model_name in resources.companion_models
    }
    for split in resources.ab_services:
        yield from ((split, each.revision_name) for each in split.spec.traffic if each.revision_name in companions)


def service_traffic(model: str, resources: Resources) -> list[Manifest]:
    """Return the traffic of the model's Service: the split, or 100 % to the first version. Each version has a tag."""
    revisions = [each.metadata.name for each in resources.versions_of(model)]
    split = split_of(model, resources)
    shares = _shares(split.spec.traffic) if split else {revisions[0]: _WHOLE}
    untargeted = {each: 0 for each in revisions if each not in shares}
    return [
        {"revisionName": each, "percent": percent, "tag": names.tag(model, each)}
        for each, percent in {**shares, **untargeted}.items()
    ]


def all_traffic_to(model: str, revision: str) -> list[Manifest]:
    """Return the traffic of a Service with one revision."""
    return [{"revisionName": revision, "percent": _WHOLE, "tag": names.tag(model, revision)}]


def _shares(targets: Iterable[TrafficTarget]) -> dict[str, int]:
    return {target.revision_name: target.percent for target in targets}
