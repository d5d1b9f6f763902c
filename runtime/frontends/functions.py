"""Hosts the author's function: functions-framework loads it, a bounded thread pool runs it, beside the protocols.

The only module that imports functions_framework, flask and a2wsgi, and it does so behind the model's start: a function
is imported while nothing better waits for the CPU. Source of the contract: functions-framework, function signatures.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import orjson

from runtime.errors import DeadlineExceeded, FunctionFailed, InvalidInput, QueueFull, ScalezeroError
from runtime.frontends.gone import CallerGone
from runtime.frontends.http import Headers, Message, Receive, Request, Scope, Send
from runtime.protocols import refusals as status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    import flask
    from a2wsgi import WSGIMiddleware
    from werkzeug.exceptions import InternalServerError

P = ParamSpec("P")
R = TypeVar("R")
NAME = "function"  # as the measurements call it
_log = logging.getLogger("scalezero.function")
_ASCII = 0x7F  # the last of it
_CRASHED = HTTPStatus.INTERNAL_SERVER_ERROR.value
_RETRY_AFTER = 1  # seconds
_LEFT = "scalezero.left"  # in a call's scope: the future that is done once its caller has left


class FunctionHost:
    """One HTTP function in the functions-framework sense, as an ASGI application."""

    def __init__(self, source: Path, target: str, *, threads: int, waiting: int, max_body: int, timeout: float) -> None:
        """At most `threads` calls run at once and `waiting` more wait; the rest are refused with `QueueFull`.

        Who waited for a thread for `timeout` seconds gets `DeadlineExceeded`; the time of the import does not count.
        A body of more than `max_body` bytes is refused with `PayloadTooLarge`.
        """
        self.error: FunctionFailed | None = None
        self._source = source
        self._target = target
        self._threads = threads
        self._most = threads + waiting
        self._max_body = max_body
        self._timeout = timeout
        self._calls = 0
        self._free = asyncio.Semaphore(threads)
        self._application: asyncio.Task[WSGIMiddleware] | None = None

    @property
    def ready(self) -> bool:
        """Whether the function is imported, so that a call is answered by it; `error` says why it never will be."""
        return self._application is not None and self._application.done() and self.error is None

    async def load(self) -> "WSGIMiddleware":
        """Import the function, once. Raises `FunctionFailed`, now and at every later call."""
        if self._application is None:
            self._application = asyncio.create_task(asyncio.to_thread(self._import))
        return await asyncio.shield(self._application)

    async def preload(self) -> None:
        """Load without being asked; a failure is logged, and told by readiness and to every caller."""
        try:
            await self.load()
        except FunctionFailed as error:
            _log.error("function not loaded", extra={"code": error.code, "reason": str(error)})

    async def __call__(self, request: Request, send: Send) -> None:
        """Answer one request by the author's function, once its body is there: a slow upload must not hold a thread."""
        _check_query(request.scope["query_string"])
        body = await request.rest(await request.receive(), self._max_body)
        if self._calls >= self._most:
            raise QueueFull(limit=self._most - self._threads, retry_after=_RETRY_AFTER)
        self._calls += 1
        left = asyncio.ensure_future(request.gone())
        try:
            application: Any = await self.load()
            await self._turn(left)
            try:
                await application(*_whole(request, body, left), send)
            finally:
                self._free.release()
        finally:
            left.cancel()
            self._calls -= 1

    async def _turn(self, left: "asyncio.Future[None]") -> None:
        """Wait for a free thread; the pool never gets a call that nobody waits for any more.

        Raises `CallerGone` and `DeadlineExceeded`.
        """
        began = perf_counter()
        turn = asyncio.ensure_future(self._free.acquire())
        either: set[asyncio.Future[Any]] = {turn, left}
        taken = False
        try:
            await asyncio.wait(either, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            taken = turn.done() and not left.done()
        finally:
            if not taken and not turn.cancel():  # the turn came in the same moment: it is the next one's
                self._free.release()
        if left.done():
            raise CallerGone
        if not taken:
            raise DeadlineExceeded(waited=perf_counter() - began, timeout=self._timeout)

    def _import(self) -> "WSGIMiddleware":
        from a2wsgi import WSGIMiddleware

        try:
            flask_application = _flask_application(self._target, self._source)
        except (Exception, SystemExit) as error:
            self.error = FunctionFailed(str(self._source), f"{type(error).__name__}: {error}")
            raise self.error from error
        return WSGIMiddleware(_until_left(flask_application), workers=self._threads)  # type: ignore[arg-type] # a2wsgi has its own names for wsgiref's types


def _flask_application(target: str, source: Path) -> "flask.Flask":
    """What functions-framework makes of the function; raises whatever the author's module raises."""
    import flask
    import functions_framework

    made = functions_framework.create_app(target, str(source))  # type: ignore[no-untyped-call]
    if not isinstance(made, flask.Flask):
        message = f"{target!r} is a function of functions_framework.aio; expected a plain one, not asynchronous"
        raise TypeError(message)
    made.register_error_handler(ScalezeroError, answer)
    if functions_framework.crash_handler in made.error_handler_spec[None][_CRASHED].values():  # not the author's own
        made.register_error_handler(_CRASHED, _crashed)
    return made


def _crashed(error: "InternalServerError") -> "flask.Response":
    """What the function's own fault is told as: by its type alone. Flask has logged it with its traceback.

    A function that aborts with 500 means that; its answer stays what functions-framework makes of it.
    """
    import flask
    import functions_framework

    cause = error.original_exception
    if cause is None:
        return flask.make_response(functions_framework.crash_handler(error))  # type: ignore[no-untyped-call]
    name = type(cause).__name__
    message = f"the function raised {name}; the server's log has the details"
    document = status.error_document("internal", message, {"exception": name})
    return flask.Response(orjson.dumps(document), _CRASHED, content_type="application/json")


def _until_left(application: "WSGIApplication") -> "WSGIApplication":
    """Stop an answer that comes in pieces at the next piece once its caller has left, and close what makes it."""

    def answering(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterator[bytes]":
        left: asyncio.Future[None] = environ["asgi.scope"][_LEFT]
        pieces = application(environ, start_response)
        try:
            for piece in pieces:
                if left.done():  # on the pool's thread, where a future may be looked at, if not waited for
                    break
                yield piece
        finally:
            close = getattr(pieces, "close", None)
            if close:
                close()

    return answering


def _check_query(query: bytes) -> None:
    """Refuse bytes that no URI may hold and WSGI's environment has no place for. Source: RFC 3986 section 2."""
    if not query.isascii():
        got = f"the byte 0x{next(byte for byte in query if byte > _ASCII):02x}"
        raise InvalidInput("query", got=got, expected="ASCII, all else percent-encoded")


def _whole(request: Request, body: bytes, left: "asyncio.Future[None]") -> tuple[Scope, Receive]:
    """The request as if its body had come at once: WSGI knows no other end of it than its announced length."""
    scope = request.scope
    headers = [each for each in scope["headers"] if each[0] not in {b"content-length", b"transfer-encoding"}]
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def receive_whole() -> Message:
        return messages.pop() if messages else await request.receive()

    return {**scope, _LEFT: left, "headers": [*headers, (b"content-length", b"%d" % len(body))]}, receive_whole


class Passing:
    """Lets an answer pass to the caller, adds headers at its start, and remembers its status."""

    def __init__(self, send: Send, headers: Callable[[], Headers]) -> None:
        """`headers` is asked when the answer starts: the call before may have loaded the model that they name."""
        self.status: int = HTTPStatus.INTERNAL_SERVER_ERROR  # what the server makes of no answer
        self._send = send
        self._headers = headers

    async def __call__(self, message: Message) -> None:
        """Be what ASGI calls `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._headers()]}
        await self._send(message)


def answer(error: ScalezeroError) -> "flask.Response":
    """What went wrong, in the form that the predict API tells it: for an author who catches an error himself."""
    import flask

    told = status.error_answer(error)
    headers = [(name.decode(), value.decode()) for name, value in told.headers]
    return flask.Response(told.body, told.status, headers)


def answer_errors(function: Callable[P, R]) -> "Callable[P, R | flask.Response]":
    """Decorate an HTTP function so that its faults, and what the model says of its input, are answered by `answer`.

    Our own server does so unasked. Under the plain functions-framework, which knows nothing of `ScalezeroError`, a
    client's fault would be a page with 500.
    """

    @wraps(function)
    def answering(*args: P.args, **kwargs: P.kwargs) -> "R | flask.Response":
        try:
            return function(*args, **kwargs)
        except ScalezeroError as error:
            return answer(error)

    return answering
