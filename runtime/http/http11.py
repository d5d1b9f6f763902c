"""HTTP/1.1: one connection, its requests one after another.

    bytes -> httptools (llhttp) -> head -> body, counted -> Exchange -> one write -> next request

The body is collected here, within its limit, its time and the process' budget; an application never sees a request that
is not whole. What cannot become a request is refused, and the connection ends: where it is unread, nothing behind it
can be trusted. Source: RFC 9112.

A client on a kept connection sends the same head again and again, and what a head means depends on its bytes alone. So
heads that came lately are remembered with what the parser made of them: a request that comes in one read with a known
head needs no parser.
"""

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import httptools

from runtime.errors import BadRequest, HeadTooLarge, PayloadTooLarge, RequestTimeout, ScalezeroError, ShuttingDown
from runtime.http.body import Partial, extended, whole
from runtime.http.connection import Connection
from runtime.http.http11_exchange import Http11Exchange
from runtime.http.http11_head import Head, KnownHead, target
from runtime.http.messages import Request, header_size

if TYPE_CHECKING:
    from runtime.http.server import Server

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"
_MOST_KNOWN: Final = 256  # heads; they come from clients, so their number and length must be bounded
_LONGEST_KNOWN: Final = 4096  # bytes
_PIPELINED: Final = 16  # requests that wait on one connection before it is read no further
_SLICE: Final = 16 * 1024  # bytes that are parsed in one turn of the loop, where they are not all body
_CHUNK_LINES: Final = 16  # bytes: a chunk's size and line ends, with some leading zeros
_LINGER: Final = 2.0  # seconds in which a client that still sends may read why it is refused
_AWAITED: Final = math.inf  # no deadline: it is not the client's turn


class Http11(Connection):
    """One HTTP/1.1 connection."""

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self.exchange: Http11Exchange | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Http11Exchange] = deque()  # requests behind the one that is being answered
        self._reading: Http11Exchange | None = None  # the request whose body is coming in
        self._head: Head | None = None  # the request whose head is coming in
        self._body: Partial = b""
        self._begun = 0.0  # when the head or the body began, or its turn came, on the server's clock
        self._read = 0  # bytes of the read that is being parsed
        self._overhead = 0  # bytes after the first read of a request that are not its body
        self._owes_continue = False  # the client waits for 100 Continue until the answers before it are written
        self._first_read = b""  # a read that begins a request, while it is parsed
        self._unparsed = b""  # what of a large read waits for its turn
        self._announced = 0  # the length of the body that is coming in, where its head says it
        self._deaf = False  # what still comes is thrown away

    @property
    def busy(self) -> bool:
        """Whether a whole request is being answered."""
        return self.exchange is not None

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._deaf:
            return
        if self._unparsed:
            self._unparsed += data
            return
        if self._head is None and self._reading is None and self._free:
            if self._take_known(data):
                return
            self._first_read = data
        self._parse_some(data)

    def _parse_some(self, data: bytes) -> None:
        """Parse a slice of what came, the rest in later turns: pipelined requests and small chunks are much work."""
        if len(data) > _SLICE and not self._is_body(len(data)):
            self._parse(data[:_SLICE])
            data = data[_SLICE:]
            if not self._is_body(len(data)):
                self._unparsed = data
                self.transport.pause_reading()
                self.server.loop.call_soon(self._parse_on)
                return
        self._parse(data)
        self._give_way(len(data))

    def _parse_on(self) -> None:
        if len(self._waiting) >= _PIPELINED or not self._unparsed:
            return  # `_next` asks again
        data, self._unparsed = self._unparsed, b""
        if self._deaf or self.transport.is_closing():
            return
        self.transport.resume_reading()
        self._parse_some(data)

    def _is_body(self, size: int) -> bool:
        """Whether so many bytes are all of the body that is coming in, which is little work."""
        reading = self._reading
        return reading is not None and self._announced - reading.size >= size

    def _parse(self, data: bytes) -> None:
        if self._deaf:
            return
        self._read = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered in HTTP/1.1 all the same: RFC 9110, 7.8
        except httptools.HttpParserError as error:
            if not self._deaf:
                self._refuse(BadRequest(_reason(error)))
            return
        self._first_read = b""
        self._overhead += len(data)
        if self._overhead > self.server.limits.head:
            self._refuse_overhead()

    @property
    def _free(self) -> bool:
        """Whether the next request may begin: all before it are answered, and the client reads its answers."""
        return self.exchange is None and not self._waiting and self.writable is None

    def _refuse_overhead(self) -> None:
        """Refuse a head that does not end, or a body in chunks that is mostly extensions and trailers."""
        limit = self.server.limits.head
        if self._head is not None:
            self._refuse(HeadTooLarge(limit=limit))
        elif self._reading is not None:
            self._refuse(BadRequest(f"more than {limit} bytes of chunk extensions and trailers"))

    def _take_known(self, data: bytes) -> bool:
        """Begin a request that came in one read with a head that is known; False where it is another."""
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        known = self.server.heads.get(data[:end])
        if known is None or len(data) - end != known.length:
            return False
        try:
            self.server.budget.take(known.length)
        except ScalezeroError:
            return False  # the parser's callbacks refuse it
        exchange = Http11Exchange(self, known.request.again(data[end:]))
        exchange.size = known.length
        self._begin(exchange)
        return True

    def _remember(self, exchange: "Http11Exchange") -> None:
        """Remember the head of a request that came in one read, where nothing but its length frames the body."""
        data, self._first_read = self._first_read, b""
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        if end > _LONGEST_KNOWN or len(data) - end != exchange.size or not exchange.keep_alive:
            return
        names = {name for name, _ in exchange.request.headers}
        if names.isdisjoint({b"transfer-encoding", b"expect"}):
            heads = self.server.heads
            if len(heads) >= _MOST_KNOWN:
                heads.clear()  # so that no head keeps its place for good
            exchange.request.header(b"host")  # from here on each request with this head knows its headers by name
            heads[data[:end]] = KnownHead(exchange.request.again(b""), exchange.size)

    # httptools calls these.

    def on_message_begin(self) -> None:
        """Begin a head; it has its time from here."""
        if self._deaf:
            return
        self._head = Head()
        self._begun = self.server.now
        self._overhead = -self._read
        self._await_client()

    def on_url(self, url: bytes) -> None:
        """Take the target, or a part of it."""
        if self._head is not None:
            self._head.url += url
            self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers of a chunked body are not kept."""
        if self._head is not None:
            self._head.headers.append((name.lower(), value))
            self._count_head(header_size(name, value))

    def _count_head(self, size: int) -> None:
        head, limit = self._head, self.server.limits.head
        assert head is not None  # noqa: S101 - both callers have seen it
        head.size += size
        if head.size > limit:
            self._refuse(HeadTooLarge(limit=limit))

    def on_chunk_header(self) -> None:
        """Allow each chunk its size line."""
        self._overhead -= _CHUNK_LINES

    def on_headers_complete(self) -> None:
        """Make the request, and refuse at once what cannot be taken."""
        head, self._head = self._head, None
        if head is None:
            return
        parser = self._parser
        raw_path, path, query = target(head.url)
        method, version = parser.get_method().decode("ascii"), parser.get_http_version()
        exchange = Http11Exchange(self, Request(method, path, raw_path, query, head.headers, version))
        exchange.keep_alive = parser.should_keep_alive() and not parser.should_upgrade()
        self._reading = exchange
        self._begun = self.server.now
        try:
            if self._expectation(exchange.request):
                self._owes_continue = True
                self._continue()
        except ScalezeroError as fault:
            self._refuse(fault)

    def _expectation(self, request: Request) -> bool:
        """Whether the client waits for 100 Continue. Raises the fault of a head that cannot be taken."""
        hosts, announced, expects = 0, 0, False
        for name, value in request.headers:
            if name == b"content-length":
                announced = int(value)
            elif name == b"expect":
                expects = value.lower() == b"100-continue" and request.version == "1.1"  # RFC 9110, 10.1.1
            elif name == b"host":
                hosts += 1
        if hosts > 1 or (not hosts and request.version == "1.1"):  # RFC 9112, 3.2
            raise BadRequest(f"{hosts} Host headers" if hosts else "an HTTP/1.1 request without a Host header")
        self.server.expect(announced)
        self._announced = announced
        return expects

    def _continue(self) -> None:
        """Let the client send the body, where nothing is to be written before that."""
        if self._owes_continue and self.exchange is None and not self._waiting:
            self._owes_continue = False
            self.transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, within the limit and the budget."""
        exchange, server = self._reading, self.server
        if exchange is None or self._deaf:
            return
        size = exchange.size + len(body)
        try:
            if size > server.limits.body:
                raise PayloadTooLarge("body", limit=server.limits.body, unit="bytes")
            server.budget.take(len(body))
        except ScalezeroError as fault:
            self._refuse(fault)
            return
        exchange.size = size
        self._body = extended(self._body, body)
        self._overhead -= len(body)
        self._owes_continue = False
        self._await_client()

    def on_message_complete(self) -> None:
        """Answer the request now, or after those before it."""
        exchange, self._reading = self._reading, None
        if exchange is None or self._deaf:
            return
        if self._body:
            exchange.request.body = whole(self._body)
            self._body = b""
        if self._first_read:
            self._remember(exchange)
        if not exchange.keep_alive:
            self._deaf = True  # nothing may come behind it
        self._line_up(exchange)

    def _line_up(self, exchange: "Http11Exchange") -> None:
        """Begin a request now, or after those before it."""
        if self._free:
            self._begin(exchange)
            return
        self._waiting.append(exchange)
        if len(self._waiting) == _PIPELINED:
            self.transport.pause_reading()

    def _begin(self, exchange: "Http11Exchange") -> None:
        self.exchange = exchange
        self.deadline = _AWAITED
        exchange.begin()

    def ended(self, exchange: "Http11Exchange") -> None:
        """Go on after an answer: close, or begin the next request."""
        self.exchange = None
        server = self.server
        if not exchange.keep_alive:
            self._hang_up(linger=exchange.fault is not None)
            return
        self.since = self._begun = server.now
        self._await_client()
        if self._waiting:
            server.loop.call_soon(self._next)
        elif self._owes_continue:
            self._continue()

    def last(self, exchange: "Http11Exchange") -> bool:
        """Whether the connection closes behind this answer: in shutdown, what came already is answered too."""
        if self.server.closing and not self._waiting and self._reading is None and self._head is None:
            return True
        return not exchange.keep_alive

    def _next(self) -> None:
        if self.exchange is None and self._waiting and self.writable is None and not self.transport.is_closing():
            if len(self._waiting) == _PIPELINED:
                self.transport.resume_reading()
                self.server.loop.call_soon(self._parse_on)
            self._begin(self._waiting.popleft())

    def _await_client(self) -> None:
        """Set the deadline by what the client is to do next: read, send the rest of a request, or send another."""
        limits = self.server.limits
        if self.writable is not None:
            return  # `pause_writing` has set it
        if self.exchange is not None:
            self.deadline = _AWAITED
        elif self._reading is not None:
            self.deadline = limits.body_deadline(self._begun, self._reading.size)
        elif self._head is not None:
            self.deadline = self._begun + limits.head_time
        else:
            self.deadline = self.since + (limits.quiet if self.server.closing else limits.keep_alive)

    def _refuse(self, fault: ScalezeroError) -> None:
        """Answer what cannot become a request, after those before it, and take nothing more from this client."""
        self._deaf = True
        refused, self._reading, self._head = self._reading, None, None
        self._body = b""
        if refused is None:
            refused = Http11Exchange(self, Request("GET", "", b"", b"", [], "1.1"))
        refused.keep_alive = False
        refused.fault = fault
        self._line_up(refused)

    def _hang_up(self, *, linger: bool) -> None:
        """Close. A client that still sends would lose the answer by a reset, so it is read on for a moment."""
        self._deaf = True
        self._drop_waiting()
        if self.transport.is_closing():
            return
        if linger:
            self.transport.write_eof()
            self.transport.resume_reading()
            self.deadline = self.server.now + _LINGER
        else:
            self._close()

    def _close(self) -> None:
        """Close once the client has read what is written, within the time for that."""
        self._watch_reader()
        self.transport.close()

    def _drop_waiting(self) -> None:
        """Forget the requests that are not begun."""
        for exchange in self._waiting:
            exchange.leave()
        self._waiting.clear()

    def eof_received(self) -> bool:
        """Take the end of what the client sends as its leaving."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Notify the handler that the client has disconnected."""
        super().connection_lost(error)
        for exchange in (self.exchange, self._reading):
            if exchange is not None:
                exchange.leave()
        self.exchange = self._reading = self._head = None
        self._drop_waiting()

    def expire(self) -> None:
        """A client that is late with its head or body gets 408; one that is idle, or does not read, is closed."""
        if self.writable is not None or self.transport.is_closing():
            self._abort_unread()
        elif self._deaf:
            self.transport.abort()
        elif self._reading is not None:
            limits = self.server.limits
            self._refuse(RequestTimeout("body", seconds=limits.body_time, rate=limits.body_rate))
        elif self._head is not None:
            self._refuse(RequestTimeout("head", seconds=self.server.limits.head_time))
        else:
            self._close()

    def resume_writing(self) -> None:
        """Let pieces, or the next request, go on."""
        super().resume_writing()
        if self._deaf and self.exchange is None and not self._waiting:
            return  # the connection is closing, within a time of its own
        self._await_client()
        if self._waiting:
            self.server.loop.call_soon(self._next)

    def shut_down(self) -> None:
        """Close after the answers that are due; an idle client may be about to ask, so it is given a moment."""
        if self._free and self._reading is None and not self._deaf:
            self.deadline = min(self.deadline, self.server.now + self.server.limits.quiet)

    def refuse_all(self) -> None:
        """Answer what is under way with 503."""
        self._drop_waiting()
        if self.exchange is not None:
            self.exchange.keep_alive = False
            self.exchange.abandon(ShuttingDown())
        elif self._reading is not None:
            self._refuse(ShuttingDown())


def _reason(error: Exception) -> str:
    """What the parser says, of the fault itself where one of its callbacks raised it."""
    cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
    return "a target that is not ASCII" if isinstance(cause, UnicodeDecodeError) else f"{error}"
