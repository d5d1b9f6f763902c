"""What this process answers about itself and its models, beside the protocols."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from operator import is_
from typing import TYPE_CHECKING, Final, TypeAlias

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

if TYPE_CHECKING:
    from runtime.frontends.functions import FunctionHost
    from runtime.frontends.inference import Edge
    from runtime.http.exchange import Exchange
    from runtime.service import Service

Plain: TypeAlias = Callable[[Request], Answer]
_TEXT: Final = (b"content-type", prometheus.CONTENT_TYPE.encode())


class Direct:
    """The handler of an endpoint that answers at once."""

    def __init__(self, endpoint: Plain, edge: "Edge") -> None:
        self._endpoint = endpoint
        self._edge = edge

    def direct(self, exchange: "Exchange") -> bool:
        """Answer now."""
        self._edge.reply(exchange, self._endpoint(exchange.request))
        return True

    async def answer(self, request: Request) -> Answer:
        """Answer now."""
        return self._endpoint(request)


class Slow:
    """The handler of an endpoint that has to wait for something."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Answer]]) -> None:
        self._endpoint = endpoint

    def direct(self, _: "Exchange") -> bool:
        """Leave it to `answer`."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Answer."""
        return await self._endpoint(request)


class Endpoints:
    """All that is not an inference."""

    def __init__(self, service: "Service", function: "FunctionHost | None") -> None:
        self._service = service
        self._function = function
        self._digests: dict[str, str] = {}  # by the path of a local file
        self._described: list[ReadyModel | None] = []  # the models of `_document`
        self._document: asyncio.Future[bytes] | None = None  # the OpenAPI document, as JSON

    def routes(self, ours: Owner, edge: "Edge") -> list[Route]:
        """The routes; `ours` owns what belongs to no protocol."""
        return [
            Route(LIVE_PATH, "GET", ours, Direct(self.live, edge)),
            Route(READY_PATH, "GET", ours, Direct(self.ready, edge)),
            Route("/metrics", "GET", ours, Slow(self.metrics)),
            Route("/openapi.json", "GET", ours, Slow(self.openapi)),
            Route("/api/v1/models", "GET", PREDICT_API, Direct(self.models, edge)),
            Route("/api/v1/models/{model}", "GET", PREDICT_API, Slow(self.model)),
        ]

    def live(self, _: Request) -> Answer:
        """Whether the process answers and nothing in it hangs."""
        if self._function and (stuck := self._function.stuck):
            return error_answer(stuck)
        if reason := self._service.stuck():
            return _json({"status": "stuck", "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"status": "live"})

    def is_live(self) -> bool:
        """Whether nothing in this process hangs."""
        return not (self._function and self._function.stuck) and not self._service.stuck()

    def takes_traffic(self) -> bool:
        """Whether traffic may come: every prefetched model and the author's function answer."""
        return not self._service.unready() and (self._function is None or self._function.ready)

    def ready(self, _: Request) -> Answer:
        """Whether traffic may come: 503 with the reason until a prefetched model and the author's function answer."""
        if self.takes_traffic():
            return _json({"status": "ready"})
        models = {self._service.title(served): _why_not(served) for served in self._service.unready()}
        function = self._function
        document: dict[str, object] = {"status": "not ready", "models": models}
        if function and not function.ready:
            document["function"] = _reason(function.error, "loading", "the function is being imported")
        return _json(document, HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, _: Request) -> Answer:
        """Prometheus' scrape. The first one imports prometheus_client, which takes a while: on a thread of its own."""
        await asyncio.to_thread(prometheus.load)
        measured = [served.measurements for served in self._service.models.served()]
        revision = self._service.settings.revision or ""
        return Answer(HTTPStatus.OK, prometheus.exposition(measured, revision=revision), [_TEXT])

    async def openapi(self, _: Request) -> Answer:
        """The REST routes, described for the models. It is made on a thread, and again when a model comes or goes.

        All who ask meanwhile wait for one of it: some milliseconds of Python each, on several threads, would hold the
        interpreter's lock against the event loop.
        """
        models = [served.ready for served in self._service.models.served()]
        document = self._document
        if document is None or not _are_same(models, self._described):
            self._described = models
            document = self._document = asyncio.ensure_future(asyncio.to_thread(_openapi, self._service))
            document.add_done_callback(self._forget_failed)
        return Answer(HTTPStatus.OK, await asyncio.shield(document))

    def _forget_failed(self, document: "asyncio.Future[bytes]") -> None:
        if document is self._document and (document.cancelled() or document.exception() is not None):
            self._document = None

    def models(self, _: Request) -> Answer:
        """Every version of every model of this process."""
        return _json({"models": [_summary(served) for served in self._service.models.served()]})

    async def model(self, request: Request) -> Answer:
        """One model in its default version: its state, and its signature and digest once it is loaded."""
        return _json(await self._describe(self._service.model(request.parameters["model"])))

    async def _digest(self, ready: ReadyModel) -> str:
        """The artifact's SHA-256; that of a local file, which no start waits for, is worked out when asked for."""
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
                "size_bytes": ready.artifact.size,
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
            document["error"] = _why_not(served)
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
    """An input or output in the metadata; a shape of null is not known, [] is a scalar's."""
    return {"name": spec.name, "kind": spec.kind, "datatype": spec.datatype, "shape": spec.shape}


def _why_not(served: ServedModel) -> object:
    return _reason(served.error, served.state.value, "the model is being loaded")


def _reason(error: ScalezeroError | None, code: str, message: str) -> object:
    """The error, or in its form that it only takes a while."""
    if error is None:
        return error_document(code, message, {})["error"]
    return error_document(error.code, error.message, error.details)["error"]
