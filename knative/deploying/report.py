"""The state of models in a cluster: their revisions, the traffic of each, and the reasons of failures.

read_models (reads) -> Observed -> models (pure) -> Model ...
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from knative.api.client import Cluster
from knative.deploying.companions import companions_in
from knative.deploying.deployed import service_of
from knative.deploying.eventing_report import detail_of, read_events, users_of_events
from knative.deploying.explain import diagnose
from knative.deploying.plan import Plan
from knative.deploying.readiness import (
    Failed,
    Pending,
    Readiness,
    Ready,
    condition,
    is_pod_ready,
    memory_problem,
    readiness_of,
)
from knative.deploying.serving import Serving, served_by
from knative.manifests.names import MANAGED_BY, MANAGER, VERSION
from knative.manifests.variants import pinned_of, rankings
from knative.objects import REVISION_LABEL, Manifest, generation_of, is_being_deleted, owner_of, percents_of

State = Literal["Ready", "Pending", "Failed"]

_REASONS_OF_REVISIONS: Final = frozenset({"RevisionFailed", "RevisionMissing"})  # of a Service or a Route
_SEVERITIES: Final[tuple[State, ...]] = ("Failed", "Pending", "Ready")  # the worst first


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision of a model."""

    name: str
    version: str
    percent: int  # of the Service's current traffic
    tags: tuple[str, ...]
    state: State
    reason: str  # why it is not Ready, or why its pods are not
    pods: int  # that accept requests
    wanted: int | None  # number of pods that the autoscaler requests; None: unknown
    image: str
    created: str  # RFC 3339
    companions: Mapping[str, str] = field(default_factory=dict)  # the version of each other model that it serves
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the pinned ranking by CPU class
    serving: Mapping[str, Serving] = field(default_factory=dict)  # by pod, as far as the pods say


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A Route to revisions of the model, in addition to its Service."""

    name: str
    url: str
    traffic: Mapping[str, int]  # percent by revision
    state: State
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventObject:
    """An object of Knative Eventing that delivers events to the model, or its predictions to a sink."""

    kind: str
    name: str
    state: State
    reason: str
    detail: str  # from where, and to where


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's Service with its revisions and Routes."""

    name: str
    namespace: str
    url: str
    tag_urls: Mapping[str, str]
    state: State
    reason: str
    revisions: tuple[Revision, ...]
    splits: tuple[Split, ...]
    events: tuple[EventObject, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether all traffic of the Service and its splits is served, and its events are delivered.

        A revision without traffic may have failed.
        """
        shared = {name for each in self.splits for name, percent in each.traffic.items() if percent}
        serving = (each.state for each in self.revisions if each.percent or each.name in shared)
        splits, events = (each.state for each in self.splits), (each.state for each in self.events)
        return all(state == "Ready" for state in (self.state, *serving, *splits, *events))


class Observed(NamedTuple):
    """The observed objects of the models."""

    services: Sequence[Manifest]
    revisions: Sequence[Manifest]
    routes: Sequence[Manifest]
    pods: Sequence[Manifest]
    pod_states: Mapping[str, Readiness]  # by pod
    serving: Mapping[str, Serving] = {}  # by pod
    events: Sequence[Manifest] = ()  # the objects of Knative Eventing in the namespace


def read_models(cluster: Cluster, model: str | None = None) -> Observed:
    """Read one model, or all that scalezero deployed. Raises `NoService` for an unknown one.

    One model may also be a Service that scalezero did not create.
    """
    labels = {MANAGED_BY: MANAGER}
    services = cluster.list("Service", labels=labels) if model is None else [service_of(cluster, model)]
    names = {each["metadata"]["name"] for each in services}
    pods = [each for each in cluster.list("Pod") if owner_of(each) in names]
    return Observed(
        services=services,
        revisions=[each for each in cluster.list("Revision") if owner_of(each) in names],
        routes=[each for each in cluster.list("Route") if owner_of(each) is None],
        pods=pods,
        pod_states={each["metadata"]["name"]: diagnose(cluster, each) for each in pods if not is_pod_ready(each)},
        serving=served_by(cluster, filter(is_pod_ready, pods)),
        events=read_events(cluster),
    )


def models(observed: Observed) -> tuple[Model, ...]:
    """Return the state of each model."""
    return tuple(_model(service, observed) for service in observed.services)


def urls(cluster: Cluster, planned: Plan) -> dict[str, str]:
    """Read the URLs of the Services and Routes of a plan, and of their tags as `NAME (TAG)`."""
    found: dict[str, str] = {}
    for ref in dict.fromkeys(each.ref for each in planned.actions if each.ref.kind in {"Service", "Route"}):
        status = (cluster.get(ref) or {}).get("status", {})
        found[ref.name] = status.get("url", "")
        found |= {f"{ref.name} ({tag})": url for tag, url in _tag_urls(status).items()}
    return found


def _model(service: Manifest, observed: Observed) -> Model:
    name, status = service["metadata"]["name"], service.get("status", {})
    found = sorted((each for each in observed.revisions if owner_of(each) == name), key=generation_of)
    revisions = tuple(_revision(each, status, observed) for each in found)
    state, reason = _model_state(service, revisions)
    return Model(
        name=name,
        namespace=service["metadata"]["namespace"],
        url=status.get("url", ""),
        tag_urls=_tag_urls(status),
        state=state,
        reason=reason,
        revisions=revisions,
        splits=tuple(_splits(observed.routes, {each.name for each in revisions})),
        events=tuple(_events(name, observed.events)),
    )


def _model_state(service: Manifest, revisions: Sequence[Revision]) -> tuple[State, str]:
    """Return the Service's state, or the state of a revision that gets traffic and is not Ready.

    Knative keeps a Service Ready while the pods of a revision that was Ready once fail. A Service that failed because
    of a revision has only the name of that revision in its condition, so the revision's reason is added.
    """
    state, reason = _state_of(readiness_of(service))
    if state != "Ready":
        failed = _cause(condition(service, "RoutesReady"), revisions)
        return state, f"{failed.name}: {failed.reason}" if failed else reason
    serving = [each for each in revisions if each.percent and each.reason]
    if not serving:
        return state, reason
    worst = min(serving, key=lambda each: _SEVERITIES.index(each.state))
    return worst.state, f"{worst.name} gets {worst.percent}% of the traffic: {worst.reason}"


def _cause(routes: Mapping[str, str], revisions: Sequence[Revision]) -> Revision | None:
    """Return the failed revision that the condition of the routes is about; None if it is about something else."""
    if routes.get("reason") not in _REASONS_OF_REVISIONS:
        return None
    failed = [each for each in revisions if each.state == "Failed"]
    named = [each for each in failed if f'"{each.name}"' in routes.get("message", "")]
    return next(iter(named or [each for each in failed if each.percent] or failed[-1:]), None)


def _revision(revision: Manifest, service_status: Manifest, observed: Observed) -> Revision:
    name, metadata, status = revision["metadata"]["name"], revision["metadata"], revision.get("status", {})
    targets = [each for each in service_status.get("traffic") or () if each.get("revisionName") == name]
    pods = [each for each in observed.pods if each["metadata"]["labels"].get(REVISION_LABEL) == name]
    wanted = status.get("desiredReplicas")
    state, reason = _state_of(_with_pods(readiness_of(revision), pods, observed.pod_states))
    if state == "Failed":  # Knative's condition has the exit code of an OOM kill without its reason
        reason = next(filter(None, map(memory_problem, pods)), reason)
    if state == "Ready" and not any(map(is_pod_ready, pods)):  # Knative keeps it Ready while its pods start or fail
        reason = next((_state_of(each)[1] for each in _unready_pods(pods, observed.pod_states)), "")
    return Revision(
        name=name,
        version=(metadata.get("labels") or {}).get(VERSION, ""),
        percent=sum(each.get("percent") or 0 for each in targets),
        tags=tuple(each["tag"] for each in targets if each.get("tag")),
        state=state,
        reason=reason,
        pods=sum(map(is_pod_ready, pods)),
        wanted=wanted if wanted is not None and wanted >= 0 else None,
        image=revision["spec"]["containers"][0]["image"],
        created=metadata["creationTimestamp"],
        companions={each.name: each.version for each in companions_in(revision)},
        variants=rankings(pinned_of(revision)),
        serving={name: found for each in pods if (found := observed.serving.get(name := each["metadata"]["name"]))},
    )


def _unready_pods(pods: Iterable[Manifest], pod_states: Mapping[str, Readiness]) -> list[Readiness]:
    """List the states of the pods that are not Ready, except pods that are being deleted."""
    names = [each["metadata"]["name"] for each in pods if not is_being_deleted(each)]
    return [pod_states[name] for name in names if name in pod_states]


def _with_pods(judged: Readiness, pods: Iterable[Manifest], pod_states: Mapping[str, Readiness]) -> Readiness:
    """Add the states of the pods: Knative keeps a revision Ready that was Ready once."""
    unready = _unready_pods(pods, pod_states)
    failed = next((each for each in unready if isinstance(each, Failed)), None)
    if isinstance(judged, Failed):
        return judged
    return failed or (next(iter(unready), judged) if isinstance(judged, Pending) else judged)


def _splits(routes: Iterable[Manifest], revisions: set[str]) -> Iterator[Split]:
    for route in routes:
        traffic = percents_of(route["spec"].get("traffic"))
        if not revisions.isdisjoint(traffic):
            state, reason = _state_of(readiness_of(route))
            url = route.get("status", {}).get("url", "")
            yield Split(name=route["metadata"]["name"], url=url, traffic=dict(traffic), state=state, reason=reason)


def _events(model: str, found: Sequence[Manifest]) -> Iterator[EventObject]:
    """Yield the objects of a model, and the Brokers of its Triggers."""
    own = [each for each in found if model in users_of_events(each)]
    brokers = {each["spec"].get("broker") for each in own if each["kind"] == "Trigger"}
    used = [each for each in found if each["kind"] == "Broker" and each["metadata"]["name"] in brokers]
    for each in (*used, *own):
        state, reason = _state_of(readiness_of(each))
        name = each["metadata"]["name"]
        yield EventObject(kind=each["kind"], name=name, state=state, reason=reason, detail=detail_of(each))


def _state_of(judged: Readiness) -> tuple[State, str]:
    if isinstance(judged, Ready):
        return "Ready", ""
    (reason,) = judged
    return "Failed" if isinstance(judged, Failed) else "Pending", reason


def _tag_urls(status: Manifest) -> dict[str, str]:
    return {each["tag"]: each.get("url", "") for each in status.get("traffic") or () if each.get("tag")}
