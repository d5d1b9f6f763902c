"""Kubernetes objects: manifests as plain data, references to one object, and the API paths of the kinds in use."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

Manifest = dict[str, Any]  # parsed JSON


class Ref(NamedTuple):
    """A reference to one object in the current namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Format the reference as kubectl does: service/payment-model."""
        return f"{self.kind.lower()}/{self.name}"


class Api(NamedTuple):
    """The path parts under which the API server serves a kind."""

    version: str  # group and version, as in apiVersion
    plural: str


SERVING: Final = "serving.knative.dev/v1"
SERVING_PREFIX: Final = "serving.knative.dev/"  # of the labels and annotations of Knative Serving
# Labels that Knative sets. Revisions and pods have the label of their Service, and pods the labels of their revision.
SERVICE_LABEL: Final = "serving.knative.dev/service"
ROUTING_LABEL: Final = "serving.knative.dev/routingState"  # on a revision; "active": a route points to it
GENERATION_LABEL: Final = "serving.knative.dev/configurationGeneration"
REVISION_LABEL: Final = "serving.knative.dev/revision"
REVISION_UID_LABEL: Final = "serving.knative.dev/revisionUID"

# The APIs of Knative Eventing.
EVENTING: Final = "eventing.knative.dev/v1"
FLOWS: Final = "flows.knative.dev/v1"
SOURCES: Final = "sources.knative.dev/v1"
EVENTING_APIS: Final = (EVENTING, FLOWS, SOURCES)
EVENTING_KINDS: Final = ("Broker", "SinkBinding", "Sequence", "Trigger")

APIS: Final = {
    "Broker": Api(EVENTING, "brokers"),
    "Deployment": Api("apps/v1", "deployments"),
    "Pod": Api("v1", "pods"),
    "Revision": Api(SERVING, "revisions"),
    "Role": Api("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Api("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Route": Api(SERVING, "routes"),
    "Secret": Api("v1", "secrets"),
    "Sequence": Api(FLOWS, "sequences"),
    "Service": Api(SERVING, "services"),  # Knative's Service; Services of the core API are never written
    "ServiceAccount": Api("v1", "serviceaccounts"),
    "SinkBinding": Api(SOURCES, "sinkbindings"),
    "Trigger": Api(EVENTING, "triggers"),
}

ROUTES: Final = "routes.serving.knative.dev"  # for kubectl, where OpenShift and others have Routes too


def kubectl_name(ref: Ref) -> str:
    """Return the name of an object for kubectl, with the group of its kind, as other groups may have the same kind."""
    api = APIS[ref.kind]
    group, separator, _ = api.version.partition("/")
    return f"{api.plural}.{group}/{ref.name}" if separator else f"{api.plural}/{ref.name}"


def ref_of(manifest: Manifest) -> Ref:
    """Return the reference to the object that a manifest describes."""
    return Ref(manifest["kind"], manifest["metadata"]["name"])


def is_being_deleted(manifest: Manifest) -> bool:
    """Whether the object was deleted, and exists only until its finalizers or its containers have ended."""
    return "deletionTimestamp" in manifest["metadata"]


def owner_of(manifest: Manifest) -> str | None:
    """Return the name of the Service for which Knative created a revision, a Route or a pod, if it did."""
    owner: str | None = (manifest.get("metadata", {}).get("labels") or {}).get(SERVICE_LABEL)
    return owner


def generation_of(revision: Manifest) -> int:
    """Return the generation of the Service that made the revision, which orders revisions; 0: unknown."""
    return int((revision["metadata"].get("labels") or {}).get(GENERATION_LABEL, 0))


def targets_of(route: Manifest) -> frozenset[str | None]:
    """Return the revisions in the traffic of a Route, with or without a share; None: the latest one."""
    return frozenset(each.get("revisionName") for each in route["spec"].get("traffic") or ())


def percents_of(traffic: Iterable[Manifest] | None) -> Counter[str]:
    """Add up the percents of each revision: it may occur twice, with a tag and without."""
    percents: Counter[str] = Counter()
    for each in traffic or ():
        if "revisionName" in each:
            percents[each["revisionName"]] += each.get("percent") or 0
    return percents


def traffic_writers(manifest: Manifest) -> tuple[str, ...]:
    """Return the field managers that own the traffic of a Service or a Route."""
    return tuple(
        each["manager"]
        for each in manifest["metadata"].get("managedFields") or ()
        if "f:traffic" in (each.get("fieldsV1") or {}).get("f:spec", {})
    )
