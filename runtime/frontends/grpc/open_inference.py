"""The methods of inference.GRPCInferenceService, those of KServe and of Triton."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from runtime.errors import UnknownModel, UnsupportedOperation
from runtime.frontends.grpc.pipeline import PerMessage
from runtime.frontends.grpc.streams import Streaming
from runtime.frontends.grpc.unary import AsyncEndpoint, Endpoint, InferenceMethod
from runtime.frontends.open_inference import NO_LOADING, NO_SETTINGS, NO_SHARED_MEMORY, ServerInfo
from runtime.protocols.open_inference import SERVICE, stream
from runtime.protocols.open_inference.messages import ModelInfer, parsed, serialized

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context

_UNSUPPORTED: Final = {
    "RepositoryModelLoad": NO_LOADING,
    "RepositoryModelUnload": NO_LOADING,
    "SystemSharedMemoryStatus": NO_SHARED_MEMORY,
    "SystemSharedMemoryRegister": NO_SHARED_MEMORY,
    "SystemSharedMemoryUnregister": NO_SHARED_MEMORY,
    "CudaSharedMemoryStatus": NO_SHARED_MEMORY,
    "CudaSharedMemoryRegister": NO_SHARED_MEMORY,
    "CudaSharedMemoryUnregister": NO_SHARED_MEMORY,
    "TraceSetting": NO_SETTINGS,
    "LogSettings": NO_SETTINGS,
}


def handlers(context: "Context") -> dict[str, Endpoint | AsyncEndpoint | InferenceMethod | Streaming]:
    """Return the handlers of the service's methods."""
    service, edge = context.service, context.edge
    endpoints = _Endpoints(ServerInfo(service, context.endpoints))
    limit = service.settings.max_body_bytes
    immediate: dict[str, Callable[[bytes], bytes]] = {
        "ServerLive": endpoints.server_live,
        "ServerReady": endpoints.server_ready,
        "ServerMetadata": endpoints.server_metadata,
        "ModelReady": endpoints.model_ready,
        "ModelStatistics": endpoints.model_statistics,
        "RepositoryIndex": endpoints.repository_index,
        **{name: _unsupported(name, reason) for name, reason in _UNSUPPORTED.items()},
    }
    infer = InferenceMethod(service, ModelInfer(), edge, views=True)
    infer_each = PerMessage(infer, edge, limit, wrap=stream.succeeded, fail=stream.failed)
    return {
        **{name: Endpoint(endpoint, edge) for name, endpoint in immediate.items()},
        "ModelMetadata": AsyncEndpoint(endpoints.model_metadata),
        "ModelConfig": AsyncEndpoint(endpoints.model_config),
        "ModelInfer": infer,
        "ModelStreamInfer": Streaming(infer_each, edge, limit),
    }


class _Endpoints:
    """The methods besides inference: the documents of `ServerInfo` as messages.

    Every method raises `InvalidInput` for an invalid message.
    """

    def __init__(self, info: ServerInfo) -> None:
        self._info = info

    def server_live(self, message: bytes) -> bytes:
        """Answer whether the process is live."""
        parsed("ServerLiveRequest", message)
        return serialized("ServerLiveResponse", live=self._info.endpoints.is_live())

    def server_ready(self, message: bytes) -> bytes:
        """Answer whether the process is ready."""
        parsed("ServerReadyRequest", message)
        return serialized("ServerReadyResponse", ready=self._info.endpoints.is_ready())

    def server_metadata(self, message: bytes) -> bytes:
        """Answer with the server's metadata."""
        parsed("ServerMetadataRequest", message)
        return serialized("ServerMetadataResponse", **self._info.server())

    def model_ready(self, message: bytes) -> bytes:
        """Answer whether the model is loaded; false for an unknown model, as in Triton."""
        request = parsed("ModelReadyRequest", message)
        ready = False
        with suppress(UnknownModel):
            ready = self._info.model(request.name, request.version or None).ready is not None
        return serialized("ModelReadyResponse", ready=ready)

    async def model_metadata(self, message: bytes, until: float) -> bytes:
        """Answer with the model's metadata. Raises as `ServerInfo.metadata` does."""
        request = parsed("ModelMetadataRequest", message)
        document = await self._info.metadata(request.name, request.version or None, until)
        return serialized("ModelMetadataResponse", **document)

    async def model_config(self, message: bytes, until: float) -> bytes:
        """Answer with the model's configuration. Raises as `ServerInfo.config` does."""
        request = parsed("ModelConfigRequest", message)
        document = await self._info.config(request.name, request.version or None, until)
        return serialized("ModelConfigResponse", config=document)

    def model_statistics(self, message: bytes) -> bytes:
        """Answer with the statistics of the model, or of all models. Raises `UnknownModel`."""
        request = parsed("ModelStatisticsRequest", message)
        statistics = self._info.statistics(request.name or None, request.version or None)
        return serialized("ModelStatisticsResponse", model_stats=statistics)

    def repository_index(self, message: bytes) -> bytes:
        """Answer with the models of this process."""
        request = parsed("RepositoryIndexRequest", message)
        return serialized("RepositoryIndexResponse", models=self._info.index(only_ready=request.ready))


def _unsupported(method: str, reason: str) -> Callable[[bytes], bytes]:
    def endpoint(_: bytes) -> bytes:
        raise UnsupportedOperation(f"{SERVICE}/{method}", reason)

    return endpoint
