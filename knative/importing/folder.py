"""From the Deployment to the files of its folder."""

import re
from dataclasses import dataclass
from typing import Final

from knative.importing import readme, tensorflow_serving, torchserve
from knative.importing.compute import shares
from knative.importing.environment import environment
from knative.importing.files import Project, func_yaml, model_yaml, resources_of
from knative.importing.leftovers import leftovers
from knative.importing.server import CONTAINERS, Files, Reader
from knative.resources import ForeignDeployment
from knative.resources.errors import FieldFault, as_yaml
from knative.resources.pod import Container

_TAG: Final = re.compile(r"(:[\w][\w.-]*)?(@.+)?$")
_WASM: Final = (
    "a WebAssembly module needs a WASI-NN host, which a function is not; `scalezero apply` deploys it as it is"
)
_READERS: Final = (tensorflow_serving.READER, torchserve.READER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What is written."""

    name: str
    files: dict[str, str]  # by name: what is in them


def imported(deployment: ForeignDeployment, files: Files, project: Project) -> Folder:
    """Turn the Deployment into a function's folder; `files` are what ConfigMaps hold, by file name.

    Raises `FieldFault`, with the field under the Deployment, for one that no function can stand in for.
    """
    container, reader = _serving(deployment)
    found = reader.read(container, files, deployment.metadata.name)
    variables = environment(container)
    compute, of_compute = shares(container)
    left = (*found.left, *variables.left, *of_compute, *leftovers(deployment, container))
    resources = resources_of(deployment, found, registry=project.registry)
    head = f"From the Deployment {deployment.metadata.name} ({found.title}); README.md says what is left to do."
    return Folder(
        name=deployment.metadata.name,
        files={
            "model.yaml": model_yaml(resources, head),
            "func.yaml": f"# {head}\n" + func_yaml(deployment, found, variables, shares=compute, project=project),
            "README.md": readme.text(
                deployment,
                found,
                left=left,
                project=project,
                secret=variables.secret,
            ),
        },
    )


def _serving(deployment: ForeignDeployment) -> tuple[Container, Reader]:
    """Find the container that serves models, and who reads it."""
    pod = deployment.spec.template.spec
    for container in pod.containers:
        for reader in _READERS:
            if _is(reader, container):
                return container, reader
    allowed = "an image of TensorFlow Serving or TorchServe, such as tensorflow/serving or pytorch/torchserve"
    wasm = "wasm" in (pod.runtime_class_name or "") or any(each.image.endswith(".wasm") for each in pod.containers)
    value = as_yaml(pod.containers[0].image)
    raise FieldFault(*CONTAINERS, 0, "image", value=value, allowed=f"{allowed}: {_WASM}" if wasm else allowed)


def _is(reader: Reader, container: Container) -> bool:
    """Whether the container's image or its command is the server's."""
    words = " ".join((*container.command, *container.args))
    image = _TAG.sub("", container.image)
    return reader.image.search(image) is not None or re.search(rf"\b{reader.program}\b", words) is not None
