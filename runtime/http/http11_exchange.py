"""A request over HTTP/1.1 and its response: the framing, and whether the connection is kept. Source: RFC 9112."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from runtime.errors import ScalezeroError
from runtime.http.exchange import Exchange
from runtime.http.messages import Headers, Request, bodiless

if TYPE_CHECKING:
    from runtime.http.http11 import Http11

_COLON: Final = b": ".join  # a name and a value to a line
_STATUS: Final = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}


class Http11Exchange(Exchange):
    """A request over HTTP/1.1 and its response."""

    __slots__ = ("_bodiless", "_chunked", "fault", "keep_alive")

    connection: "Http11"

    def __init__(self, connection: "Http11", request: Request) -> None:
        super().__init__(connection, request)
        self.keep_alive = True
        self.fault: ScalezeroError | None = None  # why the transport refuses the request
        self._bodiless = False  # the response cannot have a body
        self._chunked = False

    def begin(self) -> None:
        """Answer a request that the transport refuses; pass any other to the application."""
        if self.fault is None:
            super().begin()
        else:
            self.respond(self.server.application.refuse(self.fault, self.request))

    def write_whole(self, status: int, headers: Headers, body: bytes, trailers: Headers | None = None) -> None:  # noqa: ARG002 - as in the base class
        """Write head and body together."""
        length = b"content-length: %d\r\n" % len(body)
        if bodiless(self.request.method, status):
            body = b""
            length = length if status not in {204, 304} else b""
        self.connection.transport.write(b"%b%b\r\n%b" % (self._head(status, headers), length, body))
        self.finished()

    def write_head(self, status: int, headers: Headers, *, length: int | None) -> None:
        """Frame the body by its length, by chunks, or, for HTTP/1.0, by the end of the connection."""
        framing = b""
        self._bodiless = bodiless(self.request.method, status)
        if length is not None and status not in {204, 304}:
            framing = b"content-length: %d\r\n" % length
        elif not self._bodiless:
            self._chunked = self.request.version == "1.1"
            self.keep_alive = self.keep_alive and self._chunked
            framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        self.connection.transport.write(b"%b%b\r\n" % (self._head(status, headers), framing))

    def write_piece(self, piece: bytes) -> None:
        """Write a piece, as a chunk if the length of the body is unknown."""
        if piece and not self.cancelled and not self._bodiless:
            self.connection.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)

    def write_end(self, trailers: Headers) -> None:  # noqa: ARG002 - HTTP/1.1 clients do not request trailers
        """Write the last chunk."""
        if self._chunked:
            self.connection.transport.write(b"0\r\n\r\n")
        self.finished()

    def reset(self) -> None:
        """Abort the connection: after a normal close, the response would look complete."""
        self.connection.transport.abort()

    async def drain(self) -> None:
        """Wait until the socket is writable."""
        connection = self.connection
        while connection.writable is not None and not self.cancelled:
            await connection.writable.wait()

    def finished(self) -> None:
        """Continue with the connection's next request."""
        super().finished()
        self.connection.exchange_finished(self)

    def _head(self, status: int, headers: Headers) -> bytes:
        self.begun = True
        lines = b"\r\n".join([*map(_COLON, headers), b""])
        if self.connection.is_last(self):
            self.keep_alive = False
            lines += b"connection: close\r\n"
        elif self.request.version == "1.0":
            lines += b"connection: keep-alive\r\n"  # RFC 9112, 9.3: without it the client closes
        return b"%b%b%b" % (_STATUS.get(status) or b"HTTP/1.1 %d \r\n" % status, self.server.date_line, lines)
