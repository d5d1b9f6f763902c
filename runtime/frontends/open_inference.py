"""The handlers of the Open Inference Protocol over REST, with Triton's model configuration, statistics and index."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from runtime.errors import InvalidInput, PayloadTooLarge, UnsupportedOperation
from runtime.frontends.endpoints import Direct, Endpoints, Slow
from runtime.frontends.inference import Inference, load
from runtime.http.messages import Answer, Request
from runtime.protocols.open_inference import documents
from runtime.protocols.open_inference.rest import OpenInference

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.predictor import ReadyModel
    from runtime.served_model import ServedModel
    from runtime.service import Service

NO_LOADING: Final = "this process serves the models that it was started with; deploy another revision"
NO_SHARED_MEMORY: Final = "this server shares no memory with its clients; send tensors in the request"
NO_SETTINGS: Final = "logs and traces are set when the process starts; see the settings SCALEZERO_LOG_LEVEL and others"


def handlers(context: "Context") -> dict[str, Direct | Slow | Inference]:
    """What answers below /v2."""
    edge = context.edge
    answers = _Answers(About(context.service, context.endpoints))
    return {
        "server": Direct(answers.server, edge),
        "live": Direct(answers.live, edge),
        "ready": Direct(answers.ready, edge),
        "index": Slow(answers.index),
        "model": Slow(answers.model),
        "model_config": Slow(answers.config),
        "model_ready": Direct(answers.model_ready, edge),
        "model_statistics": Direct(answers.statistics, edge),
        "infer": Inference(context.service, OpenInference(), edge),
        "no_loading": Direct(_refusing(NO_LOADING), edge),
        "no_settings": Direct(_refusing(NO_SETTINGS), edge),
        "no_shared_memory": Direct(_refusing(NO_SHARED_MEMORY), edge),
    }


class About:
    """What both forms of the protocol tell of the server and its models, as `documents` has it."""

    def __init__(self, service: "Service", endpoints: Endpoints) -> None:
        self._service = service
        self.endpoints = endpoints

    def server(self) -> dict[str, Any]:
        """The server's metadata."""
        from importlib.metadata import version

        return documents.server(version("scalezero"))

    def model(self, name: str, version: str | None) -> "ServedModel":
        """The model. Raises `UnknownModel`."""
        return self._service.model(name, version)

    def has(self, name: str) -> bool:
        """Whether a model of that name is served."""
        return name in self._service.models

    async def metadata(self, name: str, version: str | None, until: float) -> dict[str, Any]:
        """The model's metadata; loads the model. Raises `UnknownModel`, `ModelUnavailable`, `DeadlineExceeded`.

        `until` is when the caller gives up, on `perf_counter`'s clock.
        """
        ready = await self._loaded(name, version, until)
        return documents.metadata(ready.name, self._service.models.versions(name), ready.signature)

    async def config(self, name: str, version: str | None, until: float) -> dict[str, Any]:
        """The model's configuration, in Triton's form; otherwise as `metadata`."""
        ready = await self._loaded(name, version, until)
        return documents.config(ready.name, ready.signature, ready.batcher.limits)

    def statistics(self, name: str | None, version: str | None) -> list[dict[str, Any]]:
        """The statistics of a model, or of all. Raises `UnknownModel`."""
        models = self._service.models.served() if name is None else [self.model(name, version)]
        return [documents.statistics(each.name, each.version or "", each.measurements) for each in models]

    def index(self, *, only_ready: bool) -> list[dict[str, str]]:
        """Every version of every model of this process."""
        models = [each for each in self._service.models.served() if each.ready or not only_ready]
        return [documents.entry(each.name, each.version or "", each.state.value, each.error) for each in models]

    async def _loaded(self, name: str, version: str | None, until: float) -> "ReadyModel":
        ready = await load(self.model(name, version), deadline=until)
        self.model(name, version)  # raises where the version, now that it is known, is another
        return ready


class _Answers:
    """The same over REST."""

    def __init__(self, about: About) -> None:
        self._about = about

    def server(self, _: Request) -> Answer:
        """The server's metadata."""
        return _json(self._about.server())

    def live(self, _: Request) -> Answer:
        """Whether the process is live, by the same rule as /healthz/live."""
        return _flag({}, "live", self._about.endpoints.is_live())

    def ready(self, _: Request) -> Answer:
        """Whether traffic may come, by the same rule as /healthz/ready."""
        return _flag({}, "ready", self._about.endpoints.takes_traffic())

    def model_ready(self, request: Request) -> Answer:
        """Whether the model answers. Raises `UnknownModel`."""
        served = self._about.model(*_asked(request))
        return _flag({"name": served.name}, "ready", served.ready is not None)

    async def model(self, request: Request) -> Answer:
        """The model's metadata; loads the model. Raises `UnknownModel` and `ModelUnavailable`.

        /v2/models/stats is Triton's path for the statistics of all models, unless a model has that name.
        """
        name, version = _asked(request)
        if name == "stats" and version is None and not self._about.has(name):
            return _json({"model_stats": self._about.statistics(None, None)})
        return _json(await self._about.metadata(name, version, until=_NEVER))

    async def config(self, request: Request) -> Answer:
        """The model's configuration; loads the model. Raises `UnknownModel` and `ModelUnavailable`."""
        return _json(await self._about.config(*_asked(request), until=_NEVER))

    def statistics(self, request: Request) -> Answer:
        """The statistics of the model. Raises `UnknownModel`."""
        return _json({"model_stats": self._about.statistics(*_asked(request))})

    async def index(self, request: Request) -> Answer:
        """The models of this process. Raises `InvalidInput`."""
        return _json(self._about.index(only_ready=_only_ready(request.body)))


_NEVER: Final = float("inf")
_LARGEST: Final = 8 * 1024  # bytes of a body that holds one flag


def _asked(request: Request) -> tuple[str, str | None]:
    parameters: Mapping[str, str] = request.parameters
    return parameters["model"], parameters.get("version")


def _only_ready(body: bytes) -> bool:
    """The field `ready` of the index' request, whose body may be empty. Raises `InvalidInput` and `PayloadTooLarge`."""
    if len(body) > _LARGEST:
        raise PayloadTooLarge("body", limit=_LARGEST, unit="bytes", got=len(body))
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise InvalidInput("body", got=str(error), expected='JSON such as {"ready": true}') from None
    if not isinstance(document, dict) or not isinstance(flag := document.get("ready", False), bool):
        raise InvalidInput("ready", got="another value", expected="true or false, in an object")
    return flag


def _refusing(reason: str) -> Any:  # noqa: ANN401 - an endpoint that only raises
    def refusing(request: Request) -> Answer:
        raise UnsupportedOperation(f"{request.method} {request.path}", reason)

    return refusing


def _flag(document: dict[str, Any], name: str, value: object) -> Answer:
    """True under status 200, false under 503; KServe's clients read the body, Triton's the status."""
    status = HTTPStatus.OK if value else HTTPStatus.SERVICE_UNAVAILABLE
    return _json({**document, name: bool(value)}, status)


def _json(document: object, status: int = HTTPStatus.OK) -> Answer:
    return Answer(status, orjson.dumps(document))
