"""The state of models in a cluster: their revisions, the traffic of each, and the reasons of failures.

look (reads) -> Seen -> models (pure) -> Model ...
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from knative.api.client import Cluster
from knative.api.errors import ObjectMissing
from knative.deploying.explain import pod_says
from knative.deploying.plan import Plan
from knative.deploying.readiness import Failed, Pending, Readiness, Ready, is_up, readiness_of
from knative.manifests.names import MANAGED_BY, MANAGER, VERSION
from knative.objects import REVISION_LABEL, SERVICE_LABEL, Manifest, Ref

State = Literal["Ready", "Pending", "Failed"]

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
    wanted: int | None  # pods that the autoscaler asks for; None: unknown
    image: str
    created: str  # RFC 3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A Route to revisions of the model, in addition to its Service."""

    name: str
    url: str
    traffic: Mapping[str, int]  # percent by revision
    state: State
    reason: str


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

    @property
    def is_ready(self) -> bool:
        """Whether all traffic of the Service and its splits is served. A revision without traffic may have failed."""
        shared = {name for each in self.splits for name, percent in each.traffic.items() if percent}
        serving = (each.state for each in self.revisions if each.percent or each.name in shared)
        return all(state == "Ready" for state in (self.state, *serving, *(each.state for each in self.splits)))


class Seen(NamedTuple):
    """The objects of the models, as they were read."""

    services: Sequence[Manifest]
    revisions: Sequence[Manifest]
    routes: Sequence[Manifest]
    pods: Sequence[Manifest]
    pod_states: Mapping[str, Readiness]  # by pod


def look(cluster: Cluster, model: str | None = None) -> Seen:
    """Read one model, whoever created it, or all that scalezero deployed. Raises `ObjectMissing` for an unknown one."""
    if model is None:
        services = cluster.list("Service", labels={MANAGED_BY: MANAGER})
    elif found := cluster.get(Ref("Service", model)):
        services = [found]
    else:
        raise ObjectMissing("Knative Service", model)
    names = {each["metadata"]["name"] for each in services}
    pods = [each for each in cluster.list("Pod") if _service_of(each) in names]
    return Seen(
        services=services,
        revisions=[each for each in cluster.list("Revision") if _service_of(each) in names],
        routes=[each for each in cluster.list("Route") if _service_of(each) is None],
        pods=pods,
        pod_states={each["metadata"]["name"]: pod_says(cluster, each) for each in pods if not is_up(each)},
    )


def models(seen: Seen) -> tuple[Model, ...]:
    """Return the state of each model."""
    return tuple(_model(service, seen) for service in seen.services)


def urls(cluster: Cluster, planned: Plan) -> dict[str, str]:
    """Read the URLs of the Services and Routes of a plan, and of their tags as `NAME (TAG)`."""
    found: dict[str, str] = {}
    for ref in dict.fromkeys(each.ref for each in planned.actions if each.ref.kind in {"Service", "Route"}):
        status = (cluster.get(ref) or {}).get("status", {})
        found[ref.name] = status.get("url", "")
        found |= {f"{ref.name} ({tag})": url for tag, url in _tag_urls(status).items()}
    return found


def _model(service: Manifest, seen: Seen) -> Model:
    name, status = service["metadata"]["name"], service.get("status", {})
    found = sorted((each for each in seen.revisions if _service_of(each) == name), key=_generation)
    revisions = tuple(_revision(each, status, seen) for each in found)
    state, reason = _model_state(readiness_of(service), revisions)
    return Model(
        name=name,
        namespace=service["metadata"]["namespace"],
        url=status.get("url", ""),
        tag_urls=_tag_urls(status),
        state=state,
        reason=reason,
        revisions=revisions,
        splits=tuple(_splits(seen.routes, {each.name for each in revisions})),
    )


def _model_state(service: Readiness, revisions: Iterable[Revision]) -> tuple[State, str]:
    """Return the Service's state, or the state of a revision that gets traffic and does not serve it.

    Knative keeps a Service Ready while the pods of a revision that was Ready once fail.
    """
    state, reason = _state_of(service)
    if state != "Ready":
        return state, reason
    serving = [each for each in revisions if each.percent and each.reason]
    if not serving:
        return state, reason
    worst = min(serving, key=lambda each: _SEVERITIES.index(each.state))
    return worst.state, f"{worst.name} gets {worst.percent}% of the traffic: {worst.reason}"


def _revision(revision: Manifest, service_status: Manifest, seen: Seen) -> Revision:
    name, metadata, status = revision["metadata"]["name"], revision["metadata"], revision.get("status", {})
    targets = [each for each in service_status.get("traffic") or () if each.get("revisionName") == name]
    pods = [each for each in seen.pods if each["metadata"]["labels"].get(REVISION_LABEL) == name]
    wanted = status.get("desiredReplicas")
    state, reason = _state_of(_with_pods(readiness_of(revision), pods, seen.pod_states))
    if state == "Ready" and not any(map(is_up, pods)):  # Knative keeps it Ready while its pods start or fail
        reason = next((_state_of(each)[1] for each in _unready_pods(pods, seen.pod_states)), "")
    return Revision(
        name=name,
        version=(metadata.get("labels") or {}).get(VERSION, ""),
        percent=sum(each.get("percent") or 0 for each in targets),
        tags=tuple(each["tag"] for each in targets if each.get("tag")),
        state=state,
        reason=reason,
        pods=sum(map(is_up, pods)),
        wanted=wanted if wanted is not None and wanted >= 0 else None,
        image=revision["spec"]["containers"][0]["image"],
        created=metadata["creationTimestamp"],
    )


def _unready_pods(pods: Iterable[Manifest], pod_states: Mapping[str, Readiness]) -> list[Readiness]:
    """List the states of the pods that are not Ready, except pods that are being deleted."""
    names = [each["metadata"]["name"] for each in pods if "deletionTimestamp" not in each["metadata"]]
    return [pod_states[name] for name in names if name in pod_states]


def _with_pods(judged: Readiness, pods: Iterable[Manifest], pod_states: Mapping[str, Readiness]) -> Readiness:
    """Add what the pods report: Knative keeps a revision Ready that was Ready once."""
    unready = _unready_pods(pods, pod_states)
    failed = next((each for each in unready if isinstance(each, Failed)), None)
    if isinstance(judged, Failed):
        return judged
    return failed or (next(iter(unready), judged) if isinstance(judged, Pending) else judged)


def _splits(routes: Iterable[Manifest], revisions: set[str]) -> Iterator[Split]:
    for route in routes:
        traffic: Counter[str] = Counter()  # a revision may occur twice, with a tag and without
        for each in route["spec"].get("traffic") or ():
            if "revisionName" in each:
                traffic[each["revisionName"]] += each.get("percent") or 0
        if revisions & set(traffic):
            state, reason = _state_of(readiness_of(route))
            url = route.get("status", {}).get("url", "")
            yield Split(name=route["metadata"]["name"], url=url, traffic=dict(traffic), state=state, reason=reason)


def _state_of(judged: Readiness) -> tuple[State, str]:
    if isinstance(judged, Ready):
        return "Ready", ""
    (reason,) = judged
    return "Failed" if isinstance(judged, Failed) else "Pending", reason


def _tag_urls(status: Manifest) -> dict[str, str]:
    return {each["tag"]: each.get("url", "") for each in status.get("traffic") or () if each.get("tag")}


def _service_of(manifest: Manifest) -> str | None:
    found: str | None = (manifest["metadata"].get("labels") or {}).get(SERVICE_LABEL)
    return found


def _generation(revision: Manifest) -> int:
    """Order revisions by their creation."""
    return int((revision["metadata"].get("labels") or {}).get("serving.knative.dev/configurationGeneration", 0))
