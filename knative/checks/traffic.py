"""Whether names, owners and splits are such as Knative takes, and whether each version has its share."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from knative.checks.finding import Finding, advice, came, error, warning
from knative.checks.subject import Subject
from knative.manifests import names
from knative.manifests.traffic import models_of, split_of
from knative.resources import ABService, ModelVersion
from knative.resources.links import owner
from runtime.errors import BadSetting

AMBIGUOUS_OWNER: Final = warning(
    "ambiguous-owner", "The name of the revision belongs to another model than the one that declares it."
)
NAME_REFUSED: Final = error("name-refused", "Knative makes host names from these names and refuses others.")
NAMES_MEET: Final = error(
    "names-meet", "Knative makes a Kubernetes Service of each of these names, and the second one never becomes Ready."
)
OTHER_NAMESPACE: Final = error("other-namespace", "One deployment goes to one namespace.")
REVISION_OWNED_TWICE: Final = error("revision-owned-twice", "A Service routes only to its own revisions.")
SPLIT_REVISION_MISSING: Final = error(
    "split-revision-missing", "Knative refuses traffic for a revision that does not exist."
)
SPLIT_REVISION_UNDECLARED: Final = warning(
    "split-revision-undeclared", "The split works only on a cluster that has the revision already."
)
TWO_SPLITS: Final = error("two-splits", "A model's Service has one list of traffic.")
VERSION_WITHOUT_TRAFFIC: Final = advice(
    "version-without-traffic", "Without a split the first declared version takes all requests."
)

RULES: Final = (
    AMBIGUOUS_OWNER,
    NAME_REFUSED,
    NAMES_MEET,
    OTHER_NAMESPACE,
    REVISION_OWNED_TWICE,
    SPLIT_REVISION_MISSING,
    SPLIT_REVISION_UNDECLARED,
    TWO_SPLITS,
    VERSION_WITHOUT_TRAFFIC,
)


def check(subject: Subject) -> Iterator[Finding]:
    """Look at namespaces, versions, models and splits."""
    yield from _namespaces(subject)
    for version in subject.resources.model_versions:
        yield from _version(subject, version)
    for model in subject.resources.models:
        yield from _model(subject, model)
    for split in subject.resources.ab_services:
        yield from _split(subject, split)
    yield from _meeting(subject)


def _namespaces(subject: Subject) -> Iterator[Finding]:
    for each in subject.resources:
        if each.metadata.namespace not in {None, subject.options.namespace}:
            what = f"{each.kind} {each.metadata.name} is for the namespace {each.metadata.namespace}"
            fix = f"no namespace, or {subject.options.namespace}, which is deployed to"
            yield OTHER_NAMESPACE.found(what, fix=fix, where=subject.place(each, "metadata", "namespace"))


def _version(subject: Subject, version: ModelVersion) -> Iterator[Finding]:
    name, model = version.metadata.name, version.spec.model_name
    at_name = subject.place(version, "metadata", "name")
    yield from _named(lambda: names.service(model), subject.place(version, "spec", "modelName"))
    yield from _named(lambda: names.revision(version), at_name)
    yield from _named(lambda: names.tag(model, name), at_name)
    nearest = owner(name, subject.resources.models)
    if nearest not in {None, model}:
        what = f"{name} is a version of {model}, and its name starts with that of the model {nearest}"
        fix = f"a name that starts with {model}- and not with {nearest}-"
        yield AMBIGUOUS_OWNER.found(what, fix=fix, where=at_name)


def _named(make: Callable[[], str], where: str | None) -> Iterator[Finding]:
    try:
        make()
    except BadSetting as fault:
        yield NAME_REFUSED.found(came(fault), fix=f"use {fault.details['allowed']}", where=where)


def _model(subject: Subject, model: str) -> Iterator[Finding]:
    try:
        split = split_of(model, subject.resources)
    except BadSetting as fault:
        second = next(each for each in subject.resources.ab_services if each.metadata.name == fault.details["value"])
        where = subject.place(second, "metadata", "name")
        yield TWO_SPLITS.found(came(fault), fix=f"keep {fault.details['allowed']}", where=where)
        return
    served = subject.facts.percents or {}
    later = [each for each in subject.resources.model_versions if each.spec.model_name == model][1:]
    others = [each for each in later if not served.get(each.metadata.name)]
    if split is None and others:
        waiting = ", ".join(each.metadata.name for each in others)
        fix = f"a split (Service {model}-ab), or scalezero rollout {model} --to VERSION"
        where = subject.place(others[0], "metadata", "name")
        yield VERSION_WITHOUT_TRAFFIC.found(f"{waiting}: reached by its tag only", fix=fix, where=where)


def _split(subject: Subject, split: ABService) -> Iterator[Finding]:
    name, models = split.metadata.name, subject.resources.models
    where = subject.place(split, "metadata", "name")
    if name not in models:
        yield from _named(lambda: names.route(name), where)
    elif models_of(split, subject.resources) != {name}:
        what = f"the split {name} has the name of a model and routes to revisions of others"
        yield REVISION_OWNED_TWICE.found(what, fix=f"another name, such as {name}-ab", where=where)
    yield from _targets(subject, split)


def _meeting(subject: Subject) -> Iterator[Finding]:
    """Find names that two objects need (knative/serving#4206): of Routes, of their tags, and of revisions."""
    taken: dict[str, str] = {}
    for name, owner_, resource in _service_names(subject):
        first = taken.setdefault(name, owner_)
        if first != owner_:
            what = f"{owner_} and {first} both need the Kubernetes Service {name}"
            where = subject.place(resource, "metadata", "name")
            yield NAMES_MEET.found(what, fix="another name for one of them", where=where)


def _service_names(subject: Subject) -> Iterator[tuple[str, str, ModelVersion | ABService]]:
    """Yield the names of the Kubernetes Services that Knative makes, for what, and the resource that names it."""
    versions = subject.resources.model_versions
    for version in versions:
        model = version.spec.model_name
        yield model, f"the model {model}", version
    for version in versions:
        name, model = version.metadata.name, version.spec.model_name
        yield name, f"the revision {name}", version
        yield f"{name}-private", f"the revision {name}", version
        with suppress(BadSetting):  # NAME_REFUSED says so
            yield f"{names.tag(model, name)}-{model}", f"the tag of {name}", version
    for split in subject.resources.ab_services:
        name = split.metadata.name
        if name not in subject.resources.models:  # else it is the traffic of that model's Service
            yield name, f"the split {name}", split


def _targets(subject: Subject, split: ABService) -> Iterator[Finding]:
    declared = {each.metadata.name for each in subject.resources.model_versions}
    there = subject.facts.revisions
    for index, target in enumerate(split.spec.traffic):
        revision = target.revision_name
        where = subject.place(split, "spec", "traffic", index, "revisionName")
        if revision in declared or (there is not None and revision in there):
            continue
        rule = SPLIT_REVISION_UNDECLARED if there is None else SPLIT_REVISION_MISSING
        lacks = "" if there is None else ", and the cluster does not have it"
        what = f"{split.metadata.name} routes to {revision}, which no ModelVersion declares{lacks}"
        yield rule.found(what, fix=f"declare {revision}, or take it out of the split", where=where)
