"""Streaming calls: the messages of the client, of the server, or of both are a stream.

    transport ─► Messages ─► the method: async def method(messages, call) -> AsyncIterator[bytes] ─► frames, trailers

The response starts with its first message, even if the client has not sent all of its messages. An error before the
first message is a Trailers-Only response; a later error is in the trailers. `grpc-timeout` limits the whole call. If
the client disconnects, the method is cancelled. If the transport ends the call (the client is too slow, or the process
ends), the response still gets its trailers.

A method reads its messages one at a time from an asynchronous iterator, or is a `PerMessage` (see `pipeline`), which
answers several messages concurrently and in order.
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

_PIECE: Final = 256 * 1024  # bytes of a response that are written at once
_AT_ONCE: Final = 64 * 1024  # bytes of a message that are compressed on the event loop: about a millisecond
_GZIP: Final = (b"grpc-encoding", b"gzip")


class StreamCall:
    """The call of a streaming method."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange

    @property
    def request(self) -> Request:
        """The head of the call."""
        return self._exchange.request

    @property
    def closing(self) -> bool:
        """Whether the server is shutting down. An endless response must end then."""
        return self._exchange.server.closing


StreamMethod: TypeAlias = Callable[[Messages, StreamCall], AsyncGenerator[bytes, None]]


class Streaming:
    """The handler of a streaming method."""

    def __init__(self, method: StreamMethod, edge: "Edge", limit: int) -> None:
        """`method` may raise `ScalezeroError`; `limit` is the largest size of a decompressed message, in bytes."""
        self._method = method
        self._edge = edge
        self._limit = limit

    def direct(self, exchange: "Exchange") -> bool:
        """Start the task that answers."""
        response = _StreamResponse(exchange, self._method, self._edge, self._limit)
        exchange.on_error = response.end
        exchange.run_handler(response.run)
        return True


class _StreamResponse:
    """The response to one call."""

    __slots__ = ("_edge", "_exchange", "_gzip", "_limit", "_method")

    def __init__(self, exchange: "Exchange", method: StreamMethod, edge: "Edge", limit: int) -> None:
        self._exchange = exchange
        self._method = method
        self._edge = edge
        self._limit = limit
        self._gzip = framing.wants_gzip(exchange.request)

    async def run(self) -> None:
        """Answer the whole call within its timeout."""
        try:
            until = deadline(self._exchange.request)
            if until == math.inf:
                await self._answer()
            else:
                await self._answer_until(until)
        except Exception as error:  # noqa: BLE001 - `Edge.answer_error` logs internal errors
            self.end(error)
        else:
            self.end(None)

    def end(self, error: Exception | None) -> None:
        """End the response with the trailers; None: the call succeeded."""
        exchange = self._exchange
        if exchange.cancelled or exchange.answered:
            return
        request = exchange.request
        answer = framing.end() if error is None else self._edge.answer_error(error, request)
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
