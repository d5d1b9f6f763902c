"""Streams that answer each message like the unary call with the same message.

The messages of a stream are answered concurrently, so that they share runs; the responses are sent in the order of the
messages. The number of messages in flight is limited: at the limit the stream is not read, and HTTP/2's flow control
stops the client.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InternalError, ScalezeroError
from runtime.frontends import content
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.messages import Message, Messages
from runtime.frontends.grpc.streams import StreamCall
from runtime.http.messages import Answer, Buffer, Request

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge

MAX_IN_FLIGHT: Final = 64  # messages in flight in one stream: enough for two batches of the largest usual size


class PerMessage:
    """A method of `streams` that calls a unary handler for each message."""

    def __init__(
        self,
        handler: Any,  # noqa: ANN401 - any handler of `unary`
        edge: "Edge",
        limit: int,
        *,
        wrap: Callable[[Buffer], bytes],
        fail: Callable[[ScalezeroError, Buffer], bytes],
    ) -> None:
        """`limit` is the largest size of a decompressed message, in bytes.

        `wrap` converts a message of the handler to a message of the stream. `fail` builds that message from an error
        and the message that caused it (empty if it could not be decompressed), or raises the error, which ends the
        stream.
        """
        self._handler = handler
        self._edge = edge
        self._limit = limit
        self._wrap = wrap
        self._fail = fail

    def __call__(self, messages: Messages, call: StreamCall) -> AsyncGenerator[bytes, None]:
        """Yield the responses."""
        head = framing.without_codings(call.request)
        return in_order(messages, partial(self._answer, head), limit=self._limit)

    async def _answer(self, head: Request, message: Message) -> bytes:
        request = head.with_body(message.frame)
        request.reserve = message.hold
        try:
            if framing.compressed(request):
                inflated = await content.run_slices(framing.inflated_message(request, self._limit))
                request.body = framing.frame(inflated, gzip=False)
            answer = await _content(await self._handler.answer(request))
        except Exception as error:  # noqa: BLE001 - an internal error of one message must not fail the others
            self._edge.answer_error(error, request)
            fault = error if isinstance(error, ScalezeroError) else InternalError()
            return self._fail(fault, b"" if framing.compressed(request) else framing.view(request))
        return self._wrap(answer)


async def _content(answer: Answer) -> memoryview:
    """Return the message in the uncompressed response to a unary call."""
    body = answer.body
    if isinstance(body, AsyncIterator):
        body = b"".join([piece async for piece in body])
    elif not isinstance(body, bytes):
        body = b"".join(body)
    return memoryview(body)[framing.PREFIX :]


async def in_order(
    messages: Messages, answer: Callable[[Message], Awaitable[bytes]], *, limit: int
) -> AsyncGenerator[bytes, None]:
    """Yield the response to each message, in their order. Raise an error of the stream after the responses before it.

    At most `MAX_IN_FLIGHT` messages, or `limit` bytes of messages, are in flight.
    """
    pipeline = _Pipeline(messages, answer, limit)
    reading = asyncio.create_task(pipeline.read())
    try:
        async for each in pipeline.answers():
            yield each
    finally:
        await pipeline.close(reading)


class _Pipeline:
    """The messages in flight in one stream."""

    def __init__(self, messages: Messages, answer: Callable[[Message], Awaitable[bytes]], limit: int) -> None:
        self._messages = messages
        self._answer = answer
        self._limit = limit
        self._queue: asyncio.Queue[asyncio.Task[bytes] | Exception | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[bytes]] = set()
        self._in_flight = 0  # messages whose responses are not sent
        self._bytes = 0  # of messages that are not answered
        self._progress = asyncio.Event()

    async def read(self) -> None:
        """Read the messages and start a task to answer each; wait at the limit."""
        try:
            while (message := await self._messages.take()) is not None:
                self._in_flight += 1
                self._bytes += len(message.frame)
                task = asyncio.create_task(self._answered(message))
                self._tasks.add(task)
                self._queue.put_nowait(task)
                while self._in_flight >= MAX_IN_FLIGHT or self._bytes >= self._limit:
                    self._progress.clear()
                    await self._progress.wait()
        except Exception as error:  # noqa: BLE001 - `answers` raises it
            self._queue.put_nowait(error)
        else:
            self._queue.put_nowait(None)

    async def answers(self) -> AsyncGenerator[bytes, None]:
        """Yield the responses in the order of their messages. Raises the error that ended the stream, after them."""
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            answer = await item
            self._tasks.discard(item)
            self._in_flight -= 1
            self._progress.set()
            yield answer

    async def close(self, reading: "asyncio.Task[None]") -> None:
        """Cancel all tasks. A request that is still queued for a run never runs."""
        tasks = [reading, *self._tasks]
        for task in tasks:
            task.cancel()
        self._tasks.clear()  # breaks a reference cycle: the frames of their exceptions reference this object
        await asyncio.wait(tasks)

    async def _answered(self, message: Message) -> bytes:
        try:
            return await self._answer(message)
        finally:
            message.release()
            self._bytes -= len(message.frame)
            self._progress.set()
