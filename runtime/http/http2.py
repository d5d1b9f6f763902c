"""Prior-knowledge HTTP/2 (h2c), which Knative's queue-proxy uses if the port of the pod is named h2c.

    bytes -> ngh2 (libnghttp2) -> events -> body, counted -> Exchange -> responses, several in one write

A request is handled when its body is complete, unless the application admits it as a stream (see `incoming.py`).

queue-proxy sends all requests of a pod over one connection while it is open. If that connection closes, queue-proxy
cannot always repeat a request, because it can read a body only once. So a connection has no maximum age.

In shutdown, the first GOAWAY refuses no stream, so requests that the peer sends before it reads the GOAWAY are answered
too. The connection closes when it has been idle for `Limits.shutdown_idle`. Source: RFC 9113, 6.8.
"""

import asyncio
import math
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

import ngh2

from runtime.errors import HeadTooLarge, ScalezeroError, ShuttingDown
from runtime.http.body import extended, whole
from runtime.http.http2_exchange import Http2Exchange
from runtime.http.http2_pace import LimitedConnection
from runtime.http.incoming import IncomingBody
from runtime.http.messages import header_size

if TYPE_CHECKING:
    from runtime.http.server import Server

_WINDOW: Final = 256 * 1024  # bytes that a client can send before the application receives them, for each request
_MIN_BATCH: Final = 4  # responses to write together
_MAX_STREAMS: Final = 1000  # requests; the maximum of Knative's containerConcurrency
# Large enough for all streams, so that streams whose bodies are not received do not block other requests.
_CONNECTION_WINDOW: Final = _MAX_STREAMS * _WINDOW
_HEAD_FACTOR: Final = 4  # heads up to this multiple of the limit are decoded, so that their streams can be refused
_CHECK_INTERVAL: Final = 16 * 1024  # bytes to write between two checks of waiting senders; less than HIGH_WATER
# Seconds, seconds, and a count.
_TCP_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
_MIN_SLICE: Final = 2 * 1024  # bytes to read in one turn of the loop; 16 KiB can be 500 requests that are reset at once
_MAX_SLICE: Final = 16 * 1024
_MAX_EVENTS: Final = 128  # events of a slice; after a slice with more, the next one is smaller
_CANCEL_BATCH: Final = 32  # requests to cancel in one turn of the loop


class Http2(LimitedConnection):
    """One HTTP/2 connection. It may be idle for any time; TCP keep-alive detects a peer that has disappeared."""

    def __init__(self, server: "Server") -> None:
        limits = server.limits
        configuration = ngh2.Configuration(
            auto_window_update=False,  # the window opens when the application receives the body
            stream_reset_rate_limit=(10_000, 1_000),  # behind a proxy, one peer resets the streams of many clients
            # ngh2 closes the connection above these. Heads between `limits.head` and these are answered with 431.
            max_inbound_header_list_size=_HEAD_FACTOR * limits.head,
            max_inbound_header_count=_HEAD_FACTOR * limits.head // header_size(b"", b""),
        )
        super().__init__(server, ngh2.Connection(ngh2.Role.SERVER, configuration))
        self._unparsed = b""  # received bytes that ngh2 has not read yet
        self._slice = 2 * _MIN_SLICE  # bytes to read in the next turn
        self._events = 0  # handled so far
        self._flush_due = False
        self._flushing = False
        self._closed = False  # nothing more can be sent: the peer violated the protocol, or both sides have finished
        self._close_timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a complete request is being answered."""
        return any(
            (each.complete or (each.incoming is not None and each not in self._receiving)) and not each.answered
            for each in self.streams.values()
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the settings of this side, and enable TCP keep-alive."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw.family in {socket.AF_INET, socket.AF_INET6}:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _TCP_KEEPALIVE:
                raw.setsockopt(socket.IPPROTO_TCP, option, value)
        self.conn.initiate_connection(
            {
                ngh2.Setting.MAX_CONCURRENT_STREAMS: _MAX_STREAMS,
                ngh2.Setting.INITIAL_WINDOW_SIZE: _WINDOW,
                ngh2.Setting.MAX_HEADER_LIST_SIZE: self.server.limits.head,
            }
        )
        self.conn.set_local_window_size(_CONNECTION_WINDOW)

    def data_received(self, data: bytes) -> None:
        """Read received data, and write what is queued."""
        if self._unparsed:
            self._unparsed += data
            return
        if self._frames_completed:
            self._frames_completed = False
            self._incomplete_since = self.server.now
            if self._had_request:
                self._update_deadline()
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Read a slice of the data, and the rest in later turns: thousands of small frames take long."""
        rest = data[self._slice :]
        events = self._events
        try:
            self.conn.receive_data(data[: self._slice] if rest else data)
        except ngh2.NGH2Error:  # not HTTP/2, or a limit is exceeded; the error for the peer is queued
            self._closed = True
        self.flush()
        few = self._events - events <= _MAX_EVENTS
        self._slice = min(2 * self._slice, _MAX_SLICE) if few else max(self._slice // 2, _MIN_SLICE)
        if rest and not self.transport.is_closing():
            self._unparsed = rest
            self.transport.pause_reading()
            self.server.loop.call_soon(self._receive_rest)

    def _receive_rest(self) -> None:
        data, self._unparsed = self._unparsed, b""
        if not self.transport.is_closing():
            self._receive(data)
            if not self._unparsed:
                self._resume_reading()

    def flush_soon(self) -> None:
        """Schedule `flush` for the end of this turn of the loop."""
        if not self._flush_due:
            self._flush_due = True
            self.server.loop.call_soon(self._flush_if_due)

    def _flush_if_due(self) -> None:
        if self._flush_due:  # otherwise another flush was earlier
            self.flush()

    def flush(self) -> None:
        """Handle the events, then write what is queued, which can create more events."""
        self._flush_due = False
        self._flushing = True
        data = b""
        try:
            if events := self.conn.events():
                self._handle(events)
            data = self.conn.data_to_send()
            if events := self.conn.events():
                self._handle(events)
        except ngh2.NGH2Error:  # ngh2 has closed the connection
            self._closed = True
        self._flushing = False
        if data and not self.transport.is_closing():
            self.transport.write(data)
        if self._closed:
            self._cancel_all()
            self._close()
            return
        if self._new:
            self._watch_new()
        if self._queued:
            self._watch_queued()
        self._written_since_check += len(data)
        if self._sending and self._written_since_check >= _CHECK_INTERVAL:
            self._wake_senders()

    def response_queued(self, exchange: "Http2Exchange") -> None:
        """Schedule the write of a complete response.

        A single response is written at once. Of several, half are written together: the client reads them while the
        others are being made.
        """
        self._queued.append(exchange)
        streams = len(self.streams)
        enough = 1 if streams == 1 else max(_MIN_BATCH, streams // 2)
        if len(self._queued) >= enough and not self._flushing:
            self.flush()
        else:
            self.flush_soon()

    def _handle(self, events: Sequence[ngh2.Event]) -> None:
        self._frames_completed = True
        self._events += len(events)
        for event in events:
            handler = self._handlers.get(type(event))
            if handler is not None:
                handler(self, event)

    def _on_request(self, event: ngh2.RequestReceived) -> None:
        stream = event.stream_id
        self._had_request = True
        try:
            request, content_length, size = self.server.field_blocks.decode(event.headers)
        except (UnicodeDecodeError, ValueError):  # a path that is not ASCII, which is not a valid URI
            self.conn.reset_stream(stream, ngh2.ErrorCode.PROTOCOL_ERROR)
            return
        exchange = self.streams[stream] = Http2Exchange(self, request, stream)
        exchange.complete = event.end_stream
        try:
            if size > self.server.limits.head:
                raise HeadTooLarge(limit=self.server.limits.head)
            self.server.check_length(content_length)
            if not event.end_stream and self.server.application.admit(request):
                exchange.reserve(self.server.limits.stream_size)
                exchange.incoming = IncomingBody(exchange)
        except ScalezeroError as fault:
            exchange.refuse(fault)
            return
        self._new.append(exchange)
        if event.end_stream or exchange.incoming is not None:
            exchange.begin()
        else:
            exchange.receiving = True

    def _on_data(self, event: ngh2.DataReceived) -> None:
        exchange, size = self.streams.get(event.stream_id), len(event.data)
        if exchange is not None and exchange.incoming is not None:
            self._on_stream_data(exchange, exchange.incoming, event)
            return
        self.conn.acknowledge_received_data(size, event.stream_id)
        if exchange is None or exchange.answered or exchange.cancelled:
            return
        if size:
            try:
                self._count_body(exchange, size)
            except ScalezeroError as fault:
                exchange.refuse(fault)
                return
            exchange.body = extended(exchange.body, event.data)
        if event.end_stream:
            self._on_body_complete(exchange)

    def _on_trailers(self, event: ngh2.TrailersReceived) -> None:
        if exchange := self.streams.get(event.stream_id):
            self._on_body_complete(exchange)

    def _on_connection_closed(self, _: ngh2.ConnectionClosed) -> None:
        self._closed = True

    def _on_stream_data(self, exchange: "Http2Exchange", incoming: IncomingBody, event: ngh2.DataReceived) -> None:
        """Buffer a piece for the application. The client's window opens when the application receives it."""
        try:
            exchange.reserve(len(event.data))
        except ScalezeroError as fault:
            self.conn.acknowledge_received_data(len(event.data), event.stream_id)
            exchange.terminate(fault)
            return
        incoming.feed_data(event.data)
        if event.end_stream:
            self._on_body_complete(exchange)

    def _on_body_complete(self, exchange: "Http2Exchange") -> None:
        """Begin a request whose body is complete, or end the body of a stream."""
        exchange.complete = True
        if exchange.incoming is not None:
            exchange.incoming.feed_eof()
            return
        self.body_ended(exchange)
        if exchange.answered or exchange.cancelled:
            return
        exchange.request.body = whole(exchange.body)
        exchange.body = b""
        exchange.begin()

    def _on_stream_closed(self, event: ngh2.StreamClosed) -> None:
        exchange = self.streams.pop(event.stream_id, None)
        if exchange is not None:
            if not exchange.answered or exchange.receiving:
                self.body_ended(exchange)
                exchange.cancel()
            self._sending.discard(exchange)
        self.last_used = self.server.now
        if self.server.closing:
            self._close_when_idle()

    def connection_lost(self, error: Exception | None) -> None:
        """Cancel the requests of this connection."""
        super().connection_lost(error)
        if self._close_timer:
            self._close_timer.cancel()
        self._cancel_all()

    def _close(self) -> None:
        """Close when the peer has read what is written, within the write timeout."""
        if not self.transport.is_closing():
            self._start_write_timeout()
            self.transport.close()

    def _cancel_all(self) -> None:
        streams, self.streams = self.streams, {}
        self._cancel_batch([*streams.values()])
        self._new.clear()
        self._queued.clear()
        self._receiving.clear()
        self._sending.clear()
        self.incomplete_bytes = 0
        self.deadline = math.inf

    def _cancel_batch(self, exchanges: "list[Http2Exchange]") -> None:
        """Cancel the exchanges, some in each turn of the loop, because each can have a task to cancel."""
        for exchange in exchanges[:_CANCEL_BATCH]:
            exchange.cancel()
        if len(exchanges) > _CANCEL_BATCH:
            self.server.loop.call_soon(self._cancel_batch, exchanges[_CANCEL_BATCH:])

    def shut_down(self) -> None:
        """Answer the open requests, and those that the peer sends before it reads GOAWAY, then close."""
        try:
            self.conn.send_shutdown_notice()
        except ngh2.NGH2Error:  # ngh2 has closed the connection
            self._close()
            return
        for exchange in self._receiving:
            if exchange.incoming is not None:
                exchange.incoming.shut_down()
        self.flush()
        self._close_when_idle()

    def refuse_all(self) -> None:
        """Answer the open requests with 503."""
        for exchange in list(self.streams.values()):
            self.body_ended(exchange)
            exchange.terminate(ShuttingDown())
        try:
            self.conn.send_goaway()
        except ngh2.NGH2Error:
            self._closed = True
        self.flush()

    def _close_when_idle(self) -> None:
        if self._close_timer:
            self._close_timer.cancel()
        self._close_timer = self.server.loop.call_later(self.server.limits.shutdown_idle, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not self.streams and not self.transport.is_closing():  # the end of the last stream starts the timer again
            self.conn.send_goaway()
            self.flush()
            self._close()

    # Events that ngh2 handles itself are omitted: WINDOW_UPDATE and PING, of which one read can have tens of thousands.
    _handlers: ClassVar[Mapping[type, Callable[["Http2", Any], None]]] = {
        ngh2.RequestReceived: _on_request,
        ngh2.DataReceived: _on_data,
        ngh2.TrailersReceived: _on_trailers,
        ngh2.StreamClosed: _on_stream_closed,
        ngh2.ConnectionClosed: _on_connection_closed,
    }
