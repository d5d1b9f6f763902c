"""The handlers of the Open Inference Protocol over REST, with Triton's model configuration, statistics and index."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from runtime.errors import InvalidInput, PayloadTooLarge, UnsupportedOperation
from runtime.frontends.endpoints import AsyncEndpoint, Endpoints, SyncEndpoint
from runtime.frontends.events.kserve import WithEvents
from runtime.frontends.inference import Inference, load
from runtime.http.messages import Answer, Request
from runtime.protocols.open_inference import documents
from runtime.protocols.open_inference.rest import OpenInference
from runtime.variants.cpu_class import cpu_class

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.predictor import ReadyModel
    from runtime.served_model import ServedModel
    from runtime.service import Service

NO_LOADING: Final = "a process serves only the models that it was started with; deploy another revision"
NO_SHARED_MEMORY: Final = "this server does not support shared memory; send the tensors in the request"
NO_SETTINGS: Final = (
    "logs and traces are configured when the process starts; see SCALEZERO_LOG_LEVEL and other settings"
)


def handlers(context: "Context") -> dict[str, SyncEndpoint | AsyncEndpoint | WithEvents]:
    """Return the handlers of the routes below /v2."""
    edge = context.edge
    info = _InfoEndpoints(ServerInfo(context.service, context.endpoints))
    return {
        "server": SyncEndpoint(info.server, edge),
        "live": SyncEndpoint(info.live, edge),
        "ready": SyncEndpoint(info.ready, edge),
        "index": AsyncEndpoint(info.index),
        "model": AsyncEndpoint(info.model),
        "model_config": AsyncEndpoint(info.config),
        "model_ready": SyncEndpoint(info.model_ready, edge),
        "model_statistics": SyncEndpoint(info.statistics, edge),
        "infer": WithEvents(Inference(context.service, OpenInference(), edge)),
        "no_loading": SyncEndpoint(_unsupported(NO_LOADING), edge),
        "no_settings": SyncEndpoint(_unsupported(NO_SETTINGS), edge),
        "no_shared_memory": SyncEndpoint(_unsupported(NO_SHARED_MEMORY), edge),
    }


class ServerInfo:
    """The `documents` about the server and its models, for REST and for gRPC."""

    def __init__(self, service: "Service", endpoints: Endpoints) -> None:
        self._service = service
        self.endpoints = endpoints

    def server(self) -> dict[str, Any]:
        """Return the server's metadata."""
        from importlib.metadata import version

        return documents.server(version("scalezero"))

    def model(self, name: str, version: str | None) -> "ServedModel":
        """Return the model. Raises `UnknownModel`."""
        return self._service.model(name, version)

    def has(self, name: str) -> bool:
        """Return whether a model with this name is served."""
        return name in self._service.models

    async def metadata(self, name: str, version: str | None, until: float) -> dict[str, Any]:
        """Load the model if needed, and return its metadata.

        `until` is the client's deadline, on `perf_counter`'s clock. Raises `UnknownModel`, `ModelUnavailable` and
        `DeadlineExceeded`.
        """
        ready = await self._loaded(name, version, until)
        return documents.metadata(ready.name, self._service.models.versions(name), ready.signature)

    async def metadata_with_parameters(self, name: str, version: str | None) -> dict[str, Any]:
        """Return the metadata with the served variant. Raises as `metadata` does.

        `parameters` is MLServer's field. gRPC answers do not have it: in its place, KServe's message has another type,
        so clients of one of the two could not parse it.
        """
        document = await self.metadata(name, version, until=_NO_DEADLINE)
        ready = self.model(name, version).ready
        return document | ({"parameters": {"cpu_class": cpu_class(), **ready.serving.facts}} if ready else {})

    async def config(self, name: str, version: str | None, until: float) -> dict[str, Any]:
        """Load the model if needed, and return its configuration in Triton's form. Raises as `metadata` does."""
        ready = await self._loaded(name, version, until)
        return documents.config(ready.name, ready.signature, ready.batcher.limits)

    def statistics(self, name: str | None, version: str | None) -> list[dict[str, Any]]:
        """Return the statistics of a model, or of all models. Raises `UnknownModel`."""
        models = self._service.models.served() if name is None else [self.model(name, version)]
        return [documents.statistics(each.name, each.version or "", each.measurements) for each in models]

    def index(self, *, only_ready: bool) -> list[dict[str, str]]:
        """Return every version of every model of this process; `only_ready`: only those that are loaded."""
        models = [each for each in self._service.models.served() if each.ready or not only_ready]
        return [documents.entry(each.name, each.version or "", each.state.value, each.error) for each in models]

    async def _loaded(self, name: str, version: str | None, until: float) -> "ReadyModel":
        ready = await load(self.model(name, version), deadline=until)
        self.model(name, version)  # raises if the version, which is known now, is another one
        return ready


class _InfoEndpoints:
    """The REST endpoints about the server and its models."""

    def __init__(self, info: ServerInfo) -> None:
        self._info = info

    def server(self, _: Request) -> Answer:
        """Answer with the server's metadata."""
        return _json(self._info.server())

    def live(self, _: Request) -> Answer:
        """Answer whether the process is live, by the same rule as /healthz/live."""
        return _flag({}, "live", self._info.endpoints.is_live())

    def ready(self, _: Request) -> Answer:
        """Answer whether the process is ready, by the same rule as /healthz/ready."""
        return _flag({}, "ready", self._info.endpoints.is_ready())

    def model_ready(self, request: Request) -> Answer:
        """Answer whether the model is loaded. Raises `UnknownModel`."""
        served = self._info.model(*_model_and_version(request))
        return _flag({"name": served.name}, "ready", served.ready is not None)

    async def model(self, request: Request) -> Answer:
        """Load the model if needed, and answer with its metadata. Raises `UnknownModel` and `ModelUnavailable`.

        /v2/models/stats is Triton's path for the statistics of all models, unless a model has that name.
        """
        name, version = _model_and_version(request)
        if name == "stats" and version is None and not self._info.has(name):
            return _json({"model_stats": self._info.statistics(None, None)})
        return _json(await self._info.metadata_with_parameters(name, version))

    async def config(self, request: Request) -> Answer:
        """Load the model if needed, and answer with its configuration. Raises `UnknownModel` and `ModelUnavailable`."""
        return _json(await self._info.config(*_model_and_version(request), until=_NO_DEADLINE))

    def statistics(self, request: Request) -> Answer:
        """Answer with the statistics of the model. Raises `UnknownModel`."""
        return _json({"model_stats": self._info.statistics(*_model_and_version(request))})

    async def index(self, request: Request) -> Answer:
        """Answer with the models of this process. Raises `InvalidInput` and `PayloadTooLarge`."""
        return _json(self._info.index(only_ready=_only_ready(request.body)))


_NO_DEADLINE: Final = float("inf")
_MAX_BYTES: Final = 8 * 1024  # of a body with one flag


def _model_and_version(request: Request) -> tuple[str, str | None]:
    parameters: Mapping[str, str] = request.parameters
    return parameters["model"], parameters.get("version")


def _only_ready(body: bytes) -> bool:
    """Return the field `ready` of an index request; its body may be empty. Raises `InvalidInput`, `PayloadTooLarge`."""
    if len(body) > _MAX_BYTES:
        raise PayloadTooLarge("body", limit=_MAX_BYTES, unit="bytes", got=len(body))
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise InvalidInput("body", got=str(error), expected='JSON such as {"ready": true}') from None
    if not isinstance(document, dict) or not isinstance(flag := document.get("ready", False), bool):
        raise InvalidInput("ready", got="another value", expected="true or false, in an object")
    return flag


def _unsupported(reason: str) -> Any:  # noqa: ANN401 - an endpoint that only raises
    def endpoint(request: Request) -> Answer:
        raise UnsupportedOperation(f"{request.method} {request.path}", reason)

    return endpoint


def _flag(document: dict[str, Any], name: str, value: object) -> Answer:
    """Return true with status 200, or false with 503. KServe's clients read the body, Triton's clients the status."""
    status = HTTPStatus.OK if value else HTTPStatus.SERVICE_UNAVAILABLE
    return _json({**document, name: bool(value)}, status)


def _json(document: object, status: int = HTTPStatus.OK) -> Answer:
    return Answer(status, orjson.dumps(document))
