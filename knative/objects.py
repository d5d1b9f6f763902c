"""What a cluster holds, as far as we touch it: manifests as plain data, and how one object is named."""

from typing import Any, Final, NamedTuple

Manifest = dict[str, Any]  # as JSON has it


class Ref(NamedTuple):
    """One object of the namespace that is worked on."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Write it as kubectl does: service/payment-model."""
        return f"{self.kind.lower()}/{self.name}"


class Api(NamedTuple):
    """Where the API server keeps a kind."""

    version: str  # group and version, as apiVersion has them
    plural: str


SERVING: Final = "serving.knative.dev/v1"
# Knative's labels: of a revision, whose it is and whether routes lead to it; of a pod, whose it is too.
SERVICE_LABEL: Final = "serving.knative.dev/service"
ROUTING_LABEL: Final = "serving.knative.dev/routingState"  # "reserve": no route leads to it
REVISION_LABEL: Final = "serving.knative.dev/revision"
REVISION_UID_LABEL: Final = "serving.knative.dev/revisionUID"

APIS: Final = {
    "Deployment": Api("apps/v1", "deployments"),
    "Pod": Api("v1", "pods"),
    "Revision": Api(SERVING, "revisions"),
    "Role": Api("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Api("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Route": Api(SERVING, "routes"),
    "Secret": Api("v1", "secrets"),
    "Service": Api(SERVING, "services"),  # Knative's: of the other one we never write any
    "ServiceAccount": Api("v1", "serviceaccounts"),
}


def ref_of(manifest: Manifest) -> Ref:
    """Name the object that a manifest is of."""
    return Ref(manifest["kind"], manifest["metadata"]["name"])


def traffic_writers(manifest: Manifest) -> tuple[str, ...]:
    """Name the field managers that hold the traffic of a Service or a Route."""
    return tuple(
        each["manager"]
        for each in manifest["metadata"].get("managedFields") or ()
        if "f:traffic" in (each.get("fieldsV1") or {}).get("f:spec", {})
    )
