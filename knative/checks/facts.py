"""What only the registry and the cluster can tell. What cannot be asked is told as a note, and the rest goes on."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Protocol

from knative.api.errors import Forbidden
from knative.checks.subject import Artifact, Subject
from knative.function.pins import Find
from knative.manifests.names import REGISTRY_SECRET
from knative.objects import Manifest, Ref
from runtime.errors import ScalezeroError


class Objects(Protocol):
    """What is asked of a cluster; `knative.api.client.Cluster` is one."""

    def get(self, ref: Ref) -> Manifest | None:
        """Read an object; None where there is none."""

    def list(self, kind: str) -> list[Manifest]:
        """Read all objects of a kind."""


def with_artifacts(subject: Subject, find: Find, notes: list[str]) -> Subject:
    """Look up the artifacts in the registry."""
    uris = dict.fromkeys(str(each.settings.model_uri) for each in subject.served())
    found: dict[str, Artifact | None] = {}
    try:
        for uri in uris:
            if uri.startswith("s3:"):  # a path is one in the image, which is not here
                published = find(uri)
                found[uri] = Artifact(published.size, published.sha256) if published else None
    except ScalezeroError as error:
        notes.append(f"the registry could not be asked: {error}")
    return replace(subject, facts=replace(subject.facts, artifacts=found))


def with_objects(subject: Subject, cluster: Objects, notes: list[str]) -> Subject:
    """Look up revisions, traffic, the Secret and the ServiceAccount in the cluster."""
    try:
        with _noted(notes):
            revisions = {each["metadata"]["name"]: each for each in cluster.list("Revision")}
            subject = replace(subject, facts=replace(subject.facts, revisions=revisions))
        with _noted(notes):
            percents = _percents(cluster.list("Service"))
            subject = replace(subject, facts=replace(subject.facts, percents=percents))
        with _noted(notes):
            if name := subject.options.s3.secret:
                subject = _with_secret(subject, cluster, name)
        if subject.lacks_keys():
            with suppress(Forbidden):  # nobody counts on this one
                subject = _with_secret(subject, cluster, REGISTRY_SECRET)
        with _noted(notes):
            if name := subject.options.service_account:
                found = cluster.get(Ref("ServiceAccount", name))
                there = [] if found is None else [name]
                subject = replace(subject, facts=replace(subject.facts, service_accounts=there))
    except ScalezeroError as error:  # the next question would fail like this one
        notes.append(f"the cluster could not be asked: {error}")
    return subject


def _percents(services: Iterable[Manifest]) -> dict[str, int]:
    """Return the traffic that Services have now, by revision."""
    targets = (each for service in services for each in (service.get("status") or {}).get("traffic") or ())
    return {each["revisionName"]: each.get("percent") or 0 for each in targets if each.get("revisionName")}


def _with_secret(subject: Subject, cluster: Objects, name: str) -> Subject:
    secret = cluster.get(Ref("Secret", name))
    keys = None if secret is None else tuple(secret.get("data") or ())
    return replace(subject, facts=replace(subject.facts, secrets={name: keys}))


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """Go on with the next question where only this one is not allowed."""
    try:
        yield
    except Forbidden as error:
        notes.append(str(error))
