"""The application of one port: the route table selects a handler; the author's function gets all other requests.

    admit(request)           checks the head of a request, and refuses it before its body arrives
    begin(exchange)          handler.direct: answers by a plain call or a callback
                             handler.answer: answers in a coroutine, if `direct` returns False
                             the author's function: answers over ASGI
    refuse(fault, request)   builds the response to a request that the transport refuses, in the form of its protocol

Only this module converts errors to responses.
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
from runtime.frontends.functions import AnswerAborted, ClientDisconnected, FunctionHost, FunctionRequest, SendWrapper
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
SCALEZERO: Final = Owner("scalezero", ("/healthz",), error_answer)  # also owns every path that no protocol owns


class Handler(Protocol):
    """The handler of a route."""

    def direct(self, exchange: "Exchange") -> bool:
        """Answer without a task, now or from a callback. Return False if only `answer` can. Raises `ScalezeroError`."""

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`."""


class Application:
    """The application of one port: its route table, and the service that all ports share."""

    def __init__(
        self,
        service: "Service",
        endpoints: Endpoints | None = None,
        *,
        function: FunctionHost | None = None,
        listener: Listener | None = None,
        torchserve: "TorchServe | None" = None,
    ) -> None:
        """Mount the routes of a port. `endpoints` may be shared; `listener` is an additional port, None the main port.

        The main port serves the predict API, the operational endpoints, the protocols that the settings select and the
        author's function. An additional port serves only its protocols. Raises `BadSetting` for an unknown protocol.
        """
        endpoints = endpoints or Endpoints(service, function)
        settings = service.settings
        self._service = service
        self._function = function
        if listener is None:
            builtin = [*endpoints.routes(SCALEZERO, self), *predict_api_routes(service, self)]
            protocols, generic = catalogue.mounted(settings, function=function is not None)
        else:
            builtin, generic = [], frozenset(listener.protocols)
            protocols = catalogue.selected(listener.protocols, setting="SCALEZERO_LISTEN")
        self.protocols = protocols
        self._routes = mount(
            protocols,
            builtin=builtin,
            default=SCALEZERO if listener is None else mounting.port_owner(protocols) or SCALEZERO,
            context=mounting.context(
                protocols, service=service, edge=self, endpoints=endpoints, listener=listener, torchserve=torchserve
            ),
            generic=generic.__contains__,
        )
        self._listener = listener
        self._torchserve = torchserve
        self._access_log = settings.access_log
        self._cross_origin = CrossOrigin(settings.cors_origins) if settings.cors_origins else None
        self._identity_cache: Headers | None = None
        service.on_change.append(self._clear_identity)

    def begin(self, exchange: "Exchange") -> None:
        """Answer a request, directly if its handler can, otherwise in a task."""
        request = exchange.request
        if self._cross_origin is not None and (answer := self._cross_origin.preflight(request)):
            self.reply(exchange, answer)
            return
        route, request.match = self._routes.find(request)
        if route is None:
            if self._function is not None and self._is_for_function(request):
                exchange.serve(partial(self._call, self._function, request))
                return
        elif route.for_events and self._function is not None and not self._answers_events(exchange, self._function):
            return
        try:
            handler = self._handler(request) if route is None else route.handler
            if not handler.direct(exchange):
                exchange.run(self._answer(exchange, handler))
        except Exception as error:  # noqa: BLE001 - every error must get a response
            self.reply(exchange, self.answer_error(error, request))

    def admit(self, request: Request) -> bool:
        """Check the head of a request before its body arrives. Return True for a stream. Raises `ScalezeroError`."""
        route, _ = self._routes.find(request)
        if route is None:
            return False
        stream: bool = route.handler.admit(request)
        return stream

    def _is_for_function(self, request: Request) -> bool:
        """Return whether the author's function gets the request: no route and no owner of a prefix handles it."""
        match = request.match
        routed = match is not None and (match.allows(request.method) or not match.generic)
        return not routed and self._routes.prefix_owner(request.path) is None

    def _answers_events(self, exchange: "Exchange", function: FunctionHost) -> bool:
        """Return whether the handler of events gets an event. If not, the author's function answers it as a request.

        That is so if it has no target for events, and there is no model. Both are known after the import.
        """
        if function.takes_events or (function.takes_events is False and self._service.models):
            return True
        if function.takes_events is None:
            exchange.run_handler(partial(self._begin_after_import, exchange, function))
        else:
            exchange.serve(partial(self._call, function, exchange.request))
        return False

    async def _begin_after_import(self, exchange: "Exchange", function: FunctionHost) -> None:
        try:
            await function.accepts_events()
        except ScalezeroError as fault:
            self._service.answered(
                self._protocol(exchange.request), code_of(fault), perf_counter() - exchange.request.started
            )
            self.reply(exchange, self.answer_error(fault, exchange.request))
        else:
            self.begin(exchange)

    def _handler(self, request: Request) -> "Handler":
        if request.match is None:
            only = self._listener.protocols if self._listener else ()
            raise UnknownPath(request.path, request.method, only=only)
        handler: Handler = request.match.route(request.method, request.path).handler
        return handler

    async def _answer(self, exchange: "Exchange", handler: "Handler") -> Answer:
        request = exchange.request
        try:
            request.reserve = exchange.reserve
            await content.inflate(request, self._service.settings.max_body_bytes)
            answer = await handler.answer(request)
        except Exception as error:  # noqa: BLE001 - as in `begin`
            answer = self.answer_error(error, request)
        self.complete(request, answer)
        return answer

    def answer_error(self, error: Exception, request: Request) -> Answer:
        """Log an error and return the response. Only the log shows the text and traceback of an internal error."""
        if isinstance(error, ScalezeroError):
            return self._refusal(error, request)
        _log.error("internal error", exc_info=error, extra=_facts(request))
        return self._refusal(InternalError(), request)

    def reply(self, exchange: "Exchange", answer: Answer) -> None:
        """Send a response of the direct path, with the common headers."""
        self.complete(exchange.request, answer)
        exchange.respond(answer)

    def refuse(self, fault: ScalezeroError, request: Request | None) -> Answer:
        """Count a request that the transport refuses before a handler sees it, and return the response."""
        if request is None:
            return SCALEZERO.refuse(fault)
        self._service.answered(self._protocol(request), code_of(fault), perf_counter() - request.started)
        answer = self._refusal(fault, request)
        self.complete(request, answer)
        return answer

    def _protocol(self, request: Request) -> str:
        """Return the protocol under which a request is counted that no handler saw."""
        owned = self._routes.match(request.path) or self._routes.prefix_owner(request.path) or self._function is None
        if self._routes.by_content(request) or owned:
            return self._routes.owner(request).name
        return functions.NAME

    def _refusal(self, fault: ScalezeroError, request: Request) -> Answer:
        """Log a failed request, and return the response in the form of the protocol that owns its path."""
        answer = self._routes.owner(request).refuse(fault)
        level = logging.WARNING if answer.status >= _SERVER_FAULT else logging.DEBUG
        if _log.isEnabledFor(level):
            facts = {"status": answer.status, "code": fault.code, "reason": fault.message}
            _log.log(level, "request refused", extra={**_facts(request), **facts})
        return answer

    async def _call(self, function: FunctionHost, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the author's function over ASGI, and measure and log the request like any other.

        A response that fails after its head stays incomplete; the transport then aborts the connection or stream.
        """
        logs.bind(_ids(request))
        answer = SendWrapper(send, lambda: self._common_headers(request))
        code = INTERNAL
        try:
            await function(FunctionRequest(scope, receive), answer)
            code = code_of_status(answer.status)
        except (ClientDisconnected, asyncio.CancelledError):
            code = CLIENT_LEFT
        except AnswerAborted as aborted:  # the call has logged the cause
            code = code_of(aborted.__cause__) if aborted.__cause__ else INTERNAL
        except ScalezeroError as fault:
            code = code_of(fault)
            await _send(self._refusal(fault, request), answer)
        finally:
            self._service.answered(functions.NAME, code, perf_counter() - request.started)
        if self._access_log:
            _log.info("request", extra={**_facts(request), "protocol": functions.NAME, "status": answer.status})

    def complete(self, request: Request, answer: Answer) -> None:
        """Compress a response if the client accepts it, add the common headers, and write the access log."""
        content.compress(request, answer)
        headers = self._common_headers(request)
        if headers is self._identity_cache:  # most responses: no protocol sets these headers, so none is replaced
            answer.headers += headers
        else:
            answer.headers = with_headers(answer.headers, headers)
        if self._access_log:
            facts = {"protocol": self._protocol(request), "status": answer.status}
            _log.info("request", extra={**_facts(request), **facts})

    def _common_headers(self, request: Request) -> Headers:
        """Return the headers of every response. The client's request ID replaces one that the response has."""
        headers = self._identity_headers() if self._identity_cache is None else self._identity_cache
        if request_id := request.header(_REQUEST_ID):
            headers = [*headers, (_REQUEST_ID, request_id)]
        if self._cross_origin is not None:
            headers = [*headers, *self._cross_origin.headers(request)]
        return headers

    def _identity_headers(self) -> Headers:
        """Return the revision and, if it is known, the model version. Cache them once a model is loaded."""
        service = self._service
        revision, version = service.settings.revision, service.version
        headers = [(b"x-revision", revision.encode())] if revision else []
        if version:
            headers.append((b"x-model-version", version.encode()))
        if service.loaded:
            self._identity_cache = headers
        return headers

    def _clear_identity(self) -> None:
        self._identity_cache = None


async def _send(answer: Answer, send: Send) -> None:
    """Send a complete response over ASGI."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


def _facts(request: Request) -> dict[str, object]:
    """Return the fields that describe a request in a log line."""
    return {"method": request.method, "path": request.path, **_ids(request)}


def _ids(request: Request) -> dict[str, object]:
    """Return the request ID and the trace context, which correlate log lines with the client's logs and traces."""
    names = {"request_id": _REQUEST_ID, "traceparent": b"traceparent"}
    return {name: value.decode("latin-1") for name, header in names.items() if (value := request.header(header))}
