"""The endpoints for health, metrics, the OpenAPI document and the models, which belong to no inference protocol."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from operator import is_
from typing import TYPE_CHECKING, Final

import orjson

from runtime.artifacts.cache import hash_file
from runtime.errors import ScalezeroError
from runtime.frontends.predict_api import PREDICT_API
from runtime.frontends.routes import Owner, Route
from runtime.http.messages import Answer, Request
from runtime.predictor import ReadyModel
from runtime.protocols.refusals import error_answer
from runtime.served_model import ServedModel
from runtime.settings import LIVE_PATH, READY_PATH
from runtime.status import error_document
from runtime.telemetry import prometheus
from runtime.tensors import TensorSpec
from runtime.variants.cpu_class import cpu_class

if TYPE_CHECKING:
    from runtime.frontends.functions import FunctionHost
    from runtime.frontends.inference import Edge
    from runtime.http.exchange import Exchange
    from runtime.service import Service

_TEXT: Final = (b"content-type", prometheus.CONTENT_TYPE.encode())


class SyncEndpoint:
    """The handler of an endpoint that answers immediately."""

    def __init__(self, endpoint: Callable[[Request], Answer], edge: "Edge") -> None:
        self._endpoint = endpoint
        self._edge = edge

    def direct(self, exchange: "Exchange") -> bool:
        """Answer immediately."""
        self._edge.reply(exchange, self._endpoint(exchange.request))
        return True

    async def answer(self, request: Request) -> Answer:
        """Answer immediately."""
        return self._endpoint(request)


class AsyncEndpoint:
    """The handler of an endpoint that is a coroutine function."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Answer]]) -> None:
        self._endpoint = endpoint

    def direct(self, _: "Exchange") -> bool:
        """Return False: only `answer` can wait."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Await the endpoint."""
        return await self._endpoint(request)


class Endpoints:
    """The endpoints of one process."""

    def __init__(self, service: "Service", function: "FunctionHost | None") -> None:
        self._service = service
        self._function = function
        self._digests: dict[str, str] = {}  # by the path of a local file
        self._described: list[ReadyModel | None] = []  # the models of `_document`
        self._document: asyncio.Future[bytes] | None = None  # the OpenAPI document, as JSON

    @property
    def function(self) -> "FunctionHost | None":
        """The author's function, or None."""
        return self._function

    def routes(self, owner: Owner, edge: "Edge") -> list[Route]:
        """Return the routes; `owner` owns those that belong to no protocol."""
        return [
            Route(LIVE_PATH, "GET", owner, SyncEndpoint(self.live, edge)),
            Route(READY_PATH, "GET", owner, SyncEndpoint(self.ready, edge)),
            Route("/metrics", "GET", owner, AsyncEndpoint(self.metrics)),
            Route("/openapi.json", "GET", owner, AsyncEndpoint(self.openapi)),
            Route("/api/v1/models", "GET", PREDICT_API, SyncEndpoint(self.models, edge)),
            Route("/api/v1/models/{model}", "GET", PREDICT_API, AsyncEndpoint(self.model)),
        ]

    def live(self, _: Request) -> Answer:
        """Answer the liveness probe: 503 with the reason if a part of the process hangs."""
        if self._function and (stuck := self._function.stuck):
            return error_answer(stuck)
        if reason := self._service.stuck():
            return _json({"status": "stuck", "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"status": "live"})

    def is_live(self) -> bool:
        """Return whether the process is live: no part of it hangs."""
        return not (self._function and self._function.stuck) and not self._service.stuck()

    def is_ready(self) -> bool:
        """Return whether the process is ready: every prefetched model is loaded, and the author's function imported."""
        return not self._service.unready() and (self._function is None or self._function.ready)

    def ready(self, _: Request) -> Answer:
        """Answer the readiness probe: 503 with the reasons while the process is not ready (see `is_ready`)."""
        if self.is_ready():
            return _json({"status": "ready"})
        models = {self._service.title(served): _unready_reason(served) for served in self._service.unready()}
        function = self._function
        document: dict[str, object] = {"status": "not ready", "models": models}
        if function and not function.ready:
            document["function"] = _reason(function.error, "loading", "the function is being imported")
        return _json(document, HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, _: Request) -> Answer:
        """Answer a Prometheus scrape. The first scrape imports prometheus_client, on a thread because it takes long."""
        await asyncio.to_thread(prometheus.load)
        measured = [served.measurements for served in self._service.models.served()]
        revision = self._service.settings.revision or ""
        log = self._service.prediction_log
        text = prometheus.exposition(measured, revision=revision, log=log.counts if log else None)
        return Answer(HTTPStatus.OK, text, [_TEXT])

    async def openapi(self, _: Request) -> Answer:
        """Return the OpenAPI document of the REST routes, for the current models.

        The document is built on a thread, and again after the set of models has changed. Concurrent requests share one
        build: several threads with some milliseconds of Python each would keep the GIL from the event loop.
        """
        models = [served.ready for served in self._service.models.served()]
        document = self._document
        if document is None or not _are_same(models, self._described):
            self._described = models
            document = self._document = asyncio.ensure_future(asyncio.to_thread(_openapi, self._service))
            document.add_done_callback(self._discard_failed)
        return Answer(HTTPStatus.OK, await asyncio.shield(document))

    def _discard_failed(self, document: "asyncio.Future[bytes]") -> None:
        if document is self._document and (document.cancelled() or document.exception() is not None):
            self._document = None

    def models(self, _: Request) -> Answer:
        """List every version of every model of this process."""
        return _json({"models": [_summary(served) for served in self._service.models.served()]})

    async def model(self, request: Request) -> Answer:
        """Describe the default version of a model: its state, and its signature and digest if it is loaded.

        Raises `UnknownModel`.
        """
        return _json(await self._describe(self._service.model(request.parameters["model"])))

    async def _digest(self, ready: ReadyModel) -> str:
        """Return the artifact's SHA-256. For a local file, compute it on demand: no cold start waits for it."""
        if ready.serving.artifact_sha256:
            return ready.serving.artifact_sha256
        if ready.artifact.sha256:
            return ready.artifact.sha256
        path = str(ready.artifact.path)
        if path not in self._digests:
            self._digests[path] = await asyncio.to_thread(hash_file, ready.artifact.path)
        return self._digests[path]

    async def _describe(self, served: ServedModel) -> dict[str, object]:
        document: dict[str, object] = {
            **_summary(served),
            "revision": self._service.settings.revision,
            "uri": served.uri,
            "versions": self._service.models.versions(served.name),
        }
        if served.ready:
            ready = served.ready
            document |= {
                "sha256": await self._digest(ready),
                "size_bytes": None if ready.serving.artifact_sha256 else ready.artifact.size,
                "serving": {"cpu_class": cpu_class(), **ready.serving.facts},
                "inputs": [_tensor(spec) for spec in ready.signature.inputs],
                "outputs": [_tensor(spec) for spec in ready.signature.outputs],
                "batching": {
                    "batchable": ready.batcher.shares,
                    "state": ready.batcher.batching.state.value,
                    "reason": ready.batcher.batching.reason,
                    "batch_size": ready.batcher.limits.batch_size,
                    "max_wait_seconds": ready.batcher.limits.max_wait,
                    "timeout_seconds": ready.batcher.limits.timeout,
                },
            }
        elif served.error:
            document["error"] = _unready_reason(served)
        return document


def _openapi(service: "Service") -> bytes:
    from runtime.frontends.describing import document_of

    return orjson.dumps(document_of(service))


def _are_same(models: Sequence[ReadyModel | None], others: Sequence[ReadyModel | None]) -> bool:
    return len(models) == len(others) and all(map(is_, models, others))


def _json(document: object, code: int = HTTPStatus.OK) -> Answer:
    return Answer(code, orjson.dumps(document))


def _summary(served: ServedModel) -> dict[str, object]:
    return {"name": served.name, "version": served.version, "state": served.state.value}


def _tensor(spec: TensorSpec) -> dict[str, object]:
    """Describe an input or output. The shape is null if it is unknown, and [] for a scalar."""
    return {"name": spec.name, "kind": spec.kind, "datatype": spec.datatype, "shape": spec.shape}


def _unready_reason(served: ServedModel) -> object:
    return _reason(served.error, served.state.value, "the model is being loaded")


def _reason(error: ScalezeroError | None, code: str, message: str) -> object:
    """Return the error, or `code` and `message` in the same form if there is no error."""
    if error is None:
        return error_document(code, message, {})["error"]
    return error_document(error.code, error.message, error.details)["error"]
