"""The objects of Knative Eventing in the report of a model: which ones belong to it, and where they deliver."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from knative.api.client import Cluster
from knative.api.errors import EventingMissing, Forbidden
from knative.manifests.names import MANAGER, NAME, manager_of
from knative.objects import EVENTING_KINDS, Manifest


def read_events(cluster: Cluster) -> tuple[Manifest, ...]:
    """Read all objects of the namespace. There are none without Knative Eventing, or the right to list them."""
    found: list[Manifest] = []
    for kind in EVENTING_KINDS:
        with suppress(EventingMissing, Forbidden):
            found += cluster.list(kind)
    return tuple(found)


def users_of_events(manifest: Manifest) -> frozenset[str]:
    """Name the functions that the object delivers to, or for which scalezero created it. A Broker has none."""
    labels = manifest["metadata"].get("labels") or {}
    created = {labels[NAME]} if manager_of(manifest) == MANAGER and NAME in labels else set()
    return frozenset(created | {name for kind, name in _targets(manifest) if kind == "Service"})


def detail_of(manifest: Manifest) -> str:
    """Describe from where the events come, and where they go."""
    spec = manifest.get("spec", {})
    match manifest["kind"]:
        case "Trigger":
            return f"{spec.get('broker')} -> {_named(spec['subscriber'])}{_filtered(spec)}{_dead_letters(spec)}"
        case "Sequence":
            steps = " -> ".join(map(_named, spec["steps"]))
            return f"{steps} -> {_named(spec['reply'])}" if "reply" in spec else steps
        case "SinkBinding":
            return f"{spec['subject'].get('name', '')} -> {_named(spec['sink'])}"
        case _:
            return str(((manifest.get("status") or {}).get("address") or {}).get("url", ""))


def _targets(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the kind and name of each object that gets events, or that sends its predictions."""
    spec = manifest.get("spec", {})
    references = (spec.get("subscriber"), *(spec.get("steps") or ()))
    for reference in (*((each or {}).get("ref") for each in references), spec.get("subject")):
        if reference:
            yield reference.get("kind", ""), reference.get("name", "")


def _named(destination: Manifest) -> str:
    reference = destination.get("ref") or {}
    if not reference:
        return str(destination.get("uri", ""))
    kind = reference.get("kind", "").lower()
    return reference["name"] if kind == "service" else f"{kind} {reference['name']}"


def _filtered(spec: Manifest) -> str:
    """Describe the attributes that a Trigger compares; filters of other dialects are only counted."""
    filters: list[Any] = spec.get("filters") or []
    if filters:
        return f"  {len(filters)} filters" if len(filters) > 1 else "  1 filter"
    attributes = (spec.get("filter") or {}).get("attributes") or {}
    return "".join(f"  {name}={value}" for name, value in attributes.items())


def _dead_letters(spec: Manifest) -> str:
    sink = (spec.get("delivery") or {}).get("deadLetterSink")
    return f"  dead letters: {_named(sink)}" if sink else ""
