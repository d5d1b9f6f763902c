"""What a connection of either version of HTTP has: its place in the server, its deadline and its pace of writing."""

import asyncio
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.http.server import Server

_LARGE_READ: Final = 32 * 1024  # bytes; a read of uvloop brings up to 256 KiB
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113, 3.4


class Connection(asyncio.Protocol):
    """One connection. `deadline` is on the server's clock; the server calls `expire` once it has passed."""

    transport: asyncio.Transport

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.deadline = math.inf
        self.since = server.now  # when it was last of use, for the choice of whom to close when there are too many
        self.writable: asyncio.Event | None = None  # made, and not set, while the socket takes nothing
        self._unread = 0  # bytes that the client had not read when the writing last stopped or was looked at

    @property
    def busy(self) -> bool:
        """Whether a whole request is being answered; a connection that is not busy may be closed to make room."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register with the server; the peer has to ask for something within the time of a head."""
        self.transport = transport  # type: ignore[assignment] # of the kind that TCP has; uvloop's has its own base
        self.deadline = self.server.now + self.server.limits.head_time
        self.server.register(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Unregister, and wake the tasks that wait for the socket."""
        self.deadline = math.inf
        self.server.connections.discard(self)
        self.resume_writing()

    def addresses(self) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
        """Host and port of this side and of the peer, as ASGI's `server` and `client`."""
        names = [self.transport.get_extra_info(each) for each in ("sockname", "peername")]
        ours, theirs = [(name[0], name[1]) if isinstance(name, tuple) else None for name in names]
        return ours, theirs

    def pause_writing(self) -> None:
        """Hold pieces back: the client does not read."""
        self.writable = asyncio.Event()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Let pieces go on."""
        if self.writable is not None:
            self.writable.set()
            self.writable = None

    def expire(self) -> None:
        """Act on the deadline that has passed."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """The process ends: finish what is under way, then close."""
        raise NotImplementedError

    def refuse_all(self) -> None:
        """The time for finishing is over: answer what is under way with 503."""
        raise NotImplementedError

    def _give_way(self, size: int) -> None:
        """After a large read, let others have their turn.

        libuv would read up to 32 times in one turn of the loop, which small frames or chunks make seconds of work.
        """
        if size >= _LARGE_READ and not self.transport.is_closing() and self.transport.is_reading():
            self.transport.pause_reading()
            self.server.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _watch_reader(self) -> None:
        """Give the client the time for writing to read some of what is buffered."""
        self._unread = self.transport.get_write_buffer_size()
        self.deadline = self.server.now + self.server.limits.write_time

    def _abort_unread(self) -> None:
        """Abort where the client has read nothing since `_watch_reader`; else watch it again."""
        if self.transport.get_write_buffer_size() >= self._unread:
            self.transport.abort()
        else:
            self._watch_reader()


class Greeting(Connection):
    """The first bytes of a connection tell which HTTP it speaks."""

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self._seen = b""

    @property
    def busy(self) -> bool:
        """Nothing is answered yet."""
        return False

    def data_received(self, data: bytes) -> None:
        """Hand over to the right version, with what came so far."""
        seen = self._seen = self._seen + data
        if _PREFACE.startswith(seen[: len(_PREFACE)]):
            if len(seen) < len(_PREFACE):
                return
            from runtime.http.http2 import Http2  # some milliseconds, when its first client comes

            self._become(Http2(self.server), seen)
        else:
            from runtime.http.http11 import Http11

            self._become(Http11(self.server), seen)

    def _become(self, version: Connection, seen: bytes) -> None:
        self.server.connections.discard(self)
        self.transport.set_protocol(version)
        version.connection_made(self.transport)
        version.data_received(seen)

    def expire(self) -> None:
        """Close a connection that never asked."""
        self.transport.abort()

    def shut_down(self) -> None:
        """Nothing is under way."""
        self.transport.close()

    def refuse_all(self) -> None:
        """Nothing is under way."""
