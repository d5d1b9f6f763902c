"""The reader for containers whose image is a WebAssembly module, as WasmEdge runs them.

Sources: WasmEdge, docs/develop/deploy/kubernetes (the RuntimeClass of a Deployment) and the WASI-NN plugin
(WASMEDGE_WASINN_PRELOAD=NAME:ENCODING:TARGET:FILE, which names a model for load_by_name).
"""

from pathlib import PurePosixPath
from typing import Final, NamedTuple

from knative.importing.environment import Environment, environment
from knative.importing.mounts import mounts_of
from knative.importing.server import CONTAINERS, Model, Omission, Server, model, with_unique_names
from knative.resources import ForeignDeployment
from knative.resources.errors import FieldFault, as_yaml
from knative.resources.pod import Container
from runtime.settings import GUEST

SUFFIX: Final = ".wasm"
PRELOAD: Final = "WASMEDGE_WASINN_PRELOAD"
_S3: Final = "s3://"
_PRELOADED: Final = 4  # parts of an entry: name, encoding, target, file
_RUNTIME_CLASS: Final = "the pod's runtimeClassName"
_CHANGES: Final = (
    (
        "The guest is run once for each request, in the form of CGI: variables and stdin have the request, stdout the "
        "response, with its head (docs/wasm.md of scalezero). A guest that opens a socket and answers requests "
        "itself does not run: the host opens no sockets. network: true in guest of the InferenceConfig lets a "
        "component send HTTP requests."
    ),
    (
        "The guest sees only the folders of its InferenceConfig, and not the file system of the container: files of "
        "the old image do not carry over. It loads the model by its name, and not from bytes that it reads from a "
        "folder."
    ),
    "The predict API and the other protocols serve the model at the same URL, beside the guest.",
)


class Guest(NamedTuple):
    """Where the guest of an imported function is."""

    uri: str  # in the registry
    file: str | None  # to copy into the folder; None: it is published already


def guest_container(deployment: ForeignDeployment) -> Container | None:
    """Return the container whose image is a WebAssembly module, or the first one of a pod with such a RuntimeClass."""
    pod = deployment.spec.template.spec
    found = next((each for each in pod.containers if each.image.endswith(SUFFIX)), None)
    return found or (pod.containers[0] if "wasm" in (pod.runtime_class_name or "") else None)


def guest_of(container: Container, deployment: ForeignDeployment, *, wasm: str | None, registry: str) -> Guest:
    """Return where the guest is: `wasm` is a file or `s3://bucket/key`.

    Raises `FieldFault` without it: the image of the container is a name, which no registry of images resolves.
    """
    if wasm is None:
        allowed = f"a place to take the module from, which this name is not: --wasm FILE or --wasm {_S3}bucket/key"
        raise FieldFault(
            *CONTAINERS, _index(container, deployment), "image", value=as_yaml(container.image), allowed=allowed
        )
    if wasm.startswith(_S3):
        return Guest(wasm, None)
    name = container.image.rpartition("/")[2].partition("@")[0]
    name = name if name.endswith(SUFFIX) else GUEST
    return Guest(f"{registry.rstrip('/')}/{deployment.metadata.name}/guest/1.0.0/{name}", wasm)


def read(container: Container, deployment: ForeignDeployment, guest: Guest) -> Server:
    """Read the container. Raises `FieldFault` for names of models that cannot be converted."""
    value = next((each.value for each in container.env if each.name == PRELOAD and each.value), "")
    models = _models(value) or (model(deployment.metadata.name, origin=container.image),)
    mounts = mounts_of(container, deployment)
    return Server(
        title="WasmEdge",
        models=models,
        urls=(),
        conversions=tuple(_conversion(each) for each in models),
        omitted=(*_omitted(container, deployment), *mounts.omitted),
        protocol="",
        version="1.0.0",
        ports="",
        changes=_CHANGES,
        example="",
        guest=guest.uri,
        volumes=tuple(each.volume for each in mounts.carried),
        folders=tuple(each.folder for each in mounts.carried),
    )


def variables_of(container: Container) -> Environment:
    """Return the variables of func.yaml: none, because a guest gets only those of its request, and the omitted ones."""
    found = environment(container)
    why = "a guest gets only the variables of its request"
    dropped = [Omission(f"env {name}", why) for name in found.plain if name != PRELOAD]
    return Environment({}, found.secret, (*found.omitted, *dropped))


def _index(container: Container, deployment: ForeignDeployment) -> int:
    return deployment.spec.template.spec.containers.index(container)


def _models(preloaded: str) -> tuple[Model, ...]:
    entries = (each.split(":", _PRELOADED - 1) for each in preloaded.split(",") if each)
    found = [(entry[0], entry[-1]) for entry in entries if len(entry) == _PRELOADED and entry[0]]
    return with_unique_names([model(name, origin=file) for name, file in found])


def _conversion(each: Model) -> tuple[str, ...]:
    source = PurePosixPath(each.origin)
    if source.suffix == SUFFIX:
        return (f"# The manifest names no model. {each.name}-v1.onnx is the model that the guest loads by name.",)
    return (f"# {source} is the model in the old pod; write it as {each.name}-v1.onnx.",)


def _omitted(container: Container, deployment: ForeignDeployment) -> list[Omission]:
    pod = deployment.spec.template.spec
    omitted = []
    if container.command or container.args:
        why = "the arguments of a guest are its name and the parameters of the query"
        omitted.append(Omission("the container's command and args", why))
    if pod.runtime_class_name:
        why = "the runtime runs the guest itself, so the nodes need no runtime for WebAssembly"
        omitted.append(Omission(f"{_RUNTIME_CLASS}: {pod.runtime_class_name}", why))
    return omitted
