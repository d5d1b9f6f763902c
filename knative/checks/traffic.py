"""Rules that Knative accepts the names, the owners and the splits, and that each version has traffic."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from knative.checks.finding import Finding, advice, error, problem, warning
from knative.checks.subject import Subject
from knative.manifests import names
from knative.manifests.traffic import models_of, split_of, splits_of_companions
from knative.resources import ABService, ModelVersion
from knative.resources.links import model_of_name
from runtime.errors import BadSetting

AMBIGUOUS_OWNER: Final = warning(
    "ambiguous-owner", "By its name, the revision belongs to another model than its modelName states."
)
NAME_REFUSED: Final = error(
    "name-refused", "Knative uses these names in host names, and refuses names that are invalid."
)
NAMES_MEET: Final = error(
    "names-meet", "Knative creates a Kubernetes Service for each of these names, and the second never becomes Ready."
)
OTHER_NAMESPACE: Final = error("other-namespace", "A deployment has exactly one namespace.")
REVISION_OWNED_TWICE: Final = error("revision-owned-twice", "A Service routes only to its own revisions.")
SPLIT_OF_COMPANION: Final = error(
    "split-of-companion", "A companion has no revision of its own: the revisions of the main model serve it."
)
SPLIT_REVISION_MISSING: Final = error(
    "split-revision-missing", "Knative refuses traffic for a revision that does not exist."
)
SPLIT_REVISION_UNDECLARED: Final = warning(
    "split-revision-undeclared", "The split works only on a cluster that already has the revision."
)
TWO_SPLITS: Final = error("two-splits", "The Service of a model has only one list of traffic targets.")
VERSION_WITHOUT_TRAFFIC: Final = advice(
    "version-without-traffic", "Without a split the first declared version receives all requests."
)

RULES: Final = (
    AMBIGUOUS_OWNER,
    NAME_REFUSED,
    NAMES_MEET,
    OTHER_NAMESPACE,
    REVISION_OWNED_TWICE,
    SPLIT_OF_COMPANION,
    SPLIT_REVISION_MISSING,
    SPLIT_REVISION_UNDECLARED,
    TWO_SPLITS,
    VERSION_WITHOUT_TRAFFIC,
)


def check(subject: Subject) -> Iterator[Finding]:
    """Check namespaces, versions, models and splits."""
    yield from _namespaces(subject)
    for version in subject.resources.revisions:
        yield from _version(subject, version)
    for model in subject.resources.services:
        yield from _model(subject, model)
    for split in subject.resources.ab_services:
        yield from _split(subject, split)
    yield from _name_conflicts(subject)


def _namespaces(subject: Subject) -> Iterator[Finding]:
    for each in subject.resources:
        if each.metadata.namespace not in {None, subject.options.namespace}:
            what = f"the namespace of {each.kind} {each.metadata.name} is {each.metadata.namespace}"
            fix = f"remove the namespace, or write {subject.options.namespace}, the namespace of the deployment"
            yield OTHER_NAMESPACE.finding(what, fix=fix, where=subject.place(each, "metadata", "namespace"))


def _version(subject: Subject, version: ModelVersion) -> Iterator[Finding]:
    name, model = version.metadata.name, version.spec.model_name
    at_name = subject.place(version, "metadata", "name")
    yield from _named(lambda: names.service(model), subject.place(version, "spec", "modelName"))
    yield from _named(lambda: names.revision(version), at_name)
    yield from _named(lambda: names.tag(model, name), at_name)
    other = model_of_name(name, subject.resources.models)
    if other not in {None, model}:
        what = f"{name} is a version of {model}, but its name starts with the name of the model {other}"
        fix = f"use a name that starts with {model}- and not with {other}-"
        yield AMBIGUOUS_OWNER.finding(what, fix=fix, where=at_name)


def _named(make: Callable[[], str], where: str | None) -> Iterator[Finding]:
    try:
        make()
    except BadSetting as fault:
        yield NAME_REFUSED.finding(problem(fault), fix=f"use {fault.details['allowed']}", where=where)


def _model(subject: Subject, model: str) -> Iterator[Finding]:
    try:
        split = split_of(model, subject.resources)
    except BadSetting as fault:
        second = next(each for each in subject.resources.ab_services if each.metadata.name == fault.details["value"])
        where = subject.place(second, "metadata", "name")
        yield TWO_SPLITS.finding(problem(fault), fix=f"keep {fault.details['allowed']}", where=where)
        return
    served = subject.facts.percents or {}
    later = subject.resources.versions_of(model)[1:]
    others = [each for each in later if not served.get(each.metadata.name)]
    if split is None and others:
        revisions = ", ".join(each.metadata.name for each in others)
        fix = f"add a split (Service {model}-ab), or run scalezero rollout {model} --to VERSION"
        where = subject.place(others[0], "metadata", "name")
        what = f"{revisions}: no traffic, reachable only at the URL of its tag"
        yield VERSION_WITHOUT_TRAFFIC.finding(what, fix=fix, where=where)


def _split(subject: Subject, split: ABService) -> Iterator[Finding]:
    name, models = split.metadata.name, subject.resources.services
    where = subject.place(split, "metadata", "name")
    if name not in models:
        yield from _named(lambda: names.route(name), where)
    elif models_of(split, subject.resources) != {name}:
        what = f"the split {name} has the name of a model, but routes to revisions of other models"
        yield REVISION_OWNED_TWICE.finding(what, fix=f"use another name, such as {name}-ab", where=where)
    yield from _targets(subject, split)


def _name_conflicts(subject: Subject) -> Iterator[Finding]:
    """Find names of Kubernetes Services that two Routes, tags or revisions need (knative/serving#4206)."""
    used: dict[str, str] = {}
    for name, user, resource in _service_names(subject):
        first = used.setdefault(name, user)
        if first != user:
            what = f"{user} and {first} both need the Kubernetes Service {name}"
            where = subject.place(resource, "metadata", "name")
            yield NAMES_MEET.finding(what, fix="use another name for one of them", where=where)


def _service_names(subject: Subject) -> Iterator[tuple[str, str, ModelVersion | ABService]]:
    """Yield the name of each Kubernetes Service that Knative creates, its user, and the resource with the name."""
    versions = subject.resources.revisions
    for version in versions:
        model = version.spec.model_name
        yield model, f"the model {model}", version
    for version in versions:
        name, model = version.metadata.name, version.spec.model_name
        yield name, f"the revision {name}", version
        yield f"{name}-private", f"the revision {name}", version
        with suppress(BadSetting):  # reported as NAME_REFUSED
            yield f"{names.tag(model, name)}-{model}", f"the tag of {name}", version
    for split in subject.resources.ab_services:
        name = split.metadata.name
        if name not in subject.resources.services:  # otherwise the split uses the Service of the model
            yield name, f"the split {name}", split


def _targets(subject: Subject, split: ABService) -> Iterator[Finding]:
    declared = {each.metadata.name for each in subject.resources.model_versions}
    of_companions = {revision for _, revision in splits_of_companions(subject.resources)}
    existing = subject.facts.revisions
    for index, target in enumerate(split.spec.traffic):
        revision = target.revision_name
        where = subject.place(split, "spec", "traffic", index, "revisionName")
        if revision in of_companions:
            main = " or ".join(subject.resources.services)
            what = f"{split.metadata.name} routes to {revision}, a version of a companion"
            yield SPLIT_OF_COMPANION.finding(what, fix=f"route to revisions of {main}", where=where)
        if revision in declared or (existing is not None and revision in existing):
            continue
        rule = SPLIT_REVISION_UNDECLARED if existing is None else SPLIT_REVISION_MISSING
        missing = "" if existing is None else " and the cluster does not have"
        what = f"{split.metadata.name} routes to {revision}, which no ModelVersion declares{missing}"
        yield rule.finding(what, fix=f"declare {revision}, or remove it from the split", where=where)
