"""Prior-knowledge HTTP/2 (h2c), as Knative's queue-proxy speaks it to a pod whose port has that name.

    bytes -> ngh2 (libnghttp2) -> events -> body, counted -> Exchange -> answers, several in one write

A request waits for its whole body, unless the application admits it as a stream (see `incoming.py`).

queue-proxy sends all requests of a pod through one connection for as long as that lives, and what its client cannot
send there any more it cannot always send again: a body is read only once. So a connection has no age.

At the end of the process GOAWAY first refuses no stream, so that what was sent before the peer has read it is answered
too; the connection closes when it has been quiet for a while. Source: RFC 9113, 6.8.
"""

import asyncio
import math
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import ngh2

from runtime.errors import HeadTooLarge, ScalezeroError, ShuttingDown
from runtime.http.body import extended, whole
from runtime.http.http2_exchange import Http2Exchange
from runtime.http.http2_pace import Paced
from runtime.http.incoming import Incoming
from runtime.http.messages import header_size

if TYPE_CHECKING:
    from runtime.http.server import Server

_ROOM: Final = 256 * 1024  # bytes that a client may send ahead of us, for each request
_FEW: Final = 4  # answers that are worth a write of their own
_AT_ONCE: Final = 1000  # requests; the most that Knative's containerConcurrency could be
_ROOM_OF_ALL: Final = _AT_ONCE * _ROOM  # so that streams which nobody takes from yet hold up no other request
_HEADS: Final = 4  # times the largest head: what is decoded of one, so that its stream can be refused
_LOOK: Final = 16 * 1024  # bytes to be written between two looks at who waits for a reader; below HIGH_WATER
_TCP_ALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))  # seconds; count
_SLICE: Final = 16 * 1024  # bytes that are read in one turn of the loop: of requests that are reset at once, 500
_LEAVING: Final = 32  # requests whose client has left, in a turn of the loop


class Http2(Paced):
    """One HTTP/2 connection. A peer that is gone without a word is found by TCP; one that is idle may stay."""

    def __init__(self, server: "Server") -> None:
        limits = server.limits
        configuration = ngh2.Configuration(
            auto_window_update=False,  # room is given back as the body is taken
            stream_reset_rate_limit=(10_000, 1_000),  # behind a proxy, the clients of many who give up are one peer
            # ngh2 ends the connection beyond these. What is over `limits.head` and within them is answered with 431.
            max_inbound_header_list_size=_HEADS * limits.head,
            max_inbound_header_count=_HEADS * limits.head // header_size(b"", b""),
        )
        super().__init__(server, ngh2.Connection(ngh2.Role.SERVER, configuration))
        self._rest = b""  # bytes that the socket delivered and ngh2 has not read yet
        self._flush_due = False
        self._flushing = False
        self._closed = False  # nothing more can be said: it broke the rules, or said goodbye and is answered
        self._leaving: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a whole request is being answered."""
        return any(
            (each.complete or (each.incoming is not None and each not in self._readers)) and not each.answered
            for each in self.streams.values()
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the peer."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw.family in {socket.AF_INET, socket.AF_INET6}:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _TCP_ALIVE:
                raw.setsockopt(socket.IPPROTO_TCP, option, value)
        self.conn.initiate_connection(
            {
                ngh2.Setting.MAX_CONCURRENT_STREAMS: _AT_ONCE,
                ngh2.Setting.INITIAL_WINDOW_SIZE: _ROOM,
                ngh2.Setting.MAX_HEADER_LIST_SIZE: self.server.limits.head,
            }
        )
        self.conn.set_local_window_size(_ROOM_OF_ALL)

    def data_received(self, data: bytes) -> None:
        """Read what came, and write what it allows."""
        if self._rest:
            self._rest += data
            return
        if self._heard:
            self._heard = False
            self._began = self.server.now
            if self._asked:
                self._settle()
        self._read_some(data)

    def _read_some(self, data: bytes) -> None:
        """Read a slice of the data, and the rest in later turns: thousands of small frames take long."""
        rest = data[_SLICE:]
        try:
            self.conn.receive_data(data[:_SLICE] if rest else data)
        except ngh2.NGH2Error:  # no HTTP/2, or too much of it: what is queued says so to the peer
            self._closed = True
        self.flush()
        if rest and not self.transport.is_closing():
            self._rest = rest
            self.transport.pause_reading()
            self.server.loop.call_soon(self._read_rest)

    def _read_rest(self) -> None:
        data, self._rest = self._rest, b""
        if not self.transport.is_closing():
            self._read_some(data)
            if not self._rest:
                self._read_on()

    def flush_soon(self) -> None:
        """Write what is queued at the end of this turn of the loop."""
        if not self._flush_due:
            self._flush_due = True
            self.server.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Take what happened, then write what is queued, which may make more happen."""
        self._flush_due = False
        self._flushing = True
        data = b""
        try:
            self._take_events()
            data = self.conn.data_to_send()
            self._take_events()
        except ngh2.NGH2Error:  # the connection is over for ngh2
            self._closed = True
        self._flushing = False
        if data and not self.transport.is_closing():
            self.transport.write(data)
        if self._closed:
            self._abandon()
            self._close()
            return
        if self._opened:
            self._watch_opened()
        if self._ended:
            self._watch_ended()
        self._written += len(data)
        if self._writers and self._written >= _LOOK:
            self._look_at_writers()

    def answer_queued(self, exchange: "Http2Exchange") -> None:
        """Note that an answer is queued to its end.

        A lone answer leaves at once. Of several, half leave together: the client reads them while the rest are made.
        """
        self._ended.append(exchange)
        streams = len(self.streams)
        enough = 1 if streams == 1 else max(_FEW, streams // 2)
        if len(self._ended) >= enough and not self._flushing:
            self.flush()
        else:
            self.flush_soon()

    def _take_events(self) -> None:
        events = self.conn.events()
        if events:
            self._heard = True
        for event in events:
            take = self._takes.get(type(event))
            if take is not None:
                take(self, event)

    def _request(self, event: ngh2.RequestReceived) -> None:
        stream = event.stream_id
        self._asked = True
        try:
            request, announced, size = self.server.field_blocks.decode(event.headers)
        except (UnicodeDecodeError, ValueError):  # a path that is not ASCII, which no URI is
            self.conn.reset_stream(stream, ngh2.ErrorCode.PROTOCOL_ERROR)
            return
        exchange = self.streams[stream] = Http2Exchange(self, request, stream)
        exchange.complete = event.end_stream
        try:
            if size > self.server.limits.head:
                raise HeadTooLarge(limit=self.server.limits.head)
            self.server.expect(announced)
            if not event.end_stream and self.server.application.admit(request):
                exchange.hold(self.server.limits.stream_size)
                exchange.incoming = Incoming(exchange)
        except ScalezeroError as fault:
            exchange.refuse(fault)
            return
        self._opened.append(exchange)
        if event.end_stream or exchange.incoming is not None:
            exchange.begin()
        else:
            exchange.unfinished = True

    def _body(self, event: ngh2.DataReceived) -> None:
        exchange, size = self.streams.get(event.stream_id), len(event.data)
        if exchange is not None and exchange.incoming is not None:
            self._stream_body(exchange, exchange.incoming, event)
            return
        self.conn.acknowledge_received_data(size, event.stream_id)
        if exchange is None or exchange.answered or exchange.gone:
            return
        if size:
            try:
                self._count(exchange, size)
            except ScalezeroError as fault:
                exchange.refuse(fault)
                return
            exchange.body = extended(exchange.body, event.data)
        if event.end_stream:
            self._complete(exchange)

    def _trailers(self, event: ngh2.TrailersReceived) -> None:
        if exchange := self.streams.get(event.stream_id):
            self._complete(exchange)

    def _connection_closed(self, _: ngh2.ConnectionClosed) -> None:
        self._closed = True

    def _stream_body(self, exchange: "Http2Exchange", incoming: Incoming, event: ngh2.DataReceived) -> None:
        """Keep a piece for the application; the client's window opens when it takes it."""
        try:
            exchange.hold(len(event.data))
        except ScalezeroError as fault:
            self.conn.acknowledge_received_data(len(event.data), event.stream_id)
            exchange.abandon(fault)
            return
        incoming.arrived(event.data)
        if event.end_stream:
            self._complete(exchange)

    def _complete(self, exchange: "Http2Exchange") -> None:
        """Answer a request whose body is whole."""
        exchange.complete = True
        if exchange.incoming is not None:
            exchange.incoming.end()
            return
        self.body_over(exchange)
        if exchange.answered or exchange.gone:
            return
        exchange.request.body = whole(exchange.body)
        exchange.body = b""
        exchange.begin()

    def _end(self, event: ngh2.StreamClosed) -> None:
        exchange = self.streams.pop(event.stream_id, None)
        if exchange is not None:
            if not exchange.answered or exchange.unfinished:
                self.body_over(exchange)
                exchange.leave()
            self._writers.discard(exchange)
        self.since = self.server.now
        if self.server.closing:
            self._leave_when_quiet()

    def connection_lost(self, error: Exception | None) -> None:
        """Notify the handler that the client has disconnected."""
        super().connection_lost(error)
        if self._leaving:
            self._leaving.cancel()
        self._abandon()

    def _close(self) -> None:
        """Close once the peer has read what is written, within the time for that."""
        if not self.transport.is_closing():
            self._watch_reader()
            self.transport.close()

    def _abandon(self) -> None:
        streams, self.streams = self.streams, {}
        self._leave_all([*streams.values()])
        self._opened.clear()
        self._ended.clear()
        self._readers.clear()
        self._writers.clear()
        self.unfinished = 0
        self.deadline = math.inf

    def _leave_all(self, exchanges: "list[Http2Exchange]") -> None:
        """Tell the applications that the client has left, so many in a turn of the loop: each has a task to cancel."""
        for exchange in exchanges[:_LEAVING]:
            exchange.leave()
        if len(exchanges) > _LEAVING:
            self.server.loop.call_soon(self._leave_all, exchanges[_LEAVING:])

    def shut_down(self) -> None:
        """End, after what is under way and what is on its way."""
        try:
            self.conn.send_shutdown_notice()
        except ngh2.NGH2Error:  # it is broken already
            self._close()
            return
        for exchange in self._readers:
            if exchange.incoming is not None:
                exchange.incoming.shut_down()
        self.flush()
        self._leave_when_quiet()

    def refuse_all(self) -> None:
        """Answer what is under way with 503."""
        for exchange in list(self.streams.values()):
            self.body_over(exchange)
            exchange.abandon(ShuttingDown())
        try:
            self.conn.send_goaway()
        except ngh2.NGH2Error:
            self._closed = True
        self.flush()

    def _leave_when_quiet(self) -> None:
        if self._leaving:
            self._leaving.cancel()
        self._leaving = self.server.loop.call_later(self.server.limits.quiet, self._leave)

    def _leave(self) -> None:
        if not self.streams and not self.transport.is_closing():  # the end of the last one asks again
            self.conn.send_goaway()
            self.flush()
            self._close()

    # What ngh2 has acted on is not here: WINDOW_UPDATE and PING, of which a read may bring tens of thousands.
    _takes: ClassVar[Mapping[type, Callable[["Http2", Any], None]]] = {
        ngh2.RequestReceived: _request,
        ngh2.DataReceived: _body,
        ngh2.TrailersReceived: _trailers,
        ngh2.StreamClosed: _end,
        ngh2.ConnectionClosed: _connection_closed,
    }
