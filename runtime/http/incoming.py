"""The body of a stream: a request that is answered while its body comes in. HTTP/2 only.

    Http2 -> arrived(data) -> bytes that wait -> receive() -> the application -> release(size) -> the budget

A client may be one window ahead of the application: the window opens as the application takes bytes (RFC 9113, 6.9).
Each byte counts against the process' budget from its arrival until the application releases it.

The clock runs only while the application waits for the client. A part that has begun (the application says so) has to
keep the pace of any other body. Between parts a client may be silent for `Limits.stream_idle`.
"""

import asyncio
from typing import TYPE_CHECKING

from runtime.errors import RequestTimeout, ScalezeroError, ShuttingDown

if TYPE_CHECKING:
    from runtime.http.http2_exchange import Http2Exchange


class Incoming:
    """The body of one stream. One task at a time may receive."""

    __slots__ = ("_begun", "_data", "_ended", "_exchange", "_news", "_part", "_size", "_unfinished", "_waits_since")

    def __init__(self, exchange: "Http2Exchange") -> None:
        self._exchange = exchange
        self._data = bytearray()  # what waits for the application; one object, as a client may send a byte per frame
        self._ended = False  # the client has sent all
        self._news: asyncio.Future[None] | None = None  # of the task that waits
        self._part = False  # that task waits for the rest of a part
        self._begun = 0.0  # when the part began, on the server's clock
        self._size = 0  # bytes of it so far
        self._waits_since = 0.0
        self._unfinished = 0  # bytes that the connection counts as unfinished

    @property
    def now(self) -> float:
        """The server's clock."""
        return self._exchange.server.now

    @property
    def closing(self) -> bool:
        """Whether the server ends, so that an endless answer has to."""
        return self._exchange.server.closing

    async def receive(self, *, begun: float | None = None, size: int = 0) -> bytes:
        """What came since the last call, or b"" at the end of the body. The caller has to release it.

        `begun`: when the part began of which `size` bytes came and the rest is awaited. None: the client need not send
        now. Raises `Overloaded`, `RequestTimeout`, and `ShuttingDown` where the server ends and the client is silent.
        """
        while not (self._data or self._ended):
            self._part, self._begun, self._size = begun is not None, begun or 0.0, size
            await self._wait()
        data, self._data = bytes(self._data), bytearray()
        if data:
            self._unfinished += len(data)
            self._exchange.connection.took(self._exchange, len(data))
        return data

    def whole(self, size: int) -> None:
        """Note that so many bytes make a whole part: they no longer count as unfinished."""
        size = min(size, self._unfinished)
        self._unfinished -= size
        self._exchange.connection.unfinished -= size

    def release(self, size: int) -> None:
        """Count bytes out of the budget: the application has no more use for them."""
        self._exchange.release(size)

    # The connection's side.

    def arrived(self, data: bytes) -> None:
        """Take a piece."""
        self._data += data
        self._wake()

    def end(self) -> None:
        """Note that the client has sent all."""
        self._ended = True
        self._wake()

    def shut_down(self) -> None:
        """Give the client, from now on, the time that a quiet connection has."""
        self._waits_since = self.now

    def look(self) -> None:
        """End the wait for the client where that is over: the application gets the reason, and ends the stream."""
        fault = self._overdue()
        if fault is not None and self._news is not None and not self._news.done():
            self._news.set_exception(fault)

    def close(self) -> int:
        """Drop what nobody will take; return its size, for the connection's window."""
        left, self._data = len(self._data), bytearray()
        self.whole(self._unfinished)
        return left

    def _overdue(self) -> ScalezeroError | None:
        """Why the wait for the client is over; None: it is not."""
        limits, now = self._exchange.server.limits, self.now
        if self._part:
            if limits.body_deadline(self._begun, self._size + len(self._data)) <= now:
                return RequestTimeout("message", seconds=limits.body_time, rate=limits.body_rate)
        elif self.closing and self._waits_since + limits.quiet <= now:
            return ShuttingDown()
        elif self._waits_since + limits.stream_idle <= now:
            return RequestTimeout("message", seconds=limits.stream_idle)
        return None

    async def _wait(self) -> None:
        connection, self._waits_since = self._exchange.connection, self.now
        self._news = self._exchange.server.loop.create_future()
        connection.wait_for_client(self._exchange)
        try:
            await self._news
        finally:
            self._news = None
            connection.waits_no_more(self._exchange)

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
