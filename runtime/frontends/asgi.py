"""The one ASGI application: HTTP requests to endpoints by the route table, all else to the author's function.

lifespan      opens the service on the server's own event loop, closes it when everything is answered
http          route -> endpoint -> response; errors become answers here, and nowhere else
"""

import asyncio
import logging
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Final

from runtime import author
from runtime.errors import ScalezeroError, UnknownPath
from runtime.frontends import functions, status
from runtime.frontends.endpoints import Endpoints
from runtime.frontends.functions import FunctionHost, Passing
from runtime.frontends.http import Disconnected, Headers, Receive, Request, Response, Scope, Send
from runtime.frontends.routes import Endpoint, Match, Routes
from runtime.predictor import CallerGone

if TYPE_CHECKING:
    from runtime.service import Service

_log = logging.getLogger("scalezero.request")
_SERVER_FAULT: Final = 500
_OURS: Final = "/api/v1/models"  # what is misspelt below it is not for the author's function


class Application:
    """What uvicorn serves."""

    def __init__(self, service: "Service") -> None:
        settings = service.settings
        self._service = service
        self._function: FunctionHost | None = None
        if settings.function_source:
            self._function = FunctionHost(
                settings.function_source,
                settings.function_target,
                threads=settings.function_threads,
                waiting=settings.queue_size,
                max_body=settings.max_body_bytes,
                timeout=settings.timeout,
                limit=settings.function_timeout,
            )
        endpoints = Endpoints(service, self._function)
        self._routes = Routes(
            {
                "/api/v1/models/{model}/predict": {"POST": endpoints.predict},
                "/api/v1/models/{model}": {"GET": endpoints.model},
                "/api/v1/models": {"GET": endpoints.models},
                "/healthz/live": {"GET": endpoints.live},
                "/healthz/ready": {"GET": endpoints.ready},
                "/metrics": {"GET": endpoints.metrics},
                "/openapi.json": {"GET": endpoints.openapi},
            }
        )
        self._access_log = settings.access_log
        self._settled: list[tuple[bytes, bytes]] | None = None
        self._preloading: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] != "http":
            await self._lifespan(receive, send)
            return
        request = Request(scope, receive)
        try:
            match = self._routes.match(scope["path"])
            if match is None and self._function and not scope["path"].startswith(_OURS):
                await self._call(self._function, request, send)
                return
            response = await _endpoint(request, match)(request)
        except ScalezeroError as error:
            response = _refuse(request, error)
        except (CallerGone, Disconnected):
            return
        except Exception:  # noqa: BLE001 - the last line of defence: logged, and told as a fault of ours
            _log.exception("internal error", extra=_facts(request))
            response = status.internal_error()
        headers = response.headers
        headers.append((b"content-length", b"%d" % len(response.body)))
        headers += self._in_every_answer(request)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        if self._access_log:
            _log.info("request", extra={**_facts(request), "status": response.status})

    async def _call(self, function: FunctionHost, request: Request, send: Send) -> None:
        """Let the author's function answer, and measure and log that as any other answer."""
        answer = Passing(send, lambda: self._in_every_answer(request))
        try:
            await function(request, answer)
        except (Exception, asyncio.CancelledError) as error:
            answer.status = status.of(error)
            raise
        finally:
            for served in self._service.models.values():
                served.measurements.answered(functions.NAME, answer.status, perf_counter() - request.started)
        if self._access_log:
            _log.info("request", extra={**_facts(request), "status": answer.status})

    def _in_every_answer(self, request: Request) -> Headers:
        identity = self._identity()
        request_id = request.header(b"x-request-id")
        return [*identity, (b"x-request-id", request_id)] if request_id else identity

    def _identity(self) -> Headers:
        """Who answers: the revision and, as soon as it is known, the model version. Settled once a model is loaded."""
        if self._settled is not None:
            return self._settled
        service = self._service
        revision, version = service.settings.revision, service.version
        headers = [(b"x-revision", revision.encode())] if revision else []
        if version:
            headers.append((b"x-model-version", version.encode()))
        if service.loaded:
            self._settled = headers
        return headers

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._service.open()
        author.attach(self._service, asyncio.get_running_loop())
        if self._function:
            self._preloading = asyncio.create_task(self._preload(self._function))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._preloading:
            self._preloading.cancel()
        author.detach()
        with suppress(TimeoutError):  # what is in flight has had its time; what is left of it must not take another
            await asyncio.wait_for(self._service.close(), self._service.settings.grace_period)
        await send({"type": "lifespan.shutdown.complete"})

    async def _preload(self, function: FunctionHost) -> None:
        """Import the function once the model is there: the first answer must not wait for both."""
        for served in self._service.unready():
            await served.tried.wait()
        await function.preload()
        if function.error:
            self._service.gives_up(function.error)


def _endpoint(request: Request, match: Match | None) -> Endpoint:
    path = request.scope["path"]
    if match is None:
        raise UnknownPath(path)
    request.parameters = match.parameters
    return match.endpoint(request.scope["method"], path)


def _refuse(request: Request, error: ScalezeroError) -> Response:
    response = status.error_response(error)
    level = logging.WARNING if response.status >= _SERVER_FAULT else logging.DEBUG
    if _log.isEnabledFor(level):
        facts = {"status": response.status, "code": error.code, "reason": error.message}
        _log.log(level, "request refused", extra={**_facts(request), **facts})
    return response


def _facts(request: Request) -> dict[str, object]:
    """What a log line says of a request, with what joins it to the caller's own logs and traces."""
    facts: dict[str, object] = {"method": request.scope["method"], "path": request.scope["path"]}
    for name in (b"x-request-id", b"traceparent"):
        value = request.header(name)
        if value:
            facts["request_id" if name == b"x-request-id" else "traceparent"] = value.decode("latin-1")
    return facts
