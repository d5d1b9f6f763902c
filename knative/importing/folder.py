"""The conversion of a Deployment to the files of a function's folder."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from knative.importing import readme, tensorflow_serving, torchserve, wasm
from knative.importing.compute import compute_resources
from knative.importing.environment import Environment, environment
from knative.importing.files import Project, func_yaml, model_yaml, resources_of
from knative.importing.omitted_fields import omitted_fields
from knative.importing.server import CONTAINERS, Files, Reader, Server
from knative.resources import ForeignDeployment
from knative.resources.errors import FieldFault, as_yaml
from knative.resources.pod import Container
from runtime.settings import FUNCTION, MANIFEST

_TAG: Final = re.compile(r"(:[\w][\w.-]*)?(@.+)?$")
_REPORTED_FOR_GUESTS: Final = frozenset({"runtime_class_name", "volume_mounts", "volumes"})
_READERS: Final = (tensorflow_serving.READER, torchserve.READER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The folder of a function."""

    name: str
    files: dict[str, str]  # the text of each file, by name
    guest: str | None = None  # the WebAssembly file to copy as main.wasm; None: there is none


def import_deployment(deployment: ForeignDeployment, files: Files, project: Project) -> Folder:
    """Convert the Deployment to a function's folder. `files` are the files of its ConfigMaps, by file name.

    Raises `FieldFault`, with the field in the Deployment, if no function can replace it.
    """
    container, server, variables, guest = _serving(deployment, files, project)
    compute, omitted_compute = compute_resources(container)
    reported = _REPORTED_FOR_GUESTS if guest else frozenset()
    fields = omitted_fields(deployment, container, reported=reported)
    omitted = (*server.omitted, *variables.omitted, *omitted_compute, *fields)
    resources = resources_of(deployment, server, registry=project.registry)
    head = f"Imported from the Deployment {deployment.metadata.name} ({server.title}). README.md lists the next steps."
    return Folder(
        name=deployment.metadata.name,
        guest=guest.file if guest else None,
        files={
            MANIFEST: model_yaml(resources, head),
            FUNCTION: f"# {head}\n" + func_yaml(deployment, server, variables, compute=compute, project=project),
            "README.md": readme.text(deployment, server, omitted=omitted, project=project, secret=variables.secret),
        },
    )


class _Serving(NamedTuple):
    """The container that serves models, and what is read from it."""

    container: Container
    server: Server
    variables: Environment
    guest: wasm.Guest | None = None


def _serving(deployment: ForeignDeployment, files: Files, project: Project) -> _Serving:
    """Read the container that serves models. Raises `FieldFault` if there is none."""
    pod = deployment.spec.template.spec
    for container in pod.containers:
        for reader in _READERS:
            if _matches(reader, container):
                server = reader.read(container, files, deployment.metadata.name)
                return _Serving(container, server, environment(container))
    if (found := wasm.guest_container(deployment)) is not None:
        guest = wasm.guest_of(found, deployment, wasm=project.wasm, registry=project.registry)
        return _Serving(found, wasm.read(found, deployment, guest), wasm.variables_of(found), guest)
    allowed = "an image of TensorFlow Serving or TorchServe, such as tensorflow/serving or pytorch/torchserve"
    raise FieldFault(*CONTAINERS, 0, "image", value=as_yaml(pod.containers[0].image), allowed=allowed)


def _matches(reader: Reader, container: Container) -> bool:
    """Return whether the image or the command of the container is that of the server."""
    words = " ".join((*container.command, *container.args))
    image = _TAG.sub("", container.image)
    return reader.image.search(image) is not None or re.search(rf"\b{reader.program}\b", words) is not None
