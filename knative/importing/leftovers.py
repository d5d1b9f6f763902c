"""What of a foreign pod a function does not have, by the field, and what stands in for it."""

from collections.abc import Iterator, Mapping
from typing import Final

from knative.importing.server import Left
from knative.resources import ForeignDeployment
from knative.resources.pod import Container, PodSpec

_OF_THE_CONTAINER: Final[Mapping[str, str]] = {
    "lifecycle": "the runtime ends in order by itself: it finishes what is in flight",
    "liveness_probe": "the runtime brings its own, GET /healthz/live",
    "readiness_probe": "the runtime brings its own, GET /healthz/ready",
    "startup_probe": "a revision may pull its model for minutes before it counts as failed",
    "security_context": "pods of the runtime run as no root, on a file system that is read-only",
    "volume_mounts": "a model comes from the registry into the pod's cache; nothing is mounted",
    "volume_devices": "a model comes from the registry into the pod's cache; nothing is mounted",
    "working_dir": "it belongs to the old image",
}
_OF_THE_POD: Final[Mapping[str, str]] = {
    "affinity": "off in Knative by default; func.yaml has no field for it",
    "host_aliases": "func.yaml has no field for it",
    "host_network": "Knative takes none",
    "image_pull_secrets": "give them to the ServiceAccount",
    "init_containers": "off in Knative by default; the model is pulled by the runtime itself",
    "node_selector": "off in Knative by default; func.yaml has no field for it",
    "priority_class_name": "off in Knative by default; func.yaml has no field for it",
    "runtime_class_name": "off in Knative by default; func.yaml has no field for it",
    "security_context": "pods of the runtime run as no root, on a file system that is read-only",
    "tolerations": "off in Knative by default; func.yaml has no field for it",
    "topology_spread_constraints": "off in Knative by default; func.yaml has no field for it",
    "volumes": "a model comes from the registry into the pod's cache; nothing is mounted",
}


def leftovers(deployment: ForeignDeployment, container: Container) -> Iterator[Left]:
    """Yield what is left of the pod beside its serving container, and of that."""
    pod = deployment.spec.template.spec
    yield from _fields("container's", container, _OF_THE_CONTAINER)
    yield from _fields("pod's", pod, _OF_THE_POD)
    for each in pod.containers:
        if each is not container:
            yield Left(f"container {each.name}", "a pod of the runtime has one container, beside Knative's queue-proxy")
    if deployment.spec.strategy is not None:
        yield Left("the strategy", "a new version is a new revision, and `scalezero rollout` shifts the traffic")


def _fields(whose: str, part: Container | PodSpec, reasons: Mapping[str, str]) -> Iterator[Left]:
    for name, why in reasons.items():
        if getattr(part, name):
            yield Left(f"the {whose} {_camel(name)}", why)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
