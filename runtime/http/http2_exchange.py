"""A request on one stream of HTTP/2 and its answer. Source: RFC 9113."""

import asyncio
from typing import TYPE_CHECKING, Final

import ngh2

from runtime.errors import ScalezeroError
from runtime.http.body import Partial
from runtime.http.exchange import Exchange
from runtime.http.messages import Headers, Request, bodiless

if TYPE_CHECKING:
    from runtime.http.http2 import Http2

HIGH_WATER: Final = 64 * 1024  # bytes of an answer that wait for its reader before the application does
# Seconds in which a client that still sends may read its answer: curl 7.88 reports a reset behind it as an error.
_LINGER: Final = 0.2


class Http2Exchange(Exchange):
    """A request on one stream and its answer."""

    __slots__ = ("_news", "body", "complete", "since", "stream", "unfinished", "unread")

    connection: "Http2"

    def __init__(self, connection: "Http2", request: Request, stream: int) -> None:
        super().__init__(connection, request)
        self.stream = stream
        self.complete = False  # all of the body came
        self.unfinished = False  # the body is coming in
        self.body: Partial = b""  # what has arrived of it
        self.since = 0.0  # when the body began, or the client last read of the answer, on the server's clock
        self.unread = 0  # bytes of the answer that the client had not read then
        self._news: asyncio.Event | None = None  # made while the application waits for the client

    def refuse(self, fault: ScalezeroError) -> None:
        """Refuse the request before its body is whole."""
        self.body = b""
        self.connection.body_over(self)
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
        except ngh2.NGH2Error:  # the client has left in the same read
            self.leave()
        else:
            self._ended()

    def write_head(self, status: int, headers: Headers, *, length: int | None) -> None:
        """Queue the head of an answer that comes in pieces."""
        try:
            self._write_head(status, headers, length, ends=False)
        except ngh2.NGH2Error:  # as above
            self.leave()
        self.connection.flush_soon()

    def write_piece(self, piece: bytes) -> None:
        """Queue a piece."""
        if piece and not self.gone and self.request.method != "HEAD":
            try:
                self.connection.conn.send_data(self.stream, piece)
            except ngh2.NGH2Error:  # as above
                self.leave()
            self.connection.flush_soon()

    def write_end(self, trailers: Headers) -> None:
        """Queue the trailers, or the end."""
        if self.gone:
            return
        try:
            if trailers:
                self.connection.conn.send_trailers(self.stream, trailers)
            else:
                self.connection.conn.end_stream(self.stream)
        except ngh2.NGH2Error:  # as above
            self.leave()
        else:
            self._ended()

    def break_off(self) -> None:
        """Reset the stream."""
        if self.stream in self.connection.streams:
            self.connection.conn.reset_stream(self.stream, ngh2.ErrorCode.INTERNAL_ERROR)
            self.connection.flush_soon()
            self.leave()

    async def drain(self) -> None:
        """Wait for the socket, and for the reader of this answer."""
        connection = self.connection
        while not self.gone and connection.writable is not None:
            await connection.writable.wait()
        while not self.gone and connection.conn.queued_body_size(self.stream) > HIGH_WATER:
            connection.wait_for_reader(self)
            self._news = asyncio.Event()
            await self._news.wait()

    def wake(self) -> None:
        """Let the application go on: its reader has read, or left."""
        if self._news is not None:
            self._news.set()
            self._news = None

    def _let_go(self) -> None:
        super()._let_go()
        self.wake()

    def _over(self) -> None:
        super()._over()
        incoming = self.incoming
        if incoming is not None:
            self.incoming = self.on_fault = None  # both refer back, as `finished` has it for `on_gone`
            self.connection.stream_over(self, incoming)

    def _write_head(self, status: int, headers: Headers, length: int | None, *, ends: bool) -> None:
        self.begun = True
        fields = [(b":status", b"%d" % status), self.server.date]
        fields += headers
        if length is not None and status not in {204, 304}:
            fields.append((b"content-length", b"%d" % length))
        self.connection.conn.send_response(self.stream, fields, end_stream=ends)

    def _ended(self) -> None:
        """Let go of a request that was not read to its end."""
        self.finished()
        self.connection.answer_queued(self)
        if not self.complete:
            self.server.loop.call_later(_LINGER, self._stop_sending)

    def _stop_sending(self) -> None:
        """Tell the client to stop sending what nobody reads, once it has the answer. Source: RFC 9113, 8.1."""
        connection = self.connection
        if self.stream not in connection.streams:
            return
        if connection.conn.queued_body_size(self.stream):
            self.server.loop.call_later(_LINGER, self._stop_sending)
        else:
            connection.conn.reset_stream(self.stream, ngh2.ErrorCode.NO_ERROR)
            connection.flush()
