"""inference.GRPCInferenceService: the methods of KServe and of Triton."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from runtime.errors import UnknownModel, UnsupportedOperation
from runtime.frontends.grpc.pipeline import Each
from runtime.frontends.grpc.streams import Streaming
from runtime.frontends.grpc.unary import Awaited, Endpoint, Inferred
from runtime.frontends.open_inference import NO_LOADING, NO_SETTINGS, NO_SHARED_MEMORY, About
from runtime.protocols.open_inference import SERVICE, stream
from runtime.protocols.open_inference.messages import ModelInfer, made, parsed

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


def handlers(context: "Context") -> dict[str, Endpoint | Awaited | Inferred | Streaming]:
    """The methods of the service."""
    service, edge = context.service, context.edge
    messages = _Messages(About(service, context.endpoints))
    limit = service.settings.max_body_bytes
    at_once: dict[str, Callable[[bytes], bytes]] = {
        "ServerLive": messages.server_live,
        "ServerReady": messages.server_ready,
        "ServerMetadata": messages.server_metadata,
        "ModelReady": messages.model_ready,
        "ModelStatistics": messages.model_statistics,
        "RepositoryIndex": messages.repository_index,
        **{name: _refusing(name, reason) for name, reason in _UNSUPPORTED.items()},
    }
    infer = Inferred(service, ModelInfer(), edge, views=True)
    each = Each(infer, edge, limit, wrap=stream.answered, fail=stream.failed)
    return {
        **{name: Endpoint(endpoint, edge) for name, endpoint in at_once.items()},
        "ModelMetadata": Awaited(messages.model_metadata),
        "ModelConfig": Awaited(messages.model_config),
        "ModelInfer": infer,
        "ModelStreamInfer": Streaming(each, edge, limit),
    }


class _Messages:
    """What the documents are as messages."""

    def __init__(self, about: About) -> None:
        self._about = about

    def server_live(self, message: bytes) -> bytes:
        """Whether the process is live. Raises `InvalidInput`, as all of these do for what is no message."""
        parsed("ServerLiveRequest", message)
        return made("ServerLiveResponse", live=self._about.endpoints.is_live())

    def server_ready(self, message: bytes) -> bytes:
        """Whether traffic may come."""
        parsed("ServerReadyRequest", message)
        return made("ServerReadyResponse", ready=self._about.endpoints.takes_traffic())

    def server_metadata(self, message: bytes) -> bytes:
        """The server's metadata."""
        parsed("ServerMetadataRequest", message)
        return made("ServerMetadataResponse", **self._about.server())

    def model_ready(self, message: bytes) -> bytes:
        """Whether the model answers; one that is not here does not, as Triton tells it."""
        request = parsed("ModelReadyRequest", message)
        ready = False
        with suppress(UnknownModel):
            ready = self._about.model(request.name, request.version or None).ready is not None
        return made("ModelReadyResponse", ready=ready)

    async def model_metadata(self, message: bytes, until: float) -> bytes:
        """The model's metadata. Raises what `About.metadata` raises."""
        request = parsed("ModelMetadataRequest", message)
        document = await self._about.metadata(request.name, request.version or None, until)
        return made("ModelMetadataResponse", **document)

    async def model_config(self, message: bytes, until: float) -> bytes:
        """The model's configuration. Raises what `About.config` raises."""
        request = parsed("ModelConfigRequest", message)
        document = await self._about.config(request.name, request.version or None, until)
        return made("ModelConfigResponse", config=document)

    def model_statistics(self, message: bytes) -> bytes:
        """The statistics of the model, or of all. Raises `UnknownModel`."""
        request = parsed("ModelStatisticsRequest", message)
        statistics = self._about.statistics(request.name or None, request.version or None)
        return made("ModelStatisticsResponse", model_stats=statistics)

    def repository_index(self, message: bytes) -> bytes:
        """The models of this process."""
        request = parsed("RepositoryIndexRequest", message)
        return made("RepositoryIndexResponse", models=self._about.index(only_ready=request.ready))


def _refusing(method: str, reason: str) -> Callable[[bytes], bytes]:
    def refusing(_: bytes) -> bytes:
        raise UnsupportedOperation(f"{SERVICE}/{method}", reason)

    return refusing
