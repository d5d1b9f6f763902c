"""The conversion of a Deployment to the files of a function's folder."""

import re
from dataclasses import dataclass
from typing import Final

from knative.importing import readme, tensorflow_serving, torchserve
from knative.importing.compute import compute_resources
from knative.importing.environment import environment
from knative.importing.files import Project, func_yaml, model_yaml, resources_of
from knative.importing.omitted_fields import omitted_fields
from knative.importing.server import CONTAINERS, Files, Reader
from knative.resources import ForeignDeployment
from knative.resources.errors import FieldFault, as_yaml
from knative.resources.pod import Container
from runtime.settings import FUNCTION, MANIFEST

_TAG: Final = re.compile(r"(:[\w][\w.-]*)?(@.+)?$")
_WASM: Final = (
    "a WebAssembly module needs a WASI-NN host, and a function has none; `scalezero apply` deploys it unchanged"
)
_READERS: Final = (tensorflow_serving.READER, torchserve.READER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The folder of a function."""

    name: str
    files: dict[str, str]  # the text of each file, by name


def import_deployment(deployment: ForeignDeployment, files: Files, project: Project) -> Folder:
    """Convert the Deployment to a function's folder. `files` are the files of its ConfigMaps, by file name.

    Raises `FieldFault`, with the field in the Deployment, if no function can replace it.
    """
    container, reader = _serving(deployment)
    server = reader.read(container, files, deployment.metadata.name)
    variables = environment(container)
    compute, omitted_compute = compute_resources(container)
    omitted = (*server.omitted, *variables.omitted, *omitted_compute, *omitted_fields(deployment, container))
    resources = resources_of(deployment, server, registry=project.registry)
    head = f"Imported from the Deployment {deployment.metadata.name} ({server.title}). README.md lists the next steps."
    return Folder(
        name=deployment.metadata.name,
        files={
            MANIFEST: model_yaml(resources, head),
            FUNCTION: f"# {head}\n" + func_yaml(deployment, server, variables, compute=compute, project=project),
            "README.md": readme.text(deployment, server, omitted=omitted, project=project, secret=variables.secret),
        },
    )


def _serving(deployment: ForeignDeployment) -> tuple[Container, Reader]:
    """Return the container that serves models, and the reader for its server. Raises `FieldFault` if there is none."""
    pod = deployment.spec.template.spec
    for container in pod.containers:
        for reader in _READERS:
            if _matches(reader, container):
                return container, reader
    allowed = "an image of TensorFlow Serving or TorchServe, such as tensorflow/serving or pytorch/torchserve"
    wasm = "wasm" in (pod.runtime_class_name or "") or any(each.image.endswith(".wasm") for each in pod.containers)
    value = as_yaml(pod.containers[0].image)
    raise FieldFault(*CONTAINERS, 0, "image", value=value, allowed=f"{allowed}: {_WASM}" if wasm else allowed)


def _matches(reader: Reader, container: Container) -> bool:
    """Return whether the image or the command of the container is that of the server."""
    words = " ".join((*container.command, *container.args))
    image = _TAG.sub("", container.image)
    return reader.image.search(image) is not None or re.search(rf"\b{reader.program}\b", words) is not None
