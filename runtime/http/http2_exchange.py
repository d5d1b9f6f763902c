"""A request on one HTTP/2 stream and its response. Source: RFC 9113."""

import asyncio
from typing import TYPE_CHECKING, Final

import ngh2

from runtime.errors import ScalezeroError
from runtime.http.body import Partial
from runtime.http.exchange import Exchange
from runtime.http.messages import Headers, Request, bodiless

if TYPE_CHECKING:
    from runtime.http.http2 import Http2
    from runtime.http.incoming import IncomingBody

HIGH_WATER: Final = 64 * 1024  # queued bytes of a response above which the application must wait
# Seconds from an early response to the reset of its stream: curl 7.88 reports an error if both arrive together.
_LINGER: Final = 0.2


class Http2Exchange(Exchange):
    """A request on one stream and its response."""

    __slots__ = ("_resumed", "body", "complete", "progress_at", "receiving", "stream", "unread")

    connection: "Http2"

    def __init__(self, connection: "Http2", request: Request, stream: int) -> None:
        super().__init__(connection, request)
        self.stream = stream
        self.complete = False  # the whole body has arrived
        self.receiving = False  # the body is being received
        self.body: Partial = b""  # the bytes received so far
        self.progress_at = 0.0  # when the body began, or the client last read some response, on the server's clock
        self.unread = 0  # queued bytes of the response at that time
        self._resumed: asyncio.Event | None = None  # set when the client can receive more; None: no task waits

    def refuse(self, fault: ScalezeroError) -> None:
        """Refuse the request before its body is complete."""
        self.body = b""
        self.connection.body_ended(self)
        self.respond(self.server.application.refuse(fault, self.request))

    def write_whole(self, status: int, headers: Headers, body: bytes, trailers: Headers | None = None) -> None:
        """Queue head, body and trailers."""
        conn = self.connection.conn
        bare = not body or bodiless(self.request.method, status)
        try:
            self._write_head(status, headers, len(body), ends=bare and not trailers)
            if not bare:
                conn.send_data(self.stream, body, end_stream=not trailers)
            if trailers:
                conn.send_trailers(self.stream, trailers)
        except ngh2.NGH2Error:  # the client has reset the stream in the same read
            self.cancel()
        else:
            self._answer_queued()

    def write_head(self, status: int, headers: Headers, *, length: int | None) -> None:
        """Queue the head of a response whose body follows in pieces."""
        try:
            self._write_head(status, headers, length, ends=False)
        except ngh2.NGH2Error:  # as above
            self.cancel()
        self.connection.flush_soon()

    def write_piece(self, piece: bytes) -> None:
        """Queue a piece."""
        if piece and not self.cancelled and self.request.method != "HEAD":
            try:
                self.connection.conn.send_data(self.stream, piece)
            except ngh2.NGH2Error:  # as above
                self.cancel()
            self.connection.flush_soon()

    def write_end(self, trailers: Headers) -> None:
        """Queue the trailers, or the end of the stream."""
        if self.cancelled:
            return
        try:
            if trailers:
                self.connection.conn.send_trailers(self.stream, trailers)
            else:
                self.connection.conn.end_stream(self.stream)
        except ngh2.NGH2Error:  # as above
            self.cancel()
        else:
            self._answer_queued()

    def reset(self) -> None:
        """Reset the stream."""
        if self.stream in self.connection.streams:
            self.connection.conn.reset_stream(self.stream, ngh2.ErrorCode.INTERNAL_ERROR)
            self.connection.flush_soon()
            self.cancel()

    async def drain(self) -> None:
        """Wait until the socket is writable and the client has read enough of this response."""
        connection = self.connection
        while not self.cancelled and connection.writable is not None:
            await connection.writable.wait()
        while not self.cancelled and connection.conn.queued_body_size(self.stream) > HIGH_WATER:
            connection.watch_sending(self)
            self._resumed = asyncio.Event()
            await self._resumed.wait()

    def resume(self) -> None:
        """Wake the task that waits in `drain`: the client has read some bytes, or the exchange is cancelled."""
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None

    def _set_cancelled(self) -> None:
        super()._set_cancelled()
        self.resume()

    def _close_incoming(self, incoming: "IncomingBody") -> None:
        self.incoming = self.on_error = None  # both refer to the exchange; see `finished` for reference cycles
        self.connection.close_incoming(self, incoming)

    def _write_head(self, status: int, headers: Headers, length: int | None, *, ends: bool) -> None:
        self.begun = True
        fields = [(b":status", b"%d" % status), self.server.date]
        fields += headers
        if length is not None and status not in {204, 304}:
            fields.append((b"content-length", b"%d" % length))
        self.connection.conn.send_response(self.stream, fields, end_stream=ends)

    def _answer_queued(self) -> None:
        """Finish the exchange. Schedule a reset if the client is still sending the body."""
        self.finished()
        self.connection.response_queued(self)
        if not self.complete:
            self.server.loop.call_later(_LINGER, self._stop_client)

    def _stop_client(self) -> None:
        """Reset the stream once the client has the response, so that it stops sending. Source: RFC 9113, 8.1."""
        connection = self.connection
        if self.stream not in connection.streams:
            return
        if connection.conn.queued_body_size(self.stream):
            self.server.loop.call_later(_LINGER, self._stop_client)
        else:
            connection.conn.reset_stream(self.stream, ngh2.ErrorCode.NO_ERROR)
            connection.flush()
