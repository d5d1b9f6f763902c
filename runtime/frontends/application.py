"""The one application: requests to handlers by the route table, all else to the author's function.

    admit(request)           the head alone: what no body could mend is refused at once
    begin(exchange)          handler.direct: answered by a plain call or a callback
                             handler.answer: a coroutine, where `direct` returns False
                             the author's function: over ASGI
    refuse(fault, request)   the answer to what the transport refuses, from the protocol that owns the request

Errors become answers here, and nowhere else.
"""

import asyncio
import logging
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol

from runtime.configuration.listeners import Listener
from runtime.errors import InternalError, ScalezeroError, UnknownPath
from runtime.frontends import catalogue, content, functions, mounting
from runtime.frontends.cross_origin import CrossOrigin
from runtime.frontends.endpoints import Endpoints
from runtime.frontends.functions import CallerGone, FunctionHost, FunctionRequest, Passing
from runtime.frontends.mounting import mount
from runtime.frontends.predict_api import routes as predict_api_routes
from runtime.frontends.routes import Owner
from runtime.http.asgi import Receive, Scope, Send
from runtime.http.messages import Answer, Headers, Request, with_headers
from runtime.protocols.refusals import error_answer
from runtime.status import CLIENT_LEFT, INTERNAL, code_of, code_of_status
from runtime.telemetry import logs

if TYPE_CHECKING:
    from runtime.frontends.torchserve.guarding import TorchServe
    from runtime.http.exchange import Exchange
    from runtime.service import Service

_log = logging.getLogger("scalezero.request")
_REQUEST_ID: Final = b"x-request-id"
_SERVER_FAULT: Final = 500
OURS: Final = Owner("scalezero", ("/healthz",), error_answer)  # and every path that no protocol owns


class Handler(Protocol):
    """What answers a route."""

    def direct(self, exchange: "Exchange") -> bool:
        """Answer without a task, now or from a callback; False where `answer` has to. Raises `ScalezeroError`."""

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`."""


class Application:
    """What one port serves: its route table over the service that all ports share."""

    def __init__(
        self,
        service: "Service",
        endpoints: Endpoints | None = None,
        *,
        function: FunctionHost | None = None,
        listener: Listener | None = None,
        torchserve: "TorchServe | None" = None,
    ) -> None:
        """`endpoints` may be shared; `listener` is a port of its own, None the main one.

        The main port serves the predict API, the operational endpoints, the protocols that the settings select and the
        author's function; another one its protocols alone. Raises `BadSetting` for a protocol that is not known.
        """
        endpoints = endpoints or Endpoints(service, function)
        settings = service.settings
        self._service = service
        self._function = function
        if listener is None:
            ours = [*endpoints.routes(OURS, self), *predict_api_routes(service, self)]
            protocols, generic = catalogue.mounted(settings, function=function is not None)
        else:
            ours, generic = [], frozenset(listener.protocols)
            protocols = catalogue.selected(listener.protocols, setting="SCALEZERO_LISTEN")
        self.protocols = protocols
        self._routes = mount(
            protocols,
            ours=ours,
            default=OURS if listener is None else mounting.owner_of_port(protocols) or OURS,
            context=mounting.context(
                protocols, service=service, edge=self, endpoints=endpoints, listener=listener, torchserve=torchserve
            ),
            generic=generic.__contains__,
        )
        self._listener = listener
        self._torchserve = torchserve
        self._access_log = settings.access_log
        self._cross_origin = CrossOrigin(settings.cors_origins) if settings.cors_origins else None
        self._settled: Headers | None = None
        service.on_change.append(self._forget)

    def begin(self, exchange: "Exchange") -> None:
        """Answer a request: directly where its handler can, else in a task."""
        request = exchange.request
        if self._cross_origin is not None and (answer := self._cross_origin.preflight(request)):
            self.reply(exchange, answer)
            return
        route = self._routes.by_content(request)
        if route is None:
            request.match = self._routes.match(request.path)
            if self._function is not None and self._is_for_function(request):
                exchange.serve(partial(self._call, self._function, request))
                return
        try:
            handler = self._handler(request) if route is None else route.handler
            if not handler.direct(exchange):
                exchange.run(self._answer(exchange, handler))
        except Exception as error:  # noqa: BLE001 - the last line of defence
            self.reply(exchange, self.told(error, request))

    def admit(self, request: Request) -> bool:
        """Refuse by its head a request that no body could mend. Raises `ScalezeroError`. True: it is a stream."""
        route = self._routes.by_content(request)
        if route is None:
            return False
        stream: bool = route.handler.admit(request)
        return stream

    def _is_for_function(self, request: Request) -> bool:
        """Whether neither a route nor the owner of a prefix takes the request."""
        match = request.match
        taken = match is not None and (match.takes(request.method) or not match.generic)
        return not taken and self._routes.claimed(request.path) is None

    def _handler(self, request: Request) -> "Handler":
        if request.match is None:
            only = self._listener.protocols if self._listener else ()
            raise UnknownPath(request.path, request.method, only=only)
        handler: Handler = request.match.route(request.method, request.path).handler
        return handler

    async def _answer(self, exchange: "Exchange", handler: "Handler") -> Answer:
        request = exchange.request
        try:
            request.hold = exchange.hold
            await content.inflate(request, self._service.settings.max_body_bytes)
            answer = await handler.answer(request)
        except Exception as error:  # noqa: BLE001 - as above
            answer = self.told(error, request)
        self.complete(request, answer)
        return answer

    def told(self, error: Exception, request: Request) -> Answer:
        """The answer to an error; one that is a bug of ours is logged whole and answered without its text."""
        if isinstance(error, ScalezeroError):
            return self._refusal(error, request)
        _log.error("internal error", exc_info=error, extra=_facts(request))
        return self._refusal(InternalError(), request)

    def reply(self, exchange: "Exchange", answer: Answer) -> None:
        """Send an answer of the direct path, with what every answer has."""
        self.complete(exchange.request, answer)
        exchange.respond(answer)

    def refuse(self, fault: ScalezeroError, request: Request | None) -> Answer:
        """Count what the transport refuses, of which no handler knows, and return the answer to it."""
        if request is None:
            return OURS.refuse(fault)
        self._service.answered(self._protocol(request), code_of(fault), perf_counter() - request.started)
        answer = self._refusal(fault, request)
        self.complete(request, answer)
        return answer

    def _protocol(self, request: Request) -> str:
        """The protocol that a request which no handler saw is counted under."""
        ours = self._routes.match(request.path) or self._routes.claimed(request.path) or self._function is None
        if self._routes.by_content(request) or ours:
            return self._routes.owner(request).name
        return functions.NAME

    def _refusal(self, fault: ScalezeroError, request: Request) -> Answer:
        """The answer to a request that failed, in the form of the protocol that owns its path."""
        answer = self._routes.owner(request).refuse(fault)
        level = logging.WARNING if answer.status >= _SERVER_FAULT else logging.DEBUG
        if _log.isEnabledFor(level):
            facts = {"status": answer.status, "code": fault.code, "reason": fault.message}
            _log.log(level, "request refused", extra={**_facts(request), **facts})
        return answer

    async def _call(self, function: FunctionHost, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the author's function answer over ASGI, and measure and log that as any other answer.

        Raises `AnswerBroken`: the transport then breaks the answer off.
        """
        logs.bind(_ids(request))
        answer = Passing(send, lambda: self._in_every_answer(request))
        code = INTERNAL
        try:
            await function(FunctionRequest(scope, receive), answer)
            code = code_of_status(answer.status)
        except (CallerGone, asyncio.CancelledError):
            code = CLIENT_LEFT
        except ScalezeroError as fault:
            code = code_of(fault)
            await _send(self._refusal(fault, request), answer)
        finally:
            self._service.answered(functions.NAME, code, perf_counter() - request.started)
        if self._access_log:
            _log.info("request", extra={**_facts(request), "status": answer.status})

    def complete(self, request: Request, answer: Answer) -> None:
        """Add what every answer has."""
        content.compress(request, answer)
        headers = self._in_every_answer(request)
        if headers is self._settled:  # most answers: no protocol has these headers
            answer.headers += headers
        else:
            answer.headers = with_headers(answer.headers, headers)
        if self._access_log:
            _log.info("request", extra={**_facts(request), "status": answer.status})

    def _in_every_answer(self, request: Request) -> Headers:
        """The headers of every answer; the client's request id takes the place of one that the answer has."""
        headers = self._identity() if self._settled is None else self._settled
        if request_id := request.header(_REQUEST_ID):
            headers = [*headers, (_REQUEST_ID, request_id)]
        if self._cross_origin is not None:
            headers = [*headers, *self._cross_origin.headers(request)]
        return headers

    def _identity(self) -> Headers:
        """Who answers: the revision and, as soon as it is known, the model version. Settled once a model is loaded."""
        service = self._service
        revision, version = service.settings.revision, service.version
        headers = [(b"x-revision", revision.encode())] if revision else []
        if version:
            headers.append((b"x-model-version", version.encode()))
        if service.loaded:
            self._settled = headers
        return headers

    def _forget(self) -> None:
        self._settled = None


async def _send(answer: Answer, send: Send) -> None:
    """Send a whole answer over ASGI."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


def _facts(request: Request) -> dict[str, object]:
    """What a log line says of a request, with what joins it to the client's own logs and traces."""
    return {"method": request.method, "path": request.path, **_ids(request)}


def _ids(request: Request) -> dict[str, object]:
    """What joins the log lines of a request to the client's own logs and traces."""
    names = {"request_id": _REQUEST_ID, "traceparent": b"traceparent"}
    return {name: value.decode("latin-1") for name, header in names.items() if (value := request.header(header))}
