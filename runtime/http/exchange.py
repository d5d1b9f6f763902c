"""One request and its response. The body of the request is complete, except for a stream."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Protocol

from runtime.errors import InternalError, ScalezeroError
from runtime.http.asgi import Asgi, AsgiApplication
from runtime.http.messages import Answer, Headers, Pieces, Request

if TYPE_CHECKING:
    from runtime.http.connection import Connection
    from runtime.http.incoming import IncomingBody


_log = logging.getLogger("scalezero.http")


class Application(Protocol):
    """The application of a port."""

    def admit(self, request: Request) -> bool:
        """Check a head whose body has not arrived yet, over HTTP/2. Raises `ScalezeroError`, which is answered at once.

        Return True for a stream: `begin` is then called at once, and `Exchange.incoming` is the body.
        """

    def begin(self, exchange: "Exchange") -> None:
        """Answer a request, by `respond` (now or in a callback), or by `run`, `run_handler` or `serve` (in a task)."""

    def refuse(self, fault: ScalezeroError, request: Request | None) -> Answer:
        """Build the response to a request that the transport refuses. `request` is None if no head was read."""


class Exchange:
    """A request, and the methods that send its response.

    `on_cancel` is called if the exchange is cancelled: the client has disconnected, or the transport has sent an error
    instead. `on_error` is called if the transport ends a stream. It must end the response at once; `on_cancel` follows.
    """

    __slots__ = (
        "_asgi",
        "_task",
        "answered",
        "begun",
        "cancelled",
        "connection",
        "incoming",
        "on_cancel",
        "on_error",
        "request",
        "server",
        "size",
    )

    def __init__(self, connection: "Connection", request: Request) -> None:
        self.connection = connection
        self.server = connection.server
        self.request = request
        self.size = 0  # bytes of the body that count in the budget
        self.begun = False  # the head of the response is written
        self.answered = False  # the last byte of the response is written
        self.cancelled = False  # the response is no longer needed
        self.on_cancel: Callable[[], object] | None = None
        self.on_error: Callable[[ScalezeroError], None] | None = None
        self.incoming: IncomingBody | None = None  # the body of a stream
        self._asgi: Asgi | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Call the application. If it raises an exception, log it and answer 500."""
        try:
            self.server.application.begin(self)
        except Exception:  # noqa: BLE001 - `fail` logs it
            self.fail()

    def run(self, handler: Coroutine[object, object, Answer]) -> None:
        """Run a coroutine in a task, and send the response that it returns. It is cancelled with the exchange."""
        self.on_cancel = self._start_task(self._respond_when_done(handler)).cancel

    def run_handler(self, handler: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run a coroutine that writes the response itself in a task. It is cancelled with the exchange."""
        self.on_cancel = self._start_task(self._run_handler(handler)).cancel

    def serve(self, application: AsgiApplication) -> None:
        """Run an ASGI application in a task."""
        self._asgi = Asgi(self)
        self._start_task(self._asgi.run(application))

    def respond(self, answer: Answer) -> None:
        """Send a response: a complete body in one write, pieces as fast as the client reads them."""
        if self.cancelled or self.answered:
            return
        if isinstance(answer.body, bytes):
            self.write_whole(answer.status, answer.headers, answer.body, answer.trailers)
        else:
            self.on_cancel = self._start_task(self._send_pieces(answer)).cancel

    def fail(self) -> None:
        """Log the current exception, then `abort`."""
        _log.exception("the application failed", extra={"path": self.request.path})
        self.abort()

    def abort(self) -> None:
        """Answer 500, or reset if a part of the response is already written."""
        if self.cancelled or self.answered:
            return
        if self.begun:
            self.reset()
        else:
            self.respond(self._internal_error_answer())

    def _internal_error_answer(self) -> Answer:
        """Return the response for an internal error, in the form of the protocol that owns the path."""
        try:
            return self.server.application.refuse(InternalError(), self.request)
        except Exception:  # noqa: BLE001 - the client needs a response even then
            _log.exception("the application cannot build an error response", extra={"path": self.request.path})
            return Answer(500, b"", [])

    def reserve(self, size: int) -> None:
        """Count more bytes of the body in the budget: decompressed ones, or those of a stream. Raises `Overloaded`."""
        if not self.cancelled:
            self.server.budget.reserve(size)
            self.size += size

    def release(self, size: int) -> None:
        """Release bytes of the body from the budget before the response ends."""
        size = min(size, self.size)
        self.server.budget.release(size)
        self.size -= size

    def cancel(self) -> None:
        """Cancel the exchange: the client has disconnected, or reset the stream."""
        if not (self.cancelled or self.answered):
            self._set_cancelled()
            self._clean_up()

    def terminate(self, fault: ScalezeroError) -> None:
        """Answer with the error, or reset if a part of the response is already written."""
        if self.cancelled or self.answered:
            return
        if self.on_error is not None:
            on_cancel = self.on_cancel  # `finished` clears it
            self.on_error(fault)
            self.on_cancel = on_cancel
            self._set_cancelled()
        elif self.begun:
            self.reset()
        else:
            self.respond(self.server.application.refuse(fault, self.request))
            self._set_cancelled()

    # The methods that each version of HTTP implements.

    def write_whole(self, status: int, headers: Headers, body: bytes, trailers: Headers | None = None) -> None:
        """Write a complete response with its content-length. HTTP/1.1 omits the trailers."""
        raise NotImplementedError

    def write_head(self, status: int, headers: Headers, *, length: int | None) -> None:
        """Write the head of a response whose body follows in pieces. `length`: the body's size in bytes, if known."""
        raise NotImplementedError

    def write_piece(self, piece: bytes) -> None:
        """Write a piece of the body."""
        raise NotImplementedError

    def write_end(self, trailers: Headers) -> None:
        """End the response."""
        raise NotImplementedError

    def reset(self) -> None:
        """Show the client that the response is incomplete: reset its stream or connection."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Wait until the client can receive more."""
        raise NotImplementedError

    def finished(self) -> None:
        """Note that the last byte is written. Each version of HTTP calls this at the end of a response."""
        self.answered = True
        self.on_cancel = None  # it refers to the exchange, and a reference cycle is work for the garbage collector
        if self._asgi is not None:
            self._asgi.wake()
        self._clean_up()

    def _set_cancelled(self) -> None:
        self.cancelled = True
        if self._asgi is not None:
            self._asgi.wake()
        if self.on_cancel is not None:
            self.on_cancel()
            # The loop keeps the cancelled task. Its exception refers to frames, which refer to the exchange.
            self.on_cancel = self._task = None

    def _clean_up(self) -> None:
        if self.size:
            self.server.budget.release(self.size)
            self.size = 0
        if self.incoming is not None:
            self._close_incoming(self.incoming)

    def _close_incoming(self, incoming: "IncomingBody") -> None:
        """Drop the body of a stream."""
        raise NotImplementedError

    def _start_task(self, handler: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        self._task = self.server.loop.create_task(handler)  # the loop has only a weak reference
        return self._task

    async def _run_handler(self, handler: Callable[[], Coroutine[object, object, None]]) -> None:
        try:
            await handler()
        except Exception:  # noqa: BLE001 - `fail` logs it
            self.fail()

    async def _respond_when_done(self, handler: Coroutine[object, object, Answer]) -> None:
        try:
            answer = await handler
        except Exception:  # noqa: BLE001 - `fail` logs it
            self.fail()
        else:
            self.respond(answer)

    async def _send_pieces(self, answer: Answer) -> None:
        """Send a response in pieces. Reset if a piece cannot be made."""
        assert not isinstance(answer.body, bytes)  # noqa: S101 - checked by `respond`
        self.write_head(answer.status, answer.headers, length=None)
        try:
            async for piece in _iterate(answer.body):
                self.write_piece(piece)
                await self.drain()
                if self.cancelled:
                    return
        except Exception:  # noqa: BLE001 - `fail` logs it
            self.fail()
        else:
            self.write_end(answer.trailers or [])


async def _iterate(body: Pieces) -> AsyncIterator[bytes]:
    if isinstance(body, AsyncIterator):
        async for piece in body:
            yield piece
    else:
        for piece in body:
            yield piece
            await asyncio.sleep(0)  # a piece takes milliseconds to make; serve other requests in between
