"""The part of a connection that HTTP/1.1 and HTTP/2 share: registration, deadline, flow control of writes."""

import asyncio
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.http.server import Server

_LARGE_READ: Final = 32 * 1024  # bytes; uvloop reads up to 256 KiB at a time
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113, 3.4


class Connection(asyncio.Protocol):
    """One connection. `deadline` is on the server's clock; the server calls `expire` once it has passed."""

    transport: asyncio.Transport

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.deadline = math.inf
        self.last_used = server.now  # connections that have been unused for the longest time are evicted first
        self.writable: asyncio.Event | None = None  # set when the socket is writable again; None: it is writable
        self._unread = 0  # bytes in the write buffer when the write timeout was last started

    @property
    def busy(self) -> bool:
        """Whether a complete request is being answered. A connection that is not busy can be evicted."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register with the server. The client has `Limits.head_time` for its first head."""
        self.transport = transport  # type: ignore[assignment] # a TCP transport; uvloop's class has another base
        self.deadline = self.server.now + self.server.limits.head_time
        self.server.register(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Unregister, and wake the tasks that wait for the socket."""
        self.deadline = math.inf
        self.server.connections.discard(self)
        self.resume_writing()

    def addresses(self) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
        """Return host and port of this side and of the peer, as ASGI's `server` and `client`."""
        names = [self.transport.get_extra_info(each) for each in ("sockname", "peername")]
        ours, theirs = [(name[0], name[1]) if isinstance(name, tuple) else None for name in names]
        return ours, theirs

    def pause_writing(self) -> None:
        """Stop writing, because the client does not read. It has `Limits.write_time` to read some bytes."""
        self.writable = asyncio.Event()
        self._start_write_timeout()

    def resume_writing(self) -> None:
        """Wake the tasks that wait to write."""
        if self.writable is not None:
            self.writable.set()
            self.writable = None

    def expire(self) -> None:
        """Act on the deadline that has passed."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """Finish the open requests, then close the connection: the process ends."""
        raise NotImplementedError

    def refuse_all(self) -> None:
        """Answer the open requests with 503: the grace period is over."""
        raise NotImplementedError

    def _yield_after_large_read(self, size: int) -> None:
        """Pause reading until the next turn of the loop after a large read, so that other connections are served.

        libuv would read up to 32 times in one turn of the loop; with small frames or chunks that would take seconds.
        """
        if size >= _LARGE_READ and not self.transport.is_closing() and self.transport.is_reading():
            self.transport.pause_reading()
            self.server.loop.call_soon(self._resume_reading)

    def _resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _start_write_timeout(self) -> None:
        """Start the time in which the client must read some of the buffered bytes."""
        self._unread = self.transport.get_write_buffer_size()
        self.deadline = self.server.now + self.server.limits.write_time

    def _abort_if_stalled(self) -> None:
        """Abort if the client has read nothing since `_start_write_timeout`; otherwise restart the timeout."""
        if self.transport.get_write_buffer_size() >= self._unread:
            self.transport.abort()
        else:
            self._start_write_timeout()


class VersionDetector(Connection):
    """A new connection, until its first bytes show which version of HTTP it uses."""

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self._received = b""

    @property
    def busy(self) -> bool:
        """False: no request has arrived."""
        return False

    def data_received(self, data: bytes) -> None:
        """Switch to the protocol of the detected version, and pass on the bytes received so far."""
        received = self._received = self._received + data
        if _PREFACE.startswith(received[: len(_PREFACE)]):
            if len(received) < len(_PREFACE):
                return
            from runtime.http.http2 import Http2  # takes some milliseconds, at the first HTTP/2 client

            self._switch_to(Http2(self.server), received)
        else:
            from runtime.http.http11 import Http11

            self._switch_to(Http11(self.server), received)

    def _switch_to(self, version: Connection, received: bytes) -> None:
        self.server.connections.discard(self)
        self.transport.set_protocol(version)
        version.connection_made(self.transport)
        version.data_received(received)

    def expire(self) -> None:
        """Close a connection that has sent no request."""
        self.transport.abort()

    def shut_down(self) -> None:
        """Close: no request is open."""
        self.transport.close()

    def refuse_all(self) -> None:
        """Do nothing: no request is open."""
