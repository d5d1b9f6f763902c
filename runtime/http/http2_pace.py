"""What an HTTP/2 connection holds for its client, and for how long: bodies on their way in, answers on their way out.

    a head that is not whole         Limits.head_time
    a body                           Limits.body_deadline; of a stream, see `incoming.py`
    an answer that nobody reads      Limits.write_time

A connection that is idle between whole frames may stay. Source: RFC 9113.
"""

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import ngh2

from runtime.errors import Overloaded, PayloadTooLarge, RequestTimeout
from runtime.http.connection import Connection
from runtime.http.http2_exchange import HIGH_WATER, Http2Exchange
from runtime.http.incoming import Incoming

if TYPE_CHECKING:
    from runtime.http.server import Server

_BODIES: Final = 2  # times the largest body: what one connection may hold of unfinished bodies
_RETRY_AFTER: Final = 1  # seconds
_PROBE: Final = b"scalzero"  # the 8 bytes that a PING carries: RFC 9113, 6.7
_PROBE_FRAME: Final = b"\0\0\x08\x06\x01\0\0\0\0" + _PROBE  # PING with ACK, which is never answered


class Paced(Connection):
    """The part of an HTTP/2 connection that holds its client to sizes and times."""

    def __init__(self, server: "Server", conn: ngh2.Connection) -> None:
        super().__init__(server)
        self.conn = conn
        self.streams: dict[int, Http2Exchange] = {}
        self.unfinished = 0  # bytes of bodies that are coming in
        self._asked = False  # a request came
        self._heard = False  # whole frames came since the last read began
        self._began = server.now  # when the peer may have begun the head or the frame that is not whole yet
        self._readers: set[Http2Exchange] = set()  # whose bodies are coming in
        self._writers: set[Http2Exchange] = set()  # whose answers wait for their reader
        self._opened: list[Http2Exchange] = []  # whose heads came since the last flush
        self._ended: list[Http2Exchange] = []  # whose answers were queued to their ends since the last flush
        self._written = 0  # bytes since the last look at the writers

    def flush(self) -> None:
        """Take what happened, and write what is queued."""
        raise NotImplementedError

    def flush_soon(self) -> None:
        """Do that at the end of this turn of the loop."""
        raise NotImplementedError

    def _watch_opened(self) -> None:
        """Watch the bodies that did not come whole with their heads; most do."""
        opened, self._opened = self._opened, []
        for exchange in opened:
            if exchange.unfinished:
                exchange.since = self.server.now
                self._readers.add(exchange)
        self._settle()

    def _count(self, exchange: "Http2Exchange", size: int) -> None:
        """Count a piece of a body against its limit and the budgets. Raises `PayloadTooLarge` and `Overloaded`."""
        limit = self.server.limits.body
        if exchange.size + size > limit:
            raise PayloadTooLarge("body", limit=limit, unit="bytes")
        if self.unfinished + size > limit:  # most are far from it
            self._check_unfinished(size)
        self.server.budget.take(size)
        exchange.size += size
        self.unfinished += size

    def _check_unfinished(self, size: int) -> None:
        """Raise `Overloaded` where so many bytes more are beyond what a connection may hold of unfinished bodies."""
        limit = _BODIES * self.server.limits.body
        if self.unfinished + size > limit:
            raise Overloaded(
                "unfinished bodies of this connection", limit=limit, unit="bytes", retry_after=_RETRY_AFTER
            )

    def body_over(self, exchange: "Http2Exchange") -> None:
        """Stop counting a body as unfinished."""
        if not exchange.unfinished:
            return
        exchange.unfinished = False
        self.unfinished -= exchange.size
        if exchange in self._readers:
            self._readers.discard(exchange)
            self._settle()

    def wait_for_client(self, exchange: "Http2Exchange") -> None:
        """Have the clock look at a stream whose application waits for its client."""
        self._readers.add(exchange)
        self._settle()

    def waits_no_more(self, exchange: "Http2Exchange") -> None:
        """Stop that."""
        self._readers.discard(exchange)
        self._settle()

    def took(self, exchange: "Http2Exchange", size: int) -> None:
        """Open the window by what the application has taken. Raises `Overloaded` where that is too much unfinished."""
        self.conn.acknowledge_received_data(size, exchange.stream)
        self.flush_soon()
        self.since = self.server.now
        self.unfinished += size
        self._check_unfinished(0)

    def stream_over(self, exchange: "Http2Exchange", incoming: Incoming) -> None:
        """Open the window by what nobody will take of a stream that is answered, or whose client has left."""
        self._readers.discard(exchange)
        if left := incoming.close():
            with suppress(ngh2.NGH2Error):  # the connection may be over for ngh2
                self.conn.acknowledge_received_data(left, exchange.stream)

    def _watch_ended(self) -> None:
        """Watch the readers of answers that could not leave whole."""
        ended, self._ended = self._ended, []
        for exchange in ended:
            if exchange.stream in self.streams:
                self.wait_for_reader(exchange)

    def wait_for_reader(self, exchange: "Http2Exchange") -> None:
        """Look at this answer from time to time until its reader has taken it."""
        exchange.since, exchange.unread = self.server.now, self.conn.queued_body_size(exchange.stream)
        self._writers.add(exchange)
        self._settle()

    def _look_at_writers(self) -> None:
        self._written = 0
        for exchange in list(self._writers):
            if exchange.answered:
                continue  # only its time is watched
            if self.conn.queued_body_size(exchange.stream) <= HIGH_WATER:
                self._writers.discard(exchange)
                exchange.wake()

    def pause_writing(self) -> None:
        """Hold pieces back, and read nothing: each frame might have to be answered by another one."""
        super().pause_writing()
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Let the answers, and the reading, go on."""
        super().resume_writing()
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._settle()

    def _read_on(self) -> None:
        if self.writable is None:  # else `resume_writing` reads on
            super()._read_on()

    def _settle(self) -> None:
        """While bodies or answers depend on the client, look at them at every tick; else after the time of a head."""
        if self.writable is not None:
            return  # `pause_writing` has set it
        if self._readers or self._writers:
            self.deadline = self.server.now
        else:
            self.deadline = self._began + self.server.limits.head_time

    def expire(self) -> None:
        """Give up what the client is late with."""
        if self.writable is not None or self.transport.is_closing():
            self._abort_unread()
            return
        if not (self._readers or self._writers):
            self._expire_head()
            return
        now, limits = self.server.now, self.server.limits
        for exchange in list(self._readers):
            if exchange.incoming is not None:
                exchange.incoming.look()
            elif limits.body_deadline(exchange.since, exchange.size) <= now:
                exchange.refuse(RequestTimeout("body", seconds=limits.body_time, rate=limits.body_rate))
        for exchange in list(self._writers):
            self._give_up_unread(exchange)
        self.flush()

    def _expire_head(self) -> None:
        """Close a connection that never asked, or whose peer left a head unfinished; one that is idle may stay."""
        if self.streams:
            self.deadline = self.server.now + self.server.limits.head_time  # a head is due once all are answered
        elif self._asked and self._between_frames():
            self.deadline = math.inf
        else:
            self.transport.abort()

    def _between_frames(self) -> bool:
        """Whether the peer has sent whole frames and heads only.

        ngh2 does not tell, so it is fed a frame. Inside another frame, or in a head that waits for CONTINUATION
        (RFC 9113, 6.10), it does not take that for a PING, and the connection is of no more use.
        """
        try:
            self.conn.receive_data(_PROBE_FRAME)
            events = self.conn.events()
        except ngh2.NGH2Error:
            return False
        self._heard = True
        return any(isinstance(each, ngh2.PingAcknowledged) and each.opaque_data == _PROBE for each in events)

    def _give_up_unread(self, exchange: "Http2Exchange") -> None:
        unread = self.conn.queued_body_size(exchange.stream)
        if unread < exchange.unread:
            exchange.unread, exchange.since = unread, self.server.now
        elif exchange.since + self.server.limits.write_time <= self.server.now:
            self._writers.discard(exchange)
            exchange.break_off()
