"""The endpoints behind the route table. Each reads as its verbs: decode, validate, run, encode."""

import asyncio
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Final

import orjson

from runtime.artifacts.cache import hash_file
from runtime.batching.run import Ticket
from runtime.errors import ScalezeroError
from runtime.frontends import openapi, status
from runtime.frontends.http import JSON, Request, Response
from runtime.predictor import ReadyModel, predict, unless_gone
from runtime.protocols import predict as predict_api
from runtime.served_model import ServedModel
from runtime.telemetry import prometheus

if TYPE_CHECKING:
    from runtime.frontends.functions import FunctionHost
    from runtime.service import Service

_TEXT: Final = (b"content-type", prometheus.CONTENT_TYPE.encode())


class Endpoints:
    """All that this process answers about its models."""

    def __init__(self, service: "Service", function: "FunctionHost | None") -> None:
        self._service = service
        self._function = function
        self._limit = service.settings.max_body_bytes
        self._local_digest: str | None = None

    async def predict(self, request: Request) -> Response:
        """The predict API."""
        served = self._service.model(request.parameters["model"])
        try:
            message = await request.receive()
            body = message.get("body", b"")
            if message.get("more_body") or len(body) > self._limit or not body:
                body = await request.rest(message, self._limit)
            ready = served.ready
            if ready is None:
                ready = await unless_gone(asyncio.ensure_future(served.load()), request.gone)
            query = predict_api.parse(body, ready.signature)
            answer = await predict(ready, query.tensors, gone=request.gone)
        except (Exception, asyncio.CancelledError) as error:
            code = status.of(error)
            served.measurements.answered(predict_api.NAME, code, perf_counter() - request.started)
            raise
        latency = perf_counter() - request.started
        served.measurements.answered(predict_api.NAME, 200, latency)
        return Response(
            200,
            predict_api.render(query, ready, answer, latency=latency),
            [JSON, (b"server-timing", _server_timing(served, request, answer))],
        )

    async def models(self, _: Request) -> Response:
        """Every model of this process."""
        return _json({"models": [_summary(served) for served in self._service.models.values()]})

    async def model(self, request: Request) -> Response:
        """One model: its state, and its signature and digest once it is loaded."""
        return _json(await self._describe(self._service.model(request.parameters["model"])))

    async def live(self, _: Request) -> Response:
        """Whether the process answers: 503 with the reason where only a restart lets its function answer again."""
        if self._function and (stuck := self._function.stuck):
            return status.error_response(stuck)
        return _json({"status": "live"})

    async def ready(self, _: Request) -> Response:
        """Whether traffic may come: 503 with the reason until a prefetched model and the author's function answer."""
        models = {served.name: _why_not(served) for served in self._service.unready()}
        function = self._function
        if not models and (function is None or function.ready):
            return _json({"status": "ready"})
        document: dict[str, object] = {"status": "not ready", "models": models}
        if function and not function.ready:
            document["function"] = _told(function.error, "loading", "the function is being imported")
        return _json(document, HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, _: Request) -> Response:
        """Prometheus' scrape."""
        measured = [served.measurements for served in self._service.models.values()]
        revision = self._service.settings.revision or ""
        return Response(HTTPStatus.OK, prometheus.exposition(measured, revision=revision), [_TEXT])

    async def openapi(self, _: Request) -> Response:
        """This API, described."""
        signatures = {
            name: served.ready.signature if served.ready else None for name, served in self._service.models.items()
        }
        return _json(openapi.document(signatures, version=self._service.version or "1"))

    async def _digest(self, ready: ReadyModel) -> str:
        """The artifact's SHA-256; that of a local file, which no start waits for, is worked out when asked for."""
        if ready.artifact.sha256:
            return ready.artifact.sha256
        if self._local_digest is None:
            self._local_digest = await asyncio.to_thread(hash_file, ready.artifact.path)
        return self._local_digest

    async def _describe(self, served: ServedModel) -> dict[str, object]:
        document: dict[str, object] = {
            **_summary(served),
            "revision": self._service.settings.revision,
            "uri": served.uri,
        }
        if served.ready:
            ready = served.ready
            document |= {
                "sha256": await self._digest(ready),
                "size_bytes": ready.artifact.size,
                "inputs": [_tensor(spec.name, spec.datatype, spec.shape) for spec in ready.signature.inputs],
                "outputs": [_tensor(spec.name, spec.datatype, spec.shape) for spec in ready.signature.outputs],
                "batching": {
                    "batchable": ready.batcher.batchable,
                    "batch_size": ready.batcher.limits.batch_size,
                    "max_wait_seconds": ready.batcher.limits.max_wait,
                    "timeout_seconds": ready.batcher.limits.timeout,
                },
            }
        elif served.error:
            document["error"] = _why_not(served)
        return document


def _json(document: object, code: int = HTTPStatus.OK) -> Response:
    return Response(code, orjson.dumps(document))


def _summary(served: ServedModel) -> dict[str, object]:
    return {"name": served.name, "version": served.version, "state": served.state.value}


def _tensor(name: str, datatype: str, shape: object) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape}


def _why_not(served: ServedModel) -> object:
    return _told(served.error, served.state.value, "the model is being loaded")


def _told(error: ScalezeroError | None, code: str, message: str) -> object:
    """The error, or in its form that it only takes a while."""
    if error is None:
        return status.error_document(code, message, {})["error"]
    return status.error_document(error.code, error.message, error.details)["error"]


def _server_timing(served: ServedModel, request: Request, answer: Ticket) -> bytes:
    """Where the time went, in milliseconds (W3C Server Timing); with the cold start for those who waited through it."""
    run = answer.run
    waited = run.started - answer.arrived
    timing = b"queue;dur=%.3f, batch;dur=%.3f, run;dur=%.3f" % (waited * 1e3, run.batched * 1e3, run.ran * 1e3)
    if request.started > served.first_answer:
        return timing
    cold_start = served.measurements.cold_start
    if cold_start is None:
        return timing
    phases = [
        b"%b;dur=%.3f" % (name.encode(), seconds * 1e3)
        for name, seconds in cold_start.seen(request.started).items()
        if seconds
    ]
    return b", ".join([*phases, timing])
