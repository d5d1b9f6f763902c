"""Streams whose messages are answered one by one, each as the unary call of the same message would be.

Messages are answered as they come, so that those of one stream share runs; the answers leave in the order of the
messages. What is under way is bounded: then the stream is not read, and its window stops the client.
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

AT_MOST: Final = 64  # messages under way in one stream: two of the largest usual batches


class Each:
    """A method of `streams`: a unary handler for each message."""

    def __init__(
        self,
        handler: Any,  # noqa: ANN401 - what `unary` has
        edge: "Edge",
        limit: int,
        *,
        wrap: Callable[[Buffer], bytes],
        fail: Callable[[ScalezeroError, Buffer], bytes],
    ) -> None:
        """`limit` is the size of an uncompressed message, in bytes.

        `wrap` makes the stream's message of the handler's. `fail` makes it of an error and the message that met it
        (nothing where that could not be inflated), or raises the error, which then ends the stream.
        """
        self._handler = handler
        self._edge = edge
        self._limit = limit
        self._wrap = wrap
        self._fail = fail

    def __call__(self, messages: Messages, call: StreamCall) -> AsyncGenerator[bytes, None]:
        """The answers."""
        head = framing.without_codings(call.request)
        return in_order(messages, partial(self._answer, head), limit=self._limit)

    async def _answer(self, head: Request, message: Message) -> bytes:
        request = head.again(message.frame)
        request.hold = message.hold
        try:
            if framing.compressed(request):
                inflated = await content.in_turns(framing.inflated_message(request, self._limit))
                request.body = framing.frame(inflated, gzip=False)
            answer = await _content(await self._handler.answer(request))
        except Exception as error:  # noqa: BLE001 - a bug in one answer must not end the others
            self._edge.told(error, request)
            fault = error if isinstance(error, ScalezeroError) else InternalError()
            return self._fail(fault, b"" if framing.compressed(request) else framing.view(request))
        return self._wrap(answer)


async def _content(answer: Answer) -> memoryview:
    """The message in the answer to a unary call that takes no compressed answer."""
    body = answer.body
    if isinstance(body, AsyncIterator):
        body = b"".join([piece async for piece in body])
    elif not isinstance(body, bytes):
        body = b"".join(body)
    return memoryview(body)[framing.PREFIX :]


async def in_order(
    messages: Messages, answer: Callable[[Message], Awaitable[bytes]], *, limit: int
) -> AsyncGenerator[bytes, None]:
    """Yield the answer to each message, in their order; an error of the stream comes behind the answers before it.

    At most `AT_MOST` messages, or `limit` bytes of them, are under way.
    """
    line = _Line(messages, answer, limit)
    reading = asyncio.create_task(line.read())
    try:
        async for each in line.answers():
            yield each
    finally:
        await line.close(reading)


class _Line:
    """The messages under way in one stream."""

    def __init__(self, messages: Messages, answer: Callable[[Message], Awaitable[bytes]], limit: int) -> None:
        self._messages = messages
        self._answer = answer
        self._limit = limit
        self._queue: asyncio.Queue[asyncio.Task[bytes] | Exception | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[bytes]] = set()
        self._waiting = 0  # messages whose answers have not left
        self._bytes = 0  # of messages that are not answered
        self._room = asyncio.Event()

    async def read(self) -> None:
        """Begin to answer each message that comes, while there is room."""
        try:
            while (message := await self._messages.take()) is not None:
                self._waiting += 1
                self._bytes += len(message.frame)
                task = asyncio.create_task(self._answered(message))
                self._tasks.add(task)
                self._queue.put_nowait(task)
                while self._waiting >= AT_MOST or self._bytes >= self._limit:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:  # noqa: BLE001 - `answers` raises it
            self._queue.put_nowait(error)
        else:
            self._queue.put_nowait(None)

    async def answers(self) -> AsyncGenerator[bytes, None]:
        """The answers, in the order of their messages. Raises what ended the stream, in its place."""
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            answer = await item
            self._tasks.discard(item)
            self._waiting -= 1
            self._room.set()
            yield answer

    async def close(self, reading: "asyncio.Task[None]") -> None:
        """Give up what is under way: what is still queued for a run never runs."""
        tasks = [reading, *self._tasks]
        for task in tasks:
            task.cancel()
        self._tasks.clear()  # their exceptions hold frames that hold this line
        await asyncio.wait(tasks)

    async def _answered(self, message: Message) -> bytes:
        try:
            return await self._answer(message)
        finally:
            message.release()
            self._bytes -= len(message.frame)
            self._room.set()
