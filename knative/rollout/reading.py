"""The facts of a rollout, read from the manifests of the Service, its revisions and their pods."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from knative.deploying import readiness
from knative.manifests.names import VERSION
from knative.objects import REVISION_LABEL, Manifest, traffic_writers
from knative.rollout.errors import AmbiguousRevision, UnknownRevision
from knative.rollout.split import Split, is_same, split_from

_VERSION_ENV: Final = "SCALEZERO_MODEL_VERSION"
_QUEUE_PROXY: Final = "queue-proxy"


class ConditionState(NamedTuple):
    """A condition of an object: True, False or unknown (None), and the reason."""

    status: bool | None
    reason: str


GONE: Final = ConditionState(status=False, reason="it was deleted")


class Pod(NamedTuple):
    """One pod of a revision."""

    name: str
    revision: str
    ready: bool  # receives requests, and is not terminating
    restarts: int  # of its containers, without queue-proxy


def live_split(service: Manifest) -> Split:
    """Return the live split. A share of the latest revision counts for the current latest one."""
    return split_from((_revision_of(each, service), each.get("percent") or 0) for each in service["spec"]["traffic"])


def traffic(service: Manifest, split: Split) -> list[Manifest]:
    """Return the Service's traffic with the shares of `split`. Tags keep their revisions.

    Every entry names its revision, because an entry for the latest one would pass its share to the next new revision.
    """
    wanted = dict(split)
    written = []
    for entry in service["spec"]["traffic"]:
        revision = _revision_of(entry, service)
        percent = wanted.pop(revision, 0)
        if percent or entry.get("tag"):
            tag = {"tag": entry["tag"]} if entry.get("tag") else {}
            written.append({"revisionName": revision, "percent": percent, **tag})
    return [*written, *({"revisionName": revision, "percent": percent} for revision, percent in wanted.items())]


def settled(service: Manifest) -> ConditionState:
    """Whether the Route has applied the Service's traffic.

    Reads the condition of the Route, because a new revision that cannot start makes the Service not Ready.
    """
    status = service.get("status") or {}
    routes = condition(service, "RoutesReady")
    current = status.get("observedGeneration") == service["metadata"]["generation"]
    applied = split_from(
        (each.get("revisionName", ""), each.get("percent") or 0) for each in status.get("traffic") or ()
    )
    return ConditionState(bool(current and routes.status and is_same(applied, live_split(service))), routes.reason)


def condition(manifest: Manifest, kind: str) -> ConditionState:
    """Read a condition from the manifest's status."""
    found = readiness.condition(manifest, kind)
    reason = found.get("message") or found.get("reason") or "Knative has not reported a condition yet"
    return ConditionState({"True": True, "False": False}.get(found.get("status", "")), " ".join(reason.split()))


def pod_of(manifest: Manifest) -> Pod:
    """Read a pod from its manifest."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    containers = [each for each in status.get("containerStatuses") or () if each["name"] != _QUEUE_PROXY]
    return Pod(
        metadata["name"],
        metadata["labels"].get(REVISION_LABEL, ""),
        readiness.is_pod_ready(manifest),
        sum(each.get("restartCount", 0) for each in containers),
    )


def changed_by(service: Manifest) -> str:
    """Return the writer of the traffic: the field manager, and the user if Knative recorded one."""
    user = (service["metadata"].get("annotations") or {}).get("serving.knative.dev/lastModifier")
    writer = " and ".join(dict.fromkeys(traffic_writers(service))) or "another writer"
    return f"{writer} (user {user})" if user else writer


def find_revision(value: str, service: Manifest, revisions: Sequence[Manifest]) -> Manifest:
    """Find a revision by its name, its tag or its model version.

    Raises `UnknownRevision` with the available ones, `AmbiguousRevision` if several serve the version.
    """
    model = service["metadata"]["name"]
    tags = {each["tag"]: _revision_of(each, service) for each in service["spec"]["traffic"] if each.get("tag")}
    named = {each["metadata"]["name"]: each for each in revisions}
    for name in (value, tags.get(value, ""), f"{model}-{value}"):
        if name in named:
            return named[name]
    found = [each for each in revisions if value == _version(each)]
    if len(found) > 1:
        raise AmbiguousRevision(value, revisions=[each["metadata"]["name"] for each in found])
    if not found:
        raise UnknownRevision(value, model=model, known=[_names_of(each, tags) for each in revisions])
    return found[0]


def other_routes(routes: Sequence[Manifest], split: Split) -> list[str]:
    """Return the names of other Routes with traffic to these revisions. A rollout does not change them."""
    revisions = {each.revision for each in split}
    return [
        route["metadata"]["name"]
        for route in routes
        if not route["metadata"].get("ownerReferences")
        and any(each.get("revisionName") in revisions for each in route["spec"].get("traffic") or ())
    ]


def follows_latest(service: Manifest) -> bool:
    """Whether some of the traffic goes to the latest revision, without its name."""
    return any(not each.get("revisionName") for each in service["spec"]["traffic"])


def tag_url(service: Manifest, revision: str) -> str | None:
    """Return the URL of the revision's tag; None if it has no tag."""
    traffic = (service.get("status") or {}).get("traffic") or ()
    return next((each["url"] for each in traffic if each.get("revisionName") == revision and each.get("url")), None)


def _version(revision: Manifest) -> str | None:
    """Read the model's version from the runtime's variable, or from the label, which cannot hold every version."""
    environment = revision["spec"]["containers"][0].get("env") or ()
    variable = next((each.get("value") for each in environment if each["name"] == _VERSION_ENV), None)
    return variable or (revision["metadata"].get("labels") or {}).get(VERSION)


def _names_of(revision: Manifest, tags: Mapping[str, str]) -> str:
    name = revision["metadata"]["name"]
    tagged = [tag for tag, of in tags.items() if of == name]
    others = [*tagged, *filter(None, [_version(revision)])]
    return f"{name} ({', '.join(others)})" if others else str(name)


def _revision_of(entry: Mapping[str, Any], service: Manifest) -> str:
    latest = (service.get("status") or {}).get("latestReadyRevisionName", "")
    return str(entry.get("revisionName") or latest)
