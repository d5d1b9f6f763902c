"""Queries of the registry and the cluster for the rules. A query that fails becomes a note."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from typing import Protocol

from knative.api.errors import EventingMissing, Forbidden
from knative.checks.subject import Artifact, Guest, Subject
from knative.function.guests import FindGuest, guest_uris, sha256_of
from knative.function.pins import Find, ReadVariants, read_variants
from knative.manifests.names import REGISTRY_SECRET
from knative.manifests.variants import choose, first_choices
from knative.objects import EVENTING_KINDS, Manifest, Ref, percents_of
from knative.resources import ModelOptimization
from runtime.errors import ScalezeroError
from runtime.registry import Published
from runtime.variants.names import ORIGINAL


class ObjectReader(Protocol):
    """The part of a cluster's API that the checks use; `knative.api.client.Cluster` implements it."""

    def get(self, ref: Ref) -> Manifest | None:
        """Return an object, or None if it does not exist."""

    def list(self, kind: str) -> list[Manifest]:
        """Return all objects of a kind."""


class ReadOnce:
    """A reader that reads each object and each kind once, for several checks of one command."""

    def __init__(self, reader: ObjectReader) -> None:
        self._get, self._list = cache(reader.get), cache(reader.list)

    def get(self, ref: Ref) -> Manifest | None:
        """Return an object, or None if it does not exist."""
        return self._get(ref)

    def list(self, kind: str) -> "list[Manifest]":
        """Return all objects of a kind."""
        return self._list(kind)


def with_artifacts(subject: Subject, find: Find, notes: list[str], *, variants: ReadVariants | None = None) -> Subject:
    """Add the artifacts in the registry to the facts, with what is published about them unless `variants` is None."""
    found: dict[str, Artifact | None] = {}
    try:
        for each in subject.served():
            uri = str(each.settings.model_uri)
            if uri.startswith("s3:") and uri not in found:  # a path is in the image, which is not available here
                published = find(uri)
                optimization = subject.resources.optimization_of(each.version.spec.model_name)
                found[uri] = _artifact(uri, published, optimization, variants, notes) if published else None
    except ScalezeroError as error:
        notes.append(f"cannot query the registry: {error}")
    return replace(subject, facts=replace(subject.facts, artifacts=found))


def with_guests(subject: Subject, find: FindGuest, notes: list[str]) -> Subject:
    """Add the guests in the registry to the facts, and the digest of the one in the folder."""
    found: dict[str, Guest | None] = {}
    for uri in guest_uris(subject.resources):
        try:
            guest = find(uri)
        except ScalezeroError as error:
            notes.append(f"cannot query the registry: {error}")
            continue
        found[uri] = guest and Guest(guest.sha256)
    return replace(subject, facts=replace(subject.facts, guests=found, guest_here=sha256_of(subject.guest)))


def _artifact(
    uri: str,
    published: Published,
    optimization: ModelOptimization | None,
    variants: ReadVariants | None,
    notes: list[str],
) -> Artifact:
    artifact = Artifact(published.size, published.sha256)
    if variants is None:
        return artifact
    if (found := read_variants(uri, published, variants, report=notes.append)) is None:
        return artifact
    made, assessments = found
    newest = {each.cpu_class: each for each in sorted(assessments, key=lambda each: each.measured_at)}
    return artifact._replace(
        chosen=first_choices(made, choose(made, assessments, optimization)),
        assessments=tuple(newest.values()),
        is_described=True,
        original=next((each for each in made if each.name == ORIGINAL), None),
    )


def with_objects(subject: Subject, cluster: ObjectReader, notes: list[str]) -> Subject:
    """Add revisions, traffic, the Secret and the ServiceAccount of the cluster to the facts."""
    try:
        with _forbidden_as_note(notes):
            revisions = {each["metadata"]["name"]: each for each in cluster.list("Revision")}
            subject = replace(subject, facts=replace(subject.facts, revisions=revisions))
        with _forbidden_as_note(notes):
            percents = _percents(cluster.list("Route"))  # Knative creates one for each Service
            subject = replace(subject, facts=replace(subject.facts, percents=percents))
        with _forbidden_as_note(notes):
            if name := subject.options.s3.secret:
                subject = _with_secret(subject, cluster, name)
        if subject.has_no_credentials():
            with suppress(Forbidden):  # the deployment does not use this Secret
                subject = _with_secret(subject, cluster, REGISTRY_SECRET)
        with _forbidden_as_note(notes):
            if name := subject.options.service_account:
                found = cluster.get(Ref("ServiceAccount", name))
                existing = [] if found is None else [name]
                subject = replace(subject, facts=replace(subject.facts, service_accounts=existing))
        if subject.uses_eventing():
            with _forbidden_as_note(notes):
                subject = _with_eventing(subject, cluster)
    except ScalezeroError as error:  # the next query would fail in the same way
        notes.append(f"cannot query the cluster: {error}")
    return subject


def _percents(routes: Iterable[Manifest]) -> Mapping[str, int]:
    """Return the largest current share of each revision in any Route, in percent."""
    shares: dict[str, int] = {}
    for route in routes:
        percents = percents_of((route.get("status") or {}).get("traffic"))
        shares |= {name: max(percent, shares.get(name, 0)) for name, percent in percents.items()}
    return shares


def _with_secret(subject: Subject, cluster: ObjectReader, name: str) -> Subject:
    secret = cluster.get(Ref("Secret", name))
    keys = None if secret is None else tuple(secret.get("data") or ())
    return replace(subject, facts=replace(subject.facts, secrets={name: keys}))


def _with_eventing(subject: Subject, cluster: ObjectReader) -> Subject:
    facts = replace(subject.facts, services=_names(cluster.list("Service")))
    try:
        # The kinds of one installation: a cluster may have only a part of them.
        brokers = {kind: _names(cluster.list(kind)) for kind in EVENTING_KINDS}
    except EventingMissing as error:
        return replace(subject, facts=replace(facts, missing_api=str(error.details["api"])))
    return replace(subject, facts=replace(facts, brokers=brokers["Broker"]))


def _names(found: Iterable[Manifest]) -> tuple[str, ...]:
    return tuple(each["metadata"]["name"] for each in found)


@contextmanager
def _forbidden_as_note(notes: list[str]) -> Iterator[None]:
    """Convert `Forbidden` to a note, because the next query may be permitted."""
    try:
        yield
    except Forbidden as error:
        notes.append(str(error))
