"""One connection to the sink, with at most one request in flight."""

import asyncio
import ssl
from typing import Any, Final, NamedTuple, Protocol

from runtime.prediction_log.responses import Response, ResponseReader

CONNECT_TIMEOUT: Final = 5.0  # seconds


class SinkAddress(NamedTuple):
    """The address of the sink."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    url: str  # for logs, without a path and a query


class Message:
    """A rendered request and its history."""

    __slots__ = ("attempts", "content", "events")

    def __init__(self, content: bytes, events: int) -> None:
        self.content = content
        self.events = events
        self.attempts = 0


class Owner(Protocol):
    """Gets what happens on a connection."""

    def answered(self, connection: "Connection", message: Message, response: Response) -> None:
        """The response to a message has arrived."""

    def broken(self, connection: "Connection", reason: str) -> None:
        """The connection cannot be used any more; its message may be in flight."""


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, owner: Owner, reader: ResponseReader) -> None:
        self.message: Message | None = None  # in flight
        self.since = 0.0  # when it was sent, on the clock of `perf_counter`
        self.is_lost = False
        self._owner = owner
        self._reader = reader
        self._transport: Any = None  # uvloop's transports are no asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def post(self, message: Message, now: float) -> None:
        """Send a request."""
        message.attempts += 1
        self.message = message
        self.since = now
        self._transport.write(message.content)

    def data_received(self, data: bytes) -> None:
        """Read a response; anything else breaks the connection."""
        message = self.message
        try:
            response = self._reader.feed(data) if message is not None else None
        except ValueError as error:
            self._owner.broken(self, f"invalid response: {error}")
            return
        if message is None:
            self._owner.broken(self, "bytes without a request")
        elif response is not None:
            self.message = None
            self._owner.answered(self, message, response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        self.is_lost = True
        self._owner.broken(self, str(exc) if exc else "the sink closed the connection")

    def close(self) -> None:
        """Close the connection at once."""
        self.message = None
        self._transport.abort()


async def connect(sink: SinkAddress, owner: Owner, known: dict[bytes, Response]) -> Connection:
    """Open a connection; `known` is for its reader. Raises `OSError` and `TimeoutError`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_TIMEOUT):
        _, connection = await loop.create_connection(
            lambda: Connection(owner, ResponseReader(known)),
            sink.host,
            sink.port,
            ssl=sink.tls,
            server_hostname=sink.host if sink.tls else None,
        )
    return connection


def reason_of(error: Exception) -> str:
    """Return why no connection was opened."""
    if isinstance(error, TimeoutError):
        return f"no connection within {CONNECT_TIMEOUT:.0f} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
