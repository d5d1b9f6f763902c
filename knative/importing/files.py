"""model.yaml and func.yaml of an imported function."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from knative.importing.environment import Environment
from knative.importing.server import Model, Server
from knative.manifests import capacity, names
from knative.manifests.names import REGISTRY_KEYS, REGISTRY_SECRET
from knative.manifests.options import DeploymentOptions
from knative.objects import SERVING
from knative.resources import (
    ABService,
    ForeignDeployment,
    InferenceConfig,
    ModelVersion,
    Resources,
    durations,
    render_resources,
)
from knative.resources.ab_service import TrafficSpec, TrafficTarget
from knative.resources.documents import dump_yaml
from knative.resources.durations import MAX_SECONDS
from knative.resources.fields import Metadata
from knative.resources.guest import Guest
from knative.resources.inference_config import InferenceConfigSpec
from knative.resources.model_version import ModelVersionSpec, Storage
from runtime.configuration.guest_folders import GuestFolder, render_folders
from runtime.errors import BadSetting
from runtime.settings import LIVE_PATH, READY_PATH

ComputeResources = dict[str, dict[str, Any]]


class Project(NamedTuple):
    """The values that the Deployment does not contain."""

    image: str  # of the runtime
    registry: str  # where models are published: s3://bucket, optionally with a prefix
    created: str  # the time, in the format of RFC 3339
    wasm: str | None = None  # where a WebAssembly guest is: a file or s3://bucket/key; None: not stated
    guest_image: str | None = None  # of the runtime with wasmtime; None: `image`


class _Batching(NamedTuple):
    """The settings of an InferenceConfig."""

    size: int  # rows
    wait: int  # us
    timeout: int  # us


_GROUP: Final = "ml.example.com/v1"
_DEFAULTS: Final = DeploymentOptions(image="any")
_SECOND: Final = 10**6  # us
_MAX_DURATION: Final = int(MAX_SECONDS) * _SECOND


def resources_of(deployment: ForeignDeployment, server: Server, *, registry: str) -> Resources:
    """Return a first version of each model, its batching, and, if necessary, a Route with the Deployment's name."""
    name, first = deployment.metadata.name, server.models[0]
    return Resources(
        model_versions=tuple(_version(each, server, registry) for each in server.models),
        inference_configs=tuple(_config(each, server) for each in server.models),
        ab_services=(_alias(name, first),) if is_aliased(deployment, server) else (),
    )


def is_aliased(deployment: ForeignDeployment, server: Server) -> bool:
    """Return whether the Deployment's name becomes a Route.

    It does if there is exactly one model, the model has another name, and Knative allows the Deployment's name.
    """
    name = deployment.metadata.name
    try:
        return [each.name for each in server.models] != [names.route(name)] and len(server.models) == 1
    except BadSetting:
        return False


def model_yaml(resources: Resources, head: str) -> str:
    """Return the text of model.yaml."""
    return f"# {head}\n{render_resources(resources)}"


def func_yaml(
    deployment: ForeignDeployment,
    server: Server,
    environment: Environment,
    *,
    compute: ComputeResources,
    project: Project,
) -> str:
    """Return the text of func.yaml. It repeats settings of model.yaml for `func deploy`, which reads only func.yaml."""
    pod, first = deployment.spec.template.spec, server.models[0]
    account = pod.service_account_name or pod.service_account
    namespace = deployment.metadata.namespace
    function: dict[str, Any] = {
        "specVersion": "0.36.0",
        "name": first.name,
        "runtime": "python",
        "created": project.created,
        "invoke": "http",
        "image": (project.guest_image if server.guest else None) or project.image,
        **({"namespace": namespace} if namespace else {}),
        "build": {"builder": "pack"},
        "run": {
            "envs": [{"name": name, "value": value} for name, value in _envs(first, server, environment, project)],
            "volumes": [{"emptyDir": {"sizeLimit": _DEFAULTS.cache_size}, "path": names.CACHE_PATH}, *server.volumes],
        },
        "deploy": {
            "healthEndpoints": {"liveness": LIVE_PATH, "readiness": READY_PATH},
            **({"serviceAccountName": account} if account else {}),
            "options": {"scale": _scale(deployment, _batching(first, server)), "resources": compute},
        },
    }
    return dump_yaml([function])


def _envs(model: Model, server: Server, environment: Environment, project: Project) -> Iterator[tuple[str, str]]:
    """Yield the variables of the Deployment, then the settings, then the registry's keys."""
    yield from environment.plain.items()
    batching = _batching(model, server)
    yield "SCALEZERO_MODEL_URI", uri(model, project.registry)
    yield "SCALEZERO_MODEL_NAME", model.name
    yield "SCALEZERO_MODEL_VERSION", server.version
    if server.protocol:
        yield "SCALEZERO_PROTOCOLS", server.protocol
    if server.guest:
        yield "SCALEZERO_GUEST_URI", server.guest
    if server.folders:
        declared = (GuestFolder(each.path, each.path, each.read_only) for each in server.folders)
        yield "SCALEZERO_GUEST_FOLDERS", render_folders(declared)
    yield "SCALEZERO_BATCH_SIZE", str(batching.size)
    yield "SCALEZERO_MAX_WAIT_TIME", durations.format_duration(batching.wait / _SECOND)
    yield "SCALEZERO_TIMEOUT", durations.format_duration(batching.timeout / _SECOND)
    yield "SCALEZERO_CACHE_DIR", names.CACHE_PATH
    for key in REGISTRY_KEYS:
        yield key, f"{{{{ secret:{environment.secret or REGISTRY_SECRET}:{key} }}}}"


def _scale(deployment: ForeignDeployment, batching: _Batching) -> dict[str, object]:
    return {
        "min": 0,
        "max": max(deployment.spec.replicas or 0, _DEFAULTS.max_scale),
        "metric": "concurrency",
        "target": capacity.BATCHES * batching.size,
        "utilization": capacity.UTILIZATION,
    }


def uri(model: Model, registry: str) -> str:
    """Return the URI that the first version of the model is published to."""
    return f"{registry.rstrip('/')}/{model.name}-v1.onnx"


def _version(model: Model, server: Server, registry: str) -> ModelVersion:
    storage = Storage(type="s3", path=uri(model, registry))
    return ModelVersion(
        api_version=_GROUP,
        kind="ModelVersion",
        metadata=Metadata(name=f"{model.name}-v1"),
        spec=ModelVersionSpec(model_name=model.name, version=server.version, format="onnx", storage=storage),
    )


def _config(model: Model, server: Server) -> InferenceConfig:
    batching = _batching(model, server)
    spec = InferenceConfigSpec(
        model_name=model.name,
        batch_size=batching.size,
        max_wait_time=durations.format_duration(batching.wait / _SECOND),
        timeout=durations.format_duration(batching.timeout / _SECOND),
        guest=_guest(server) if model == server.models[0] else None,
    )
    return InferenceConfig(
        api_version=_GROUP, kind="InferenceConfig", metadata=Metadata(name=f"{model.name}-config"), spec=spec
    )


def _guest(server: Server) -> Guest | None:
    return Guest(path=server.guest, folders=server.folders) if server.guest else None


def _alias(name: str, model: Model) -> ABService:
    """Return a Route with the Deployment's name, with all traffic to the first version of the model."""
    traffic = (TrafficTarget(revision_name=f"{model.name}-v1", percent=100),)
    return ABService(
        api_version=SERVING, kind="Service", metadata=Metadata(name=name), spec=TrafficSpec(traffic=traffic)
    )


def _batching(model: Model, server: Server) -> _Batching:
    """Return the batching of the server, or the runtime's defaults. The timeout is always longer than the wait.

    Both are limited to the maximum of an InferenceConfig: a longer duration was meant as no limit.
    """
    default = _DEFAULTS.runtime
    wait, timeout = round(default.max_wait * _SECOND), round(default.timeout * _SECOND)
    if model.max_wait is not None:
        wait = min(max(0, model.max_wait), _MAX_DURATION // 10)
    if server.timeout is not None:
        timeout = min(server.timeout * 1000, _MAX_DURATION)
    return _Batching(model.batch_size or default.batch_size, wait, timeout if timeout > wait else 10 * max(wait, 1000))
