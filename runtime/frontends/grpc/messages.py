"""The messages of a stream, cut from the pieces in which its body comes.

    Frames      pieces in, frames out; pure
    Messages    the messages of one call, awaited; each counts in the process' budget until it is released

A frame is a message behind its prefix, compressed or not: a body that a unary call could have.
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

_IN_A_ROW: Final = 16  # messages that one stream may take in one turn of the event loop


class Frames:
    """Cuts pieces into frames. `limit` is the size of a message, in bytes, compressed or not."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int) -> None:
        self._buffer = bytearray()
        self._limit = limit

    @property
    def size(self) -> int:
        """Bytes that are no whole frame yet, once `take` has returned None."""
        return len(self._buffer)

    def feed(self, piece: bytes) -> None:
        """Add the next piece of the body."""
        self._buffer += piece

    def take(self) -> bytes | None:
        """The next frame; None: it is not whole yet. Raises `InvalidInput`, and `PayloadTooLarge` by its prefix."""
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
        """Check that the body ends behind a frame. Raises `InvalidInput`."""
        if self._buffer:
            came = f"{len(self._buffer)} bytes of one that is cut off"
            raise InvalidInput("message", got=came, expected="all of the last message")


class Message:
    """One message of a stream. It counts in the budget until `release`."""

    __slots__ = ("_exchange", "_held", "frame")

    def __init__(self, exchange: "Exchange", frame: bytes) -> None:
        self._exchange = exchange
        self._held = len(frame)
        self.frame = frame

    def hold(self, size: int) -> None:
        """Count more bytes: the message is being inflated. Raises `Overloaded`."""
        self._exchange.hold(size)
        self._held += size

    def release(self) -> None:
        """Count it out."""
        self._exchange.release(self._held)
        self._held = 0


class Messages:
    """The messages of one call, in order. One task at a time may take them.

    As an asynchronous iterator it gives what they hold, uncompressed, and holds one at a time.
    """

    __slots__ = ("_begun", "_exchange", "_frames", "_in_a_row", "_last", "_limit", "_whole")

    def __init__(self, exchange: "Exchange", limit: int) -> None:
        """`limit` is the size of an uncompressed message, in bytes."""
        self._exchange = exchange
        self._frames = Frames(limit)
        self._limit = limit
        self._whole = exchange.request.body  # of a call whose head was its end, or which the transport took whole
        self._begun: float | None = None  # when the message began that is not whole yet, on the server's clock
        self._in_a_row = 0
        self._last: Message | None = None

    async def take(self) -> Message | None:
        """The next message; None: the client has sent all. Raises `InvalidInput`, `PayloadTooLarge`, `Overloaded`."""
        while (frame := self._frames.take()) is None:
            if not await self._read():
                self._frames.end()
                return None
        self._begun = None
        if self._exchange.incoming is not None:
            self._exchange.incoming.whole(len(frame))
        await self._give_way()
        return Message(self._exchange, frame)

    def request(self, message: Message) -> Request:
        """The message as the request of a unary call."""
        request = self._exchange.request.again(message.frame)
        request.hold = message.hold
        return request

    async def only(self) -> bytes:
        """The one message of a call of which only the answers are a stream. Raises as `take`."""
        async for message in self:
            if await self.take() is not None:
                raise InvalidInput("message", got="a second one", expected="one, as this method takes no stream")
            return message
        raise InvalidInput("message", got="none", expected="one")

    def __aiter__(self) -> "Messages":
        """The messages themselves."""
        return self

    async def __anext__(self) -> bytes:
        """What the next message holds. Raises as `take`, and `UnsupportedEncoding`."""
        if self._last is not None:
            self._last.release()
        message = self._last = await self.take()
        if message is None:
            raise StopAsyncIteration
        return await content.in_turns(framing.inflated_message(self.request(message), self._limit))

    async def _read(self) -> bool:
        """Feed the next piece; False: there is none."""
        incoming, size = self._exchange.incoming, self._frames.size
        if incoming is None:
            piece, self._whole = self._whole, b""
        else:
            if size and self._begun is None:
                self._begun = incoming.now
            piece = await incoming.receive(begun=self._begun, size=size)
        self._frames.feed(piece)
        return bool(piece)

    async def _give_way(self) -> None:
        """Let others have their turn: a piece may hold thousands of messages."""
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:
            self._in_a_row = 0
            await asyncio.sleep(0)
