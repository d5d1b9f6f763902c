"""Calls whose messages, or answers, are a stream.

    transport ─► Messages ─► the method: async def method(messages, call) -> AsyncIterator[bytes] ─► frames, trailers

An answer begins with its first message, before the client has sent all of its own. An error before that is
Trailers-Only; behind it, the trailers tell it. `grpc-timeout` bounds the whole call. A client that leaves cancels the
method where it waits. What the transport ends (a client that is late, the end of the process) gets its trailers too.

A method takes messages as an asynchronous iterator, one at a time, or is an `Each` (see `pipeline`): answers in the
order of the messages, several under way.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias

from runtime.errors import CallTimedOut
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.messages import Messages
from runtime.frontends.grpc.unary import deadline
from runtime.http.messages import Answer, Headers, Request
from runtime.protocols.grpc_errors import HEADERS, trailers_of

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge
    from runtime.http.exchange import Exchange

_PIECE: Final = 256 * 1024  # bytes of an answer that are written at once
_AT_ONCE: Final = 64 * 1024  # bytes of a message that are compressed on the event loop: a millisecond
_GZIP: Final = (b"grpc-encoding", b"gzip")


class StreamCall:
    """What a method may know of its call."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange

    @property
    def request(self) -> Request:
        """The head of the call."""
        return self._exchange.request

    @property
    def closing(self) -> bool:
        """Whether the server ends, so that an endless answer has to."""
        return self._exchange.server.closing


StreamMethod: TypeAlias = Callable[[Messages, StreamCall], AsyncGenerator[bytes, None]]


class Streaming:
    """The handler of such a method. The method may raise `ScalezeroError`."""

    def __init__(self, method: StreamMethod, edge: "Edge", limit: int) -> None:
        """`limit` is the size of an uncompressed message, in bytes."""
        self._method = method
        self._edge = edge
        self._limit = limit

    def direct(self, exchange: "Exchange") -> bool:
        """Start the task that answers."""
        answering = _Answering(exchange, self._method, self._edge, self._limit)
        exchange.on_fault = answering.end
        exchange.work(answering.run)
        return True


class _Answering:
    """The answer to one call."""

    __slots__ = ("_edge", "_exchange", "_gzip", "_limit", "_method")

    def __init__(self, exchange: "Exchange", method: StreamMethod, edge: "Edge", limit: int) -> None:
        self._exchange = exchange
        self._method = method
        self._edge = edge
        self._limit = limit
        self._gzip = framing.wants_gzip(exchange.request)

    async def run(self) -> None:
        """Answer the whole call, within its time."""
        try:
            until = deadline(self._exchange.request)
            if until == math.inf:
                await self._answer()
            else:
                await self._answer_until(until)
        except Exception as error:  # noqa: BLE001 - `Edge.told` logs a bug of ours
            self.end(error)
        else:
            self.end(None)

    def end(self, error: Exception | None) -> None:
        """End the answer, with what went wrong."""
        exchange = self._exchange
        if exchange.gone or exchange.answered:
            return
        request = exchange.request
        answer = framing.end() if error is None else self._edge.told(error, request)
        if exchange.begun:
            exchange.write_end(trailers_of(answer))
        else:
            self._edge.reply(exchange, answer)

    async def _answer_until(self, until: float) -> None:
        began = self._exchange.request.started
        try:
            async with asyncio.timeout(until - perf_counter()) as time:
                await self._answer()
        except TimeoutError:
            if time.expired():
                raise CallTimedOut(timeout=until - began) from None
            raise

    async def _answer(self) -> None:
        messages = Messages(self._exchange, self._limit)
        async with aclosing(self._method(messages, StreamCall(self._exchange))) as answers:
            async for message in answers:
                await self._send(message)

    async def _send(self, message: bytes) -> None:
        exchange = self._exchange
        frame = await self._framed(message)
        if not exchange.begun:
            exchange.write_head(200, self._head(), length=None)
        for start in range(0, len(frame), _PIECE):
            exchange.write_piece(frame[start : start + _PIECE])
            await exchange.drain()

    def _head(self) -> Headers:
        answer = Answer(200, b"", [*HEADERS, *([_GZIP] if self._gzip else [])], [])
        self._edge.complete(self._exchange.request, answer)
        return answer.headers

    async def _framed(self, message: bytes) -> bytes:
        if self._gzip and len(message) > _AT_ONCE:
            return await asyncio.to_thread(framing.frame, message, gzip=True)
        return framing.frame(message, gzip=self._gzip)
