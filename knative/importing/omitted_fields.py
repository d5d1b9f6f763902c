"""The fields of a pod that a function does not have, with what replaces each of them."""

from collections.abc import Iterator, Mapping
from typing import Final

from knative.importing.server import Omission
from knative.resources import ForeignDeployment
from knative.resources.pod import Container, PodSpec

_NO_FIELD: Final = "disabled in Knative by default, and func.yaml has no field for it"
_SECURITY: Final = "pods of the runtime do not run as root, and their file system is read-only"
_VOLUMES: Final = "the runtime pulls the model from the registry into its cache volume"

_OF_THE_CONTAINER: Final[Mapping[str, str]] = {
    "lifecycle": "the runtime finishes open requests before it stops",
    "liveness_probe": "the probe is GET /healthz/live of the runtime",
    "readiness_probe": "the probe is GET /healthz/ready of the runtime",
    "startup_probe": "a revision may pull its model for minutes before it fails",
    "security_context": _SECURITY,
    "volume_mounts": _VOLUMES,
    "volume_devices": _VOLUMES,
    "working_dir": "it is a path in the old image",
}
_OF_THE_POD: Final[Mapping[str, str]] = {
    "affinity": _NO_FIELD,
    "host_aliases": "func.yaml has no field for it",
    "host_network": "Knative does not support it",
    "image_pull_secrets": "add them to the ServiceAccount",
    "init_containers": "disabled in Knative by default; the runtime pulls the model itself",
    "node_selector": _NO_FIELD,
    "priority_class_name": _NO_FIELD,
    "runtime_class_name": _NO_FIELD,
    "security_context": _SECURITY,
    "tolerations": _NO_FIELD,
    "topology_spread_constraints": _NO_FIELD,
    "volumes": _VOLUMES,
}


def omitted_fields(
    deployment: ForeignDeployment, container: Container, *, reported: frozenset[str] = frozenset()
) -> Iterator[Omission]:
    """Yield the omitted fields of the serving container and of the pod, the other containers, and the strategy.

    `reported` are the fields that the reader of the server reports itself.
    """
    pod = deployment.spec.template.spec
    for owner, part, reasons in (("container's", container, _OF_THE_CONTAINER), ("pod's", pod, _OF_THE_POD)):
        yield from _fields(owner, part, {name: why for name, why in reasons.items() if name not in reported})
    for each in pod.containers:
        if each is not container:
            why = "a pod of the runtime has one container, in addition to Knative's queue-proxy"
            yield Omission(f"container {each.name}", why)
    if deployment.spec.strategy is not None:
        yield Omission("the strategy", "a new version is a new revision, and `scalezero rollout` shifts the traffic")


def _fields(owner: str, part: Container | PodSpec, reasons: Mapping[str, str]) -> Iterator[Omission]:
    for name, why in reasons.items():
        if getattr(part, name):
            yield Omission(f"the {owner} {_camel(name)}", why)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
