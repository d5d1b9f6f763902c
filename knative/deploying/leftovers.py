"""What a delete leaves: the Secrets and ConfigMaps of the pods, and the models in S3. Pure, from the manifests.

scalezero did not create the first, and a published model may serve elsewhere. So each is named with its other users in
the namespace, and with the command that deletes it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from knative.manifests.environment import MODEL_URI, VERSION_ID
from knative.objects import Manifest

_SOURCES: Final = {"secretKeyRef": "secret", "configMapKeyRef": "configmap"}  # in env
_WHOLE: Final = {"secretRef": "secret", "configMapRef": "configmap"}  # in envFrom
_VOLUMES: Final = {"secret": ("secret", "secretName"), "configMap": ("configmap", "name")}


@dataclass(frozen=True, slots=True)
class Leftover:
    """One object that a delete leaves."""

    name: str  # secret/NAME, configmap/NAME or a URI
    users: tuple[str, ...]  # what else in the namespace uses it
    command: str  # deletes it

    def __str__(self) -> str:
        """Say what stays and how to delete it, for the output of a command."""
        if self.users:
            return f"{self.name}: kept, still used by {', '.join(self.users)}"
        return f"{self.name}: kept; to delete it: {self.command}"


def leftovers(deleted: Iterable[Manifest], others: Iterable[Manifest], *, namespace: str) -> tuple[Leftover, ...]:
    """List what the deleted revisions and Deployments use, with its users among the `others`."""
    used = {each["metadata"]["name"]: frozenset(_used(each)) for each in others}
    return tuple(
        Leftover(name, tuple(user for user, names in used.items() if name in names), _command(name, namespace))
        for name in dict.fromkeys(name for each in deleted for name in _used(each))
    )


def _used(manifest: Manifest) -> Iterator[str]:
    """Name the Secrets, ConfigMaps and models in S3 of a revision's or a Deployment's pods."""
    pod = manifest["spec"].get("template", manifest)["spec"]
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        for variable in container.get("env") or ():
            yield from _variable(variable)
        for source in container.get("envFrom") or ():
            yield from (f"{kind}/{source[key]['name']}" for key, kind in _WHOLE.items() if key in source)
    for volume in pod.get("volumes") or ():
        yield from (f"{kind}/{volume[key][name]}" for key, (kind, name) in _VOLUMES.items() if key in volume)


def _variable(variable: Mapping[str, object]) -> Iterator[str]:
    if variable["name"] == MODEL_URI and (value := str(variable.get("value", ""))).lower().startswith("s3:"):
        yield value.partition(VERSION_ID)[0].replace("$$", "$")  # as it was before the rendering
    source = variable.get("valueFrom")
    if isinstance(source, dict):
        yield from (f"{kind}/{source[key]['name']}" for key, kind in _SOURCES.items() if key in source)


def _command(name: str, namespace: str) -> str:
    if name.lower().startswith("s3:"):
        return f"aws s3 rm '{name}'"
    return f"kubectl delete {name} --namespace {namespace}"
