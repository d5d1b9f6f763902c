"""Limits of an HTTP/2 connection: sizes and timeouts of request bodies and responses.

    an incomplete head                       Limits.head_time
    a body                                   Limits.body_deadline; for a stream, see `incoming.py`
    a response that the client does not read Limits.write_time

A connection may be idle for any time between complete frames. Source: RFC 9113.
"""

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import ngh2

from runtime.errors import Overloaded, PayloadTooLarge, RequestTimeout
from runtime.http.connection import Connection
from runtime.http.http2_exchange import HIGH_WATER, Http2Exchange
from runtime.http.incoming import IncomingBody

if TYPE_CHECKING:
    from runtime.http.server import Server

_MAX_INCOMPLETE: Final = 2  # limit of the incomplete bodies of a connection, as a multiple of the largest body
_RETRY_AFTER: Final = 1  # seconds
_PROBE: Final = b"scalzero"  # the 8 bytes of a PING: RFC 9113, 6.7
_PROBE_FRAME: Final = b"\0\0\x08\x06\x01\0\0\0\0" + _PROBE  # a PING with ACK, which needs no response


class LimitedConnection(Connection):
    """The part of an HTTP/2 connection that enforces sizes and timeouts."""

    def __init__(self, server: "Server", conn: ngh2.Connection) -> None:
        super().__init__(server)
        self.conn = conn
        self.streams: dict[int, Http2Exchange] = {}
        self.incomplete_bytes = 0  # bytes of bodies that are being received
        self._had_request = False  # a request has arrived
        self._frames_completed = False  # complete frames have arrived since the last read began
        self._incomplete_since = server.now  # earliest start of the current frame or head
        self._receiving: set[Http2Exchange] = set()  # the application or the connection waits for their bodies
        self._sending: set[Http2Exchange] = set()  # the client must read their responses
        self._new: list[Http2Exchange] = []  # their heads have arrived since the last flush
        self._queued: list[Http2Exchange] = []  # their responses were completely queued since the last flush
        self._written_since_check = 0  # bytes written since the last `_wake_senders`

    def flush(self) -> None:
        """Handle events, and write what is queued."""
        raise NotImplementedError

    def flush_soon(self) -> None:
        """Schedule `flush` for the end of this turn of the loop."""
        raise NotImplementedError

    def _watch_new(self) -> None:
        """Watch the bodies that did not arrive together with their heads; most do."""
        opened, self._new = self._new, []
        for exchange in opened:
            if exchange.receiving:
                exchange.progress_at = self.server.now
                self.watch_receiving(exchange)

    def _count_body(self, exchange: "Http2Exchange", size: int) -> None:
        """Count a piece of a body in its limit and the budgets. Raises `PayloadTooLarge` and `Overloaded`."""
        limit = self.server.limits.body
        if exchange.size + size > limit:
            raise PayloadTooLarge("body", limit=limit, unit="bytes")
        if self.incomplete_bytes + size > limit:  # rarely true
            self._check_incomplete(size)
        self.server.budget.reserve(size)
        exchange.size += size
        self.incomplete_bytes += size

    def _check_incomplete(self, size: int) -> None:
        """Raise `Overloaded` if `size` more bytes exceed the connection's limit of incomplete bodies."""
        limit = _MAX_INCOMPLETE * self.server.limits.body
        if self.incomplete_bytes + size > limit:
            raise Overloaded(
                "incomplete bodies of this connection", limit=limit, unit="bytes", retry_after=_RETRY_AFTER
            )

    def body_ended(self, exchange: "Http2Exchange") -> None:
        """Stop counting a body as incomplete."""
        if not exchange.receiving:
            return
        exchange.receiving = False
        self.incomplete_bytes -= exchange.size
        if exchange in self._receiving:
            self._receiving.discard(exchange)
            self._update_deadline()

    def watch_receiving(self, exchange: "Http2Exchange") -> None:
        """Check the deadline of a stream at every tick while its application waits for the client."""
        self._receiving.add(exchange)
        self._update_deadline()

    def unwatch_receiving(self, exchange: "Http2Exchange") -> None:
        """Stop the checks of `watch_receiving`."""
        self._receiving.discard(exchange)
        self._update_deadline()

    def consumed(self, exchange: "Http2Exchange", size: int) -> None:
        """Open the window by `size` received bytes. Raises `Overloaded` if too many belong to incomplete messages."""
        self.conn.acknowledge_received_data(size, exchange.stream)
        self.flush_soon()
        self.last_used = self.server.now
        self.incomplete_bytes += size
        self._check_incomplete(0)

    def close_incoming(self, exchange: "Http2Exchange", incoming: IncomingBody) -> None:
        """Open the window by the bytes of a finished or cancelled stream that the application has not received."""
        self._receiving.discard(exchange)
        if left := incoming.close():
            with suppress(ngh2.NGH2Error):  # ngh2 may have closed the connection
                self.conn.acknowledge_received_data(left, exchange.stream)

    def _watch_queued(self) -> None:
        """Watch the responses that could not be written completely."""
        ended, self._queued = self._queued, []
        for exchange in ended:
            if exchange.stream in self.streams:
                self.watch_sending(exchange)

    def watch_sending(self, exchange: "Http2Exchange") -> None:
        """Check at every tick whether the client still reads this response."""
        exchange.progress_at, exchange.unread = self.server.now, self.conn.queued_body_size(exchange.stream)
        self._sending.add(exchange)
        self._update_deadline()

    def _wake_senders(self) -> None:
        self._written_since_check = 0
        for exchange in list(self._sending):
            if exchange.answered:
                continue  # no task waits, only the write timeout runs
            if self.conn.queued_body_size(exchange.stream) <= HIGH_WATER:
                self._sending.discard(exchange)
                exchange.resume()

    def pause_writing(self) -> None:
        """Stop writing, and also reading, because a received frame can require a response frame."""
        super().pause_writing()
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Continue to write and to read."""
        super().resume_writing()
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._update_deadline()

    def _resume_reading(self) -> None:
        if self.writable is None:  # otherwise `resume_writing` resumes it
            super()._resume_reading()

    def _update_deadline(self) -> None:
        """Set the deadline: the next tick if a body or a response waits for the client, otherwise that of a head."""
        if self.writable is not None:
            return  # `pause_writing` has set the deadline
        if self._receiving or self._sending:
            self.deadline = self.server.now
        else:
            self.deadline = self._incomplete_since + self.server.limits.head_time

    def expire(self) -> None:
        """Refuse or reset what the client is too late with."""
        if self.writable is not None or self.transport.is_closing():
            self._abort_if_stalled()
            return
        if not (self._receiving or self._sending):
            self._expire_head()
            return
        now, limits = self.server.now, self.server.limits
        for exchange in list(self._receiving):
            if exchange.incoming is not None:
                exchange.incoming.check_deadline()
            elif limits.body_deadline(exchange.progress_at, exchange.size) <= now:
                exchange.refuse(RequestTimeout("body", seconds=limits.body_time, rate=limits.body_rate))
        for exchange in list(self._sending):
            self._reset_if_stalled(exchange)
        self.flush()

    def _expire_head(self) -> None:
        """Close a connection without a request, or with an incomplete head. Any other connection may be idle."""
        if self.streams:
            self.deadline = self.server.now + self.server.limits.head_time  # restarted until all are answered
        elif self._had_request and self._between_frames():
            self.deadline = math.inf
        else:
            self.transport.abort()

    def _between_frames(self) -> bool:
        """Return whether the peer has sent only complete frames and heads.

        ngh2 does not report this, so it gets an extra PING ACK frame. It does not accept this frame inside another
        frame, or in a head that needs CONTINUATION (RFC 9113, 6.10). The connection cannot be used after that.
        """
        try:
            self.conn.receive_data(_PROBE_FRAME)
            events = self.conn.events()
        except ngh2.NGH2Error:
            return False
        self._frames_completed = True
        return any(isinstance(each, ngh2.PingAcknowledged) and each.opaque_data == _PROBE for each in events)

    def _reset_if_stalled(self, exchange: "Http2Exchange") -> None:
        unread = self.conn.queued_body_size(exchange.stream)
        if unread < exchange.unread:
            exchange.unread, exchange.progress_at = unread, self.server.now
        elif exchange.progress_at + self.server.limits.write_time <= self.server.now:
            self._sending.discard(exchange)
            exchange.reset()
