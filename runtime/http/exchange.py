"""One request, and its answer. The body is whole, but for a stream's."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Protocol

from runtime.errors import InternalError, ScalezeroError
from runtime.http.asgi import Asgi, AsgiApplication
from runtime.http.messages import Answer, Headers, Pieces, Request

if TYPE_CHECKING:
    from runtime.http.connection import Connection
    from runtime.http.incoming import Incoming


_log = logging.getLogger("scalezero.http")


class Application(Protocol):
    """What a server serves."""

    def admit(self, request: Request) -> bool:
        """Look at a head whose body is still to come over HTTP/2. Raises `ScalezeroError`: the answer, at once.

        True: the request is a stream. `begin` is called now, and `Exchange.incoming` is its body.
        """

    def begin(self, exchange: "Exchange") -> None:
        """Answer a request: by `respond`, now or from a callback, or by `run` or `serve`, which start a task."""

    def refuse(self, fault: ScalezeroError, request: Request | None) -> Answer:
        """Build the answer to a request that the transport refuses; None: not even its head was read."""


class Exchange:
    """A request and the way to its answer.

    `on_gone` is called where the client leaves before the answer. `on_fault` is called where the transport ends a
    stream: it has to end the answer at once; `on_gone` follows.
    """

    __slots__ = (
        "_asgi",
        "_task",
        "answered",
        "begun",
        "connection",
        "gone",
        "incoming",
        "on_fault",
        "on_gone",
        "request",
        "server",
        "size",
    )

    def __init__(self, connection: "Connection", request: Request) -> None:
        self.connection = connection
        self.server = connection.server
        self.request = request
        self.size = 0  # bytes of the body that the budget counts
        self.begun = False  # the head of the answer is written
        self.answered = False  # the last byte of the answer is written
        self.gone = False  # nobody waits for the answer any more
        self.on_gone: Callable[[], object] | None = None
        self.on_fault: Callable[[ScalezeroError], None] | None = None
        self.incoming: Incoming | None = None  # the body of a stream
        self._asgi: Asgi | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Have the application answer; where it raises instead, that is logged and answered with 500."""
        try:
            self.server.application.begin(self)
        except Exception:  # noqa: BLE001 - `fail` logs it
            self.fail()

    def run(self, answering: Coroutine[object, object, Answer]) -> None:
        """Answer by a coroutine, which is cancelled where the client leaves."""
        self.on_gone = self._run(self._respond_later(answering)).cancel

    def work(self, answering: Callable[[], Coroutine[object, object, None]]) -> None:
        """Answer by a coroutine that writes the answer itself, and is cancelled where the client leaves."""
        self.on_gone = self._run(self._work(answering)).cancel

    def serve(self, application: AsgiApplication) -> None:
        """Answer by an ASGI application."""
        self._asgi = Asgi(self)
        self._run(self._asgi.run(application))

    def respond(self, answer: Answer) -> None:
        """Answer. Whole bodies leave in one write, pieces as the client reads them."""
        if self.gone or self.answered:
            return
        if isinstance(answer.body, bytes):
            self.write_whole(answer.status, answer.headers, answer.body, answer.trailers)
        else:
            self.on_gone = self._run(self._send(answer)).cancel

    def fail(self) -> None:
        """Log the exception that is being handled; answer 500, or break off an answer that has begun."""
        _log.exception("the application failed", extra={"path": self.request.path})
        self.end_badly()

    def end_badly(self) -> None:
        """Answer 500 where nothing of an answer is written, else break the answer off."""
        if self.gone or self.answered:
            return
        if self.begun:
            self.break_off()
        else:
            self.respond(self._last_answer())

    def _last_answer(self) -> Answer:
        """The answer where the application failed, in the form of the protocol that owns the request."""
        try:
            return self.server.application.refuse(InternalError(), self.request)
        except Exception:  # noqa: BLE001 - not even that works, and the client waits
            _log.exception("the application could not refuse", extra={"path": self.request.path})
            return Answer(500, b"", [])

    def hold(self, size: int) -> None:
        """Count more bytes of the request's body, inflated or of a stream. Raises `Overloaded`."""
        if not self.gone:
            self.server.budget.take(size)
            self.size += size

    def release(self, size: int) -> None:
        """Count bytes of the body out before the answer's end."""
        size = min(size, self.size)
        self.server.budget.give_back(size)
        self.size -= size

    def leave(self) -> None:
        """Note that the client has left."""
        if not (self.gone or self.answered):
            self._let_go()
            self._over()

    def abandon(self, fault: ScalezeroError) -> None:
        """Answer with the fault where nothing of an answer is written, else break the answer off."""
        if self.gone or self.answered:
            return
        if self.on_fault is not None:
            leave = self.on_gone  # the end of the answer forgets it
            self.on_fault(fault)
            self.on_gone = leave
            self._let_go()
        elif self.begun:
            self.break_off()
        else:
            self.respond(self.server.application.refuse(fault, self.request))
            self._let_go()

    # What each version of HTTP does in its way.

    def write_whole(self, status: int, headers: Headers, body: bytes, trailers: Headers | None = None) -> None:
        """Write a whole answer; its length is counted here. HTTP/1.1 leaves trailers out."""
        raise NotImplementedError

    def write_head(self, status: int, headers: Headers, *, length: int | None) -> None:
        """Begin an answer whose body comes in pieces; `length` is its size, where that is known."""
        raise NotImplementedError

    def write_piece(self, piece: bytes) -> None:
        """Write a piece of the body."""
        raise NotImplementedError

    def write_end(self, trailers: Headers) -> None:
        """End the answer."""
        raise NotImplementedError

    def break_off(self) -> None:
        """Let the client see that the answer is not whole."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Wait until the client reads."""
        raise NotImplementedError

    def finished(self) -> None:
        """Note that the last byte is written. Each version calls it when it ends an answer."""
        self.answered = True
        self.on_gone = None  # it refers back to the exchange: without it the garbage collector has nothing to find
        if self._asgi is not None:
            self._asgi.wake()
        self._over()

    def _let_go(self) -> None:
        self.gone = True
        if self._asgi is not None:
            self._asgi.wake()
        if self.on_gone is not None:
            self.on_gone()
            # The loop has the task that this has cancelled, whose exception holds frames that hold the exchange.
            self.on_gone = self._task = None

    def _over(self) -> None:
        if self.size:
            self.server.budget.give_back(self.size)
            self.size = 0

    def _run(self, answering: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        self._task = self.server.loop.create_task(answering)  # the loop itself holds tasks weakly
        return self._task

    async def _work(self, answering: Callable[[], Coroutine[object, object, None]]) -> None:
        try:
            await answering()
        except Exception:  # noqa: BLE001 - `fail` logs it
            self.fail()

    async def _respond_later(self, answering: Coroutine[object, object, Answer]) -> None:
        try:
            answer = await answering
        except Exception:  # noqa: BLE001 - `fail` logs it
            self.fail()
        else:
            self.respond(answer)

    async def _send(self, answer: Answer) -> None:
        """Send an answer in pieces. A fault in the middle breaks it off."""
        assert not isinstance(answer.body, bytes)  # noqa: S101 - `respond` has seen it
        self.write_head(answer.status, answer.headers, length=None)
        try:
            async for piece in _each(answer.body):
                self.write_piece(piece)
                await self.drain()
                if self.gone:
                    return
        except Exception:  # noqa: BLE001 - `fail` logs it
            self.fail()
        else:
            self.write_end(answer.trailers or [])


async def _each(body: Pieces) -> AsyncIterator[bytes]:
    if isinstance(body, AsyncIterator):
        async for piece in body:
            yield piece
    else:
        for piece in body:
            yield piece
            await asyncio.sleep(0)  # making a piece takes milliseconds: others have their turn in between
