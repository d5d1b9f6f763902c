"""The messages of a stream, split from the pieces of its body.

    Frames      pieces in, frames out; pure
    Messages    the messages of one call; each counts in the process' memory budget until it is released

A frame is a prefix and a message, which may be compressed: the body of a unary call.
Source: gRPC over HTTP2, "Length-Prefixed-Message".
"""

import asyncio
from typing import TYPE_CHECKING, Final

from runtime.errors import InvalidInput, PayloadTooLarge
from runtime.frontends import content
from runtime.frontends.grpc import framing
from runtime.http.messages import Request

if TYPE_CHECKING:
    from runtime.http.exchange import Exchange

_MAX_CONSECUTIVE: Final = 16  # messages that one stream may take before it yields to the event loop


class Frames:
    """Splits pieces into frames. `limit` is the largest size of a message as sent, in bytes."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int) -> None:
        self._buffer = bytearray()
        self._limit = limit

    @property
    def size(self) -> int:
        """The number of bytes of the incomplete frame. Valid after `take` has returned None."""
        return len(self._buffer)

    def feed(self, piece: bytes) -> None:
        """Add the next piece of the body."""
        self._buffer += piece

    def take(self) -> bytes | None:
        """Return the next frame; None: it is incomplete. Raises `InvalidInput`, `PayloadTooLarge` (by the prefix)."""
        buffer = self._buffer
        if len(buffer) < framing.PREFIX:
            return None
        framing.check_flag(buffer[0])
        size = int.from_bytes(buffer[1 : framing.PREFIX], "big")
        if size > self._limit:
            raise PayloadTooLarge("message", limit=self._limit, unit="bytes", got=size)
        end = framing.PREFIX + size
        if len(buffer) < end:
            return None
        with memoryview(buffer) as view:
            frame = bytes(view[:end])
        del buffer[:end]
        return frame

    def end(self) -> None:
        """Check that the body ends after a complete frame. Raises `InvalidInput`."""
        if self._buffer:
            got = f"{len(self._buffer)} bytes of an incomplete message"
            raise InvalidInput("message", got=got, expected="the complete last message")


class Message:
    """One message of a stream. It counts in the memory budget until `release`."""

    __slots__ = ("_exchange", "_held", "frame")

    def __init__(self, exchange: "Exchange", frame: bytes) -> None:
        self._exchange = exchange
        self._held = len(frame)
        self.frame = frame

    def hold(self, size: int) -> None:
        """Count the bytes of the decompressed message too. Raises `Overloaded`."""
        self._exchange.reserve(size)
        self._held += size

    def release(self) -> None:
        """Remove the message from the memory budget."""
        self._exchange.release(self._held)
        self._held = 0


class Messages:
    """The messages of one call, in order. Only one task at a time may take them.

    As an asynchronous iterator it yields the decompressed messages, and keeps one at a time in the memory budget.
    """

    __slots__ = ("_begun", "_complete_body", "_consecutive", "_exchange", "_frames", "_last", "_limit")

    def __init__(self, exchange: "Exchange", limit: int) -> None:
        """`limit` is the largest size of a decompressed message, in bytes."""
        self._exchange = exchange
        self._frames = Frames(limit)
        self._limit = limit
        self._complete_body = exchange.request.body  # of a call without a body, or with one that is not streamed
        self._begun: float | None = None  # when the incomplete message began, on the server's clock
        self._consecutive = 0
        self._last: Message | None = None

    async def take(self) -> Message | None:
        """Return the next message; None: there are no more.

        Raises `InvalidInput`, `PayloadTooLarge` and `Overloaded`.
        """
        while (frame := self._frames.take()) is None:
            if not await self._read():
                self._frames.end()
                return None
        self._begun = None
        if self._exchange.incoming is not None:
            self._exchange.incoming.mark_complete(len(frame))
        await self._yield_to_loop()
        return Message(self._exchange, frame)

    def request(self, message: Message) -> Request:
        """Return the message as the request of a unary call."""
        request = self._exchange.request.with_body(message.frame)
        request.reserve = message.hold
        return request

    async def only(self) -> bytes:
        """Return the only message of a call that streams only its responses. Raises as `take` does."""
        async for message in self:
            if await self.take() is not None:
                expected = "one message: this method does not accept a stream"
                raise InvalidInput("message", got="a second message", expected=expected)
            return message
        raise InvalidInput("message", got="no message", expected="one message")

    def __aiter__(self) -> "Messages":
        """Iterate over the decompressed messages."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next message, decompressed. Raises as `take` does, and `UnsupportedEncoding`."""
        if self._last is not None:
            self._last.release()
        message = self._last = await self.take()
        if message is None:
            raise StopAsyncIteration
        return await content.run_slices(framing.inflated_message(self.request(message), self._limit))

    async def _read(self) -> bool:
        """Feed the next piece; return False at the end of the body."""
        incoming, size = self._exchange.incoming, self._frames.size
        if incoming is None:
            piece, self._complete_body = self._complete_body, b""
        else:
            if size and self._begun is None:
                self._begun = incoming.now
            piece = await incoming.receive(started=self._begun, size=size)
        self._frames.feed(piece)
        return bool(piece)

    async def _yield_to_loop(self) -> None:
        """Let the event loop run other tasks from time to time: one piece may contain thousands of messages."""
        self._consecutive += 1
        if self._consecutive >= _MAX_CONSECUTIVE:
            self._consecutive = 0
            await asyncio.sleep(0)
