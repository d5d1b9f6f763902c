"""The objects that a delete keeps: the Secrets and ConfigMaps of the pods, and the models and guests in S3. Pure.

scalezero did not create the Secrets and ConfigMaps, and other pods may serve a published model. So each is reported
with its other users in the namespace, and with the command that deletes it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from knative.deploying.companions import companions_in
from knative.manifests.environment import COMPANIONS, GUEST_CODE, GUEST_URI, MODEL_URI, VERSION_ID, variable_in
from knative.manifests.variants import objects_of, pinned_of
from knative.objects import Manifest, ref_of
from runtime.configuration.companions import parse_companions
from runtime.configuration.guest_code import parse_code

_SOURCES: Final = {"secretKeyRef": "secret", "configMapKeyRef": "configmap"}  # in env
_WHOLE: Final = {"secretRef": "secret", "configMapRef": "configmap"}  # in envFrom
_VOLUMES: Final = {"secret": ("secret", "secretName"), "configMap": ("configmap", "name")}

_S3_STRING: Final = re.compile(r'"([sS]3://[^"]+)"')  # in JSON

# The variables of TorchServe's and TensorFlow Serving's containers, which name folders of models.
_STORE: Final = "MODEL_STORE"
_BASE_PATH, _BASE_NAME, _DEFAULT_NAME = "MODEL_BASE_PATH", "MODEL_NAME", "model"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One object that a delete keeps."""

    name: str  # secret/NAME, configmap/NAME, broker/NAME or a URI
    users: tuple[str, ...]  # other users in the namespace
    command: str  # deletes it

    def __str__(self) -> str:
        """Format the object with its other users, or with the command that deletes it."""
        if self.users:
            return f"{self.name}: kept, still used by {', '.join(self.users)}"
        return f"{self.name}: kept; to delete it: {self.command}"


def leftovers(deleted: Iterable[Manifest], others: Iterable[Manifest], *, namespace: str) -> tuple[Leftover, ...]:
    """List the objects that the deleted revisions and Deployments use, with their users among the `others`."""
    used = {each["metadata"]["name"]: frozenset(_used(each)) for each in others}
    return tuple(
        Leftover(name, tuple(user for user, names in used.items() if name in names), _command(name, namespace))
        for name in dict.fromkeys(name for each in deleted for name in _used(each))
    )


def users_of(name: str, pods: Iterable[Manifest]) -> tuple[str, ...]:
    """Name the revisions and Deployments among the `pods` that use an object: secret/NAME, configmap/NAME or a URI.

    A revision uses each object of its pinned variants. A pod that serves a folder of models uses every object in it:
    which versions it has read is unknown.
    """
    name = _plain(name) if name.lower().startswith("s3:") else name
    return tuple(
        str(ref_of(each))
        for each in pods
        if name in _used(each) or name in _pinned(each) or name.startswith((*_folders(each),))
    )


def _pinned(manifest: Manifest) -> Iterator[str]:
    """Name the objects of the variants and the compiled code that a revision pins.

    They belong to its model and its guest, so a delete names only these.
    """
    if "template" in manifest["spec"]:
        return  # a Deployment of another server
    yield from map(_plain, _of_code(variable_in(manifest, GUEST_CODE) or ""))
    for found in (pinned_of(manifest), *(each.variants for each in companions_in(manifest))):
        yield from objects_of(found) if found else ()


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


def _folders(manifest: Manifest) -> Iterator[str]:
    """Yield the folders in S3 whose models the pods serve, with a slash: a model store, or that of MODEL_BASE_PATH."""
    for container in manifest["spec"].get("template", manifest)["spec"].get("containers") or ():
        variables = {each["name"]: each.get("value") for each in container.get("env") or ()}
        name = variables.get(_BASE_NAME, _DEFAULT_NAME)  # None: from a Secret or ConfigMap
        for place, inner in ((variables.get(_STORE), ""), (variables.get(_BASE_PATH), f"{name}/" if name else "")):
            if place and place.lower().startswith("s3:"):
                yield f"{_plain(place.replace('$$', '$')).rstrip('/')}/{inner}"


def _plain(uri: str) -> str:
    """Return the URI of an object as manifests of the registry have it: `s3://` and no version."""
    scheme, separator, rest = uri.partition("://")
    return f"{scheme.lower()}{separator}{rest.partition(VERSION_ID)[0]}"


def _variable(variable: Mapping[str, object]) -> Iterator[str]:
    value = str(variable.get("value", "")).replace("$$", "$")
    if variable["name"] in {MODEL_URI, GUEST_URI} and value.lower().startswith("s3:"):
        yield _plain(value)  # the declared URI
    if variable["name"] == COMPANIONS:
        yield from (_plain(each) for each in _of_companions(value) if each.lower().startswith("s3:"))
    source = variable.get("valueFrom")
    if isinstance(source, dict):
        yield from (f"{kind}/{source[key]['name']}" for key, kind in _SOURCES.items() if key in source)


def _of_companions(text: str) -> list[str]:
    try:
        return [each.uri for each in parse_companions(text)]
    except ValueError:  # of another version of scalezero: whatever it names must not be deleted
        return _S3_STRING.findall(text)


def _of_code(text: str) -> list[str]:
    try:
        return [each.uri for each in parse_code(text)] if text else []
    except ValueError:  # as above
        return _S3_STRING.findall(text)


def _command(name: str, namespace: str) -> str:
    if name.lower().startswith("s3:"):
        return f"scalezero models delete '{name}'"  # with its manifest and its external data
    return f"kubectl delete {name} --namespace {namespace}"
