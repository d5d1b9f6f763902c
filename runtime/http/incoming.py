"""The body of a stream: a request that is answered while its body is being received. HTTP/2 only.

    Http2 -> feed_data(data) -> buffer -> receive() -> application -> release(size) -> budget

A client can send at most one window more than the application has received: receiving opens the window (RFC 9113, 6.9).
Each byte counts in the process' budget from its arrival until the application releases it.

Timeouts run only while the application waits for the client. Within a message (the application passes its start) the
client must keep the rate of any other body. Between messages it may be silent for `Limits.stream_idle`.
"""

import asyncio
from typing import TYPE_CHECKING

from runtime.errors import RequestTimeout, ScalezeroError, ShuttingDown

if TYPE_CHECKING:
    from runtime.http.http2_exchange import Http2Exchange


class IncomingBody:
    """The body of one stream. Only one task at a time may receive."""

    __slots__ = (
        "_data",
        "_eof",
        "_exchange",
        "_incomplete",
        "_message_size",
        "_message_started",
        "_mid_message",
        "_waiter",
        "_waiting_since",
    )

    def __init__(self, exchange: "Http2Exchange") -> None:
        self._exchange = exchange
        self._data = bytearray()  # not yet received by the application; one buffer, as frames can have a single byte
        self._eof = False  # the client has sent the whole body
        self._waiter: asyncio.Future[None] | None = None  # resolved when data arrives; None: no task waits
        self._mid_message = False  # the waiting task has received a part of a message
        self._message_started = 0.0  # when that message began, on the server's clock
        self._message_size = 0  # bytes of it so far
        self._waiting_since = 0.0
        self._incomplete = 0  # bytes in the connection's `incomplete_bytes`

    @property
    def now(self) -> float:
        """The time of the server's last tick, in seconds."""
        return self._exchange.server.now

    @property
    def closing(self) -> bool:
        """Whether the server is shutting down, so that an endless response must end."""
        return self._exchange.server.closing

    async def receive(self, *, started: float | None = None, size: int = 0) -> bytes:
        """Return the bytes that arrived since the last call, or b"" at the end of the body. The caller releases them.

        `started`: when the current message began, of which `size` bytes have arrived. None: between messages, so the
        client need not send now. Raises `Overloaded`, `RequestTimeout`, and `ShuttingDown` if the client is silent in
        shutdown.
        """
        while not (self._data or self._eof):
            self._mid_message, self._message_started, self._message_size = started is not None, started or 0.0, size
            await self._wait()
        data, self._data = bytes(self._data), bytearray()
        if data:
            self._incomplete += len(data)
            self._exchange.connection.consumed(self._exchange, len(data))
        return data

    def mark_complete(self, size: int) -> None:
        """Mark `size` bytes as a complete message: they leave the connection's limit of incomplete bodies."""
        size = min(size, self._incomplete)
        self._incomplete -= size
        self._exchange.connection.incomplete_bytes -= size

    def release(self, size: int) -> None:
        """Release bytes from the budget that the application no longer needs."""
        self._exchange.release(size)

    # For the connection.

    def feed_data(self, data: bytes) -> None:
        """Add received bytes."""
        self._data += data
        self._wake()

    def feed_eof(self) -> None:
        """Mark the end of the body."""
        self._eof = True
        self._wake()

    def shut_down(self) -> None:
        """Restart the idle time of the client, which is `Limits.shutdown_idle` in shutdown."""
        self._waiting_since = self.now

    def check_deadline(self) -> None:
        """Raise the timeout error in the waiting task if the client is too late. The application ends the stream."""
        fault = self._timeout_error()
        if fault is not None and self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(fault)

    def close(self) -> int:
        """Drop the bytes that the application has not received. Return their number, for the connection's window."""
        left, self._data = len(self._data), bytearray()
        self.mark_complete(self._incomplete)
        return left

    def _timeout_error(self) -> ScalezeroError | None:
        """Return the error if the client is too late; None: it has time left."""
        limits, now = self._exchange.server.limits, self.now
        if self._mid_message:
            if limits.body_deadline(self._message_started, self._message_size + len(self._data)) <= now:
                return RequestTimeout("message", seconds=limits.body_time, rate=limits.body_rate)
        elif self.closing and self._waiting_since + limits.shutdown_idle <= now:
            return ShuttingDown()
        elif self._waiting_since + limits.stream_idle <= now:
            return RequestTimeout("message", seconds=limits.stream_idle)
        return None

    async def _wait(self) -> None:
        connection, self._waiting_since = self._exchange.connection, self.now
        self._waiter = self._exchange.server.loop.create_future()
        connection.watch_receiving(self._exchange)
        try:
            await self._waiter
        finally:
            self._waiter = None
            connection.unwatch_receiving(self._exchange)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
