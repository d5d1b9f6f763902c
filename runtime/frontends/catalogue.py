"""The descriptions of all protocols, without importing the protocols. Pure.

`frontends.mounting` creates the routes from the descriptions. A protocol's module is imported by the first request that
needs it, so it does not slow down a cold start.
"""

from collections.abc import Sequence
from typing import Final

from runtime.errors import BadSetting
from runtime.frontends.protocol import Grpc, Path, Protocol, Rest, below
from runtime.settings import Settings

HEALTH: Final = Grpc("runtime.frontends.grpc.health", "grpc.health.v1.Health", ("Check", "List"), ("Watch",))
REFLECTION: Final = tuple(
    Grpc(
        "runtime.frontends.grpc.reflection",
        f"grpc.reflection.{version}.ServerReflection",
        (),
        ("ServerReflectionInfo",),
    )
    for version in ("v1", "v1alpha")
)
COMMON: Final = (HEALTH, *REFLECTION)  # the gRPC services that are always mounted

ML_V1: Final = Protocol(
    "ml.v1",
    grpc=(Grpc("runtime.frontends.grpc.ml_v1", "ml.v1.InferenceService", ("Predict", "BatchPredict")),),
)

OPEN_INFERENCE: Final = Protocol(
    "open_inference",
    Rest(
        "runtime.frontends.open_inference",
        prefixes=("/v2",),
        paths=(
            Path("GET", "/v2", "server"),
            Path("GET", "/v2/health/live", "live"),
            Path("GET", "/v2/health/ready", "ready"),
            *below(
                ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"),
                Path("GET", "", "model"),
                Path("GET", "/config", "model_config"),
                Path("GET", "/ready", "model_ready"),
                Path("GET", "/stats", "model_statistics"),
                Path("POST", "/infer", "infer"),
            ),
            Path("POST", "/v2/repository/index", "index"),
            Path("POST", "/v2/repository/models/{model}/load", "no_loading"),
            Path("POST", "/v2/repository/models/{model}/unload", "no_loading"),
            *below(
                ("/v2/systemsharedmemory", "/v2/cudasharedmemory"),
                Path("GET", "/status", "no_shared_memory"),
                Path("POST", "/unregister", "no_shared_memory"),
                Path("GET", "/region/{region}/status", "no_shared_memory"),
                Path("POST", "/region/{region}/register", "no_shared_memory"),
                Path("POST", "/region/{region}/unregister", "no_shared_memory"),
            ),
            *below(
                ("/v2/logging", "/v2/trace/setting", "/v2/models/{model}/trace/setting"),
                Path("GET", "", "no_settings"),
                Path("POST", "", "no_settings"),
            ),
        ),
        refuse="runtime.protocols.open_inference:refuse",
    ),
    (
        Grpc(
            "runtime.frontends.grpc.open_inference",
            "inference.GRPCInferenceService",
            (
                "ServerLive",
                "ServerReady",
                "ServerMetadata",
                "ModelReady",
                "ModelMetadata",
                "ModelConfig",
                "ModelStatistics",
                "ModelInfer",
                "RepositoryIndex",
                "RepositoryModelLoad",
                "RepositoryModelUnload",
                "SystemSharedMemoryStatus",
                "SystemSharedMemoryRegister",
                "SystemSharedMemoryUnregister",
                "CudaSharedMemoryStatus",
                "CudaSharedMemoryRegister",
                "CudaSharedMemoryUnregister",
                "TraceSetting",
                "LogSettings",
            ),
            ("ModelStreamInfer",),
        ),
    ),
)

_VERSIONS: Final = (
    "/v1/models/{model}",
    "/v1/models/{model}/versions/{version}",
    "/v1/models/{model}/labels/{label}",
)
# `models` and `explain` are routes of KServe V1. TensorFlow Serving declares them too, because two protocols cannot
# share the paths of one model. The handlers answer them only if KServe V1 is served as well.
TENSORFLOW_SERVING: Final = Protocol(
    "tensorflow_serving",
    Rest(
        "runtime.frontends.tensorflow_serving",
        prefixes=("/v1/models",),
        paths=(
            Path("GET", "/v1/models", "models"),
            *below(
                _VERSIONS,
                Path("GET", "", "status"),
                Path("OPTIONS", "", "preflight"),
                Path("GET", "/metadata", "metadata"),
                *(
                    Path(*path)
                    for verb in ("predict", "classify", "regress")
                    for path in (("POST", f":{verb}", verb), ("OPTIONS", f":{verb}", "preflight"))
                ),
            ),
            Path("POST", "/v1/models/{model}:explain", "explain"),
        ),
        refuse="runtime.protocols.tensorflow_serving.refusals:refuse",
        generic_prefixes=("/v1",),
        ignore_case=True,
    ),
    grpc=(
        Grpc(
            "runtime.frontends.grpc.tensorflow_serving",
            "tensorflow.serving.PredictionService",
            ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata"),
            refuse="runtime.protocols.tensorflow_serving.grpc_refusals:refuse",
        ),
        Grpc(
            "runtime.frontends.grpc.tensorflow_serving",
            "tensorflow.serving.ModelService",
            ("GetModelStatus", "HandleReloadConfigRequest"),
            refuse="runtime.protocols.tensorflow_serving.grpc_refusals:refuse_status",
        ),
    ),
)

KSERVE_V1: Final = Protocol(
    "kserve_v1",
    Rest(
        "runtime.frontends.kserve_v1",
        prefixes=("/v1/models",),
        paths=(
            Path("GET", "/v1/models", "models"),
            Path("GET", "/v1/models/{model}", "model"),
            Path("POST", "/v1/models/{model}:predict", "predict"),
            Path("POST", "/v1/models/{model}:explain", "explain"),
        ),
        refuse="runtime.protocols.kserve_v1:refuse",
        generic=(Path("GET", "/", "alive"),),
    ),
    yields_to=("tensorflow_serving",),
)

_PREDICTIONS: Final = (
    "/predictions/{model}",
    "/predictions/{model}/{version}",
    "/predictions/{model}/{version}/{rest...}",
)

TORCHSERVE: Final = Protocol(
    "torchserve",
    Rest(
        "runtime.frontends.torchserve.inference",
        prefixes=("/predictions", "/explanations"),
        paths=(
            *below(_PREDICTIONS, Path("OPTIONS", "", "describe"), Path("*", "", "predict")),
            Path("*", "/explanations/{model}", "explain"),
            Path("*", "/explanations/{model}/{version}", "explain"),
        ),
        generic=(
            Path("OPTIONS", "/", "describe"),
            Path("*", "/ping", "ping"),
            Path("*", "/invocations", "invoke"),
            Path("*", "/models/{model}/invoke", "predict"),
            Path("*", "/{model}/predict", "predict"),
            Path("*", "/{model}/{version}/predict", "predict"),
        ),
        refuse="runtime.protocols.torchserve.faults:refuse",
        owns_port=True,
    ),
    grpc=(
        Grpc(
            "runtime.frontends.grpc.torchserve",
            "org.pytorch.serve.grpc.inference.InferenceAPIsService",
            ("Ping", "Predictions"),
            ("StreamPredictions", "StreamPredictions2"),
            refuse="runtime.protocols.torchserve.faults:refuse_call",
        ),
        Grpc(  # the Open Inference Protocol under the name of TorchServe's own package
            "runtime.frontends.grpc.open_inference",
            "org.pytorch.serve.grpc.openinference.GRPCInferenceService",
            ("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelInfer"),
        ),
    ),
)

TORCHSERVE_MANAGEMENT: Final = Protocol(
    "torchserve_management",
    Rest(
        "runtime.frontends.torchserve.management",
        prefixes=(),
        paths=(),
        refuse="runtime.protocols.torchserve.faults:refuse",
        generic=(
            Path("GET", "/models", "list"),
            Path("POST", "/models", "register"),
            *below(
                ("/models/{model}", "/models/{model}/{version}"),
                Path("GET", "", "describe"),
                Path("PUT", "", "scale"),
                Path("DELETE", "", "unregister"),
                Path("OPTIONS", "", "model_openapi"),
            ),
            Path("PUT", "/models/{model}/{version}/set-default", "set_default"),
            Path("GET", "/token", "token"),
            Path("OPTIONS", "/", "openapi"),
        ),
        owns_port=True,
        part_of="torchserve",
    ),
    grpc=(
        Grpc(
            "runtime.frontends.torchserve.management_grpc",
            "org.pytorch.serve.grpc.management.ManagementAPIsService",
            ("DescribeModel", "ListModels", "RegisterModel", "ScaleWorker", "SetDefault", "UnregisterModel"),
            refuse="runtime.protocols.torchserve.management_grpc:refuse",
        ),
    ),
    yields_to=("torchserve",),
    enabled_by="model_api",
)

TORCHSERVE_METRICS: Final = Protocol(
    "torchserve_metrics",
    Rest(
        "runtime.frontends.torchserve.metrics",
        prefixes=(),
        paths=(),
        refuse="runtime.protocols.torchserve.faults:refuse",
        generic=(Path("GET", "/metrics", "metrics"),),
        owns_port=True,
        part_of="torchserve",
    ),
    needs_own_port=True,
)

CLOUDEVENTS: Final = Protocol(
    "cloudevents",
    Rest(
        "runtime.frontends.events.handler",
        prefixes=(),
        paths=(Path("POST", "/events", "receive"),),
        refuse="runtime.protocols.refusals:event_error_answer",
        events=(Path("POST", "/", "receive"),),
    ),
)

PROTOCOLS: Final = (
    ML_V1,
    OPEN_INFERENCE,
    TENSORFLOW_SERVING,
    KSERVE_V1,
    TORCHSERVE,
    TORCHSERVE_MANAGEMENT,
    TORCHSERVE_METRICS,
    CLOUDEVENTS,
)


def selected(names: tuple[str, ...] | None, *, setting: str = "SCALEZERO_PROTOCOLS") -> list[Protocol]:
    """Return the protocols with these names, in the catalogue's order; None: all.

    Raises `BadSetting`, which names `setting`, for an unknown name.
    """
    if names is None:
        return list(PROTOCOLS)
    known = [protocol.name for protocol in PROTOCOLS]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadSetting(setting, value=",".join(unknown), allowed=f"names of protocols: {', '.join(known)}")
    return [protocol for protocol in PROTOCOLS if protocol.name in names]


def mounted(settings: Settings, *, function: bool) -> tuple[list[Protocol], frozenset[str]]:
    """Return the protocols of the main port, and the names of those whose generic paths are mounted.

    `function`: whether an author's function is mounted. Raises `BadSetting` as `selected` does.
    """
    named = settings.protocols or ()
    shared = [each for each in selected(settings.protocols) if not each.needs_own_port]
    protocols = [
        each for each in shared if not each.enabled_by or getattr(settings, each.enabled_by) or each.name in named
    ]
    return protocols, frozenset(each.name for each in protocols if not function or each.name in named)


def grpc_services(protocols: Sequence[Protocol]) -> list[Grpc]:
    """Return the common gRPC services and those of these protocols."""
    return [*COMMON, *(each for protocol in protocols for each in protocol.grpc)]
