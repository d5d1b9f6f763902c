"""The folder of a function, from what a foreign server's manifest said: model.yaml and func.yaml."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from knative.importing.environment import KEYS, Environment
from knative.importing.server import Model, Server
from knative.manifests import capacity, names
from knative.manifests.names import REGISTRY_SECRET
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
from knative.resources.documents import text_of
from knative.resources.durations import LONGEST
from knative.resources.fields import Metadata
from knative.resources.inference_config import InferenceConfigSpec
from knative.resources.model_version import ModelVersionSpec, Storage
from runtime.errors import BadSetting
from runtime.settings import LIVE_PATH, READY_PATH

Shares = dict[str, dict[str, Any]]


class Project(NamedTuple):
    """What the Deployment cannot say."""

    image: str  # of the runtime
    registry: str  # where models are published: s3://bucket, perhaps with a prefix
    created: str  # when, as RFC 3339 has it


class _Batching(NamedTuple):
    """Rows, and the two waits in microseconds."""

    size: int
    wait: int
    timeout: int


_GROUP: Final = "ml.example.com/v1"
_USUAL: Final = DeploymentOptions(image="any")
_SECOND: Final = 10**6  # us
_LONGEST: Final = int(LONGEST) * _SECOND


def resources_of(deployment: ForeignDeployment, server: Server, *, registry: str) -> Resources:
    """Declare a first version of each model, its batching, and the Deployment's own name as a Route to the model."""
    name, first = deployment.metadata.name, server.models[0]
    return Resources(
        model_versions=tuple(_version(each, server, registry) for each in server.models),
        inference_configs=tuple(_config(each, server) for each in server.models),
        ab_services=(_alias(name, first),) if is_aliased(deployment, server) else (),
    )


def is_aliased(deployment: ForeignDeployment, server: Server) -> bool:
    """Whether the Deployment's name becomes a Route: it is not the one model's, and Knative takes it."""
    name = deployment.metadata.name
    try:
        return [each.name for each in server.models] != [names.route(name)] and len(server.models) == 1
    except BadSetting:
        return False


def model_yaml(resources: Resources, head: str) -> str:
    """Write model.yaml."""
    return f"# {head}\n{render_resources(resources)}"


def func_yaml(
    deployment: ForeignDeployment, server: Server, environment: Environment, *, shares: Shares, project: Project
) -> str:
    """Write func.yaml. What its settings say, model.yaml says too: they are for `func deploy`, which reads no other."""
    pod, first = deployment.spec.template.spec, server.models[0]
    account = pod.service_account_name or pod.service_account
    namespace = deployment.metadata.namespace
    written: dict[str, Any] = {
        "specVersion": "0.36.0",
        "name": first.name,
        "runtime": "python",
        "created": project.created,
        "invoke": "http",
        "image": project.image,
        **({"namespace": namespace} if namespace else {}),
        "build": {"builder": "pack"},
        "run": {
            "envs": [{"name": name, "value": value} for name, value in _envs(first, server, environment, project)],
            "volumes": [{"emptyDir": {"sizeLimit": _USUAL.cache_size}, "path": names.CACHE_PATH}],
        },
        "deploy": {
            "healthEndpoints": {"liveness": LIVE_PATH, "readiness": READY_PATH},
            **({"serviceAccountName": account} if account else {}),
            "options": {"scale": _scale(deployment, _batching(first, server)), "resources": shares},
        },
    }
    return text_of([written])


def _envs(model: Model, server: Server, environment: Environment, project: Project) -> Iterator[tuple[str, str]]:
    """Yield the Deployment's own variables, then the settings, then the registry's keys."""
    yield from environment.plain.items()
    batching = _batching(model, server)
    yield "SCALEZERO_MODEL_URI", uri(model, project.registry)
    yield "SCALEZERO_MODEL_NAME", model.name
    yield "SCALEZERO_MODEL_VERSION", server.version
    yield "SCALEZERO_PROTOCOLS", server.protocol
    yield "SCALEZERO_BATCH_SIZE", str(batching.size)
    yield "SCALEZERO_MAX_WAIT_TIME", durations.written(batching.wait / _SECOND)
    yield "SCALEZERO_TIMEOUT", durations.written(batching.timeout / _SECOND)
    yield "SCALEZERO_CACHE_DIR", names.CACHE_PATH
    for key in KEYS:
        yield key, f"{{{{ secret:{environment.secret or REGISTRY_SECRET}:{key} }}}}"


def _scale(deployment: ForeignDeployment, batching: _Batching) -> dict[str, object]:
    return {
        "min": 0,
        "max": max(deployment.spec.replicas or 0, _USUAL.max_scale),
        "metric": "concurrency",
        "target": capacity.BATCHES * batching.size,
        "utilization": capacity.UTILIZATION,
    }


def uri(model: Model, registry: str) -> str:
    """Say where the first version of the model is published."""
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
        max_wait_time=durations.written(batching.wait / _SECOND),
        timeout=durations.written(batching.timeout / _SECOND),
    )
    return InferenceConfig(
        api_version=_GROUP, kind="InferenceConfig", metadata=Metadata(name=f"{model.name}-config"), spec=spec
    )


def _alias(name: str, model: Model) -> ABService:
    """Keep the Deployment's name as one that answers: all of its traffic goes to the model's first version."""
    everything = (TrafficTarget(revision_name=f"{model.name}-v1", percent=100),)
    return ABService(
        api_version=SERVING, kind="Service", metadata=Metadata(name=name), spec=TrafficSpec(traffic=everything)
    )


def _batching(model: Model, server: Server) -> _Batching:
    """Take what the server said, or else the runtime's own; a request waits longer than a batch fills.

    Neither is longer than an InferenceConfig takes: whoever wrote such a number meant that nothing ends by it.
    """
    usual = _USUAL.runtime
    wait = round(usual.max_wait * _SECOND) if model.max_wait is None else min(max(0, model.max_wait), _LONGEST // 10)
    timeout = round(usual.timeout * _SECOND) if server.timeout is None else min(server.timeout * 1000, _LONGEST)
    return _Batching(model.batch_size or usual.batch_size, wait, timeout if timeout > wait else 10 * max(wait, 1000))
