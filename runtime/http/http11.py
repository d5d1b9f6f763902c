"""HTTP/1.1: one connection with its requests, one after another.

    bytes -> httptools (llhttp) -> head -> body, counted -> Exchange -> one write -> next request

The connection collects a body within its limits of size, time and memory. An application gets only complete requests.
An invalid request is refused, and the connection is closed, because the bytes after it cannot be trusted.
Source: RFC 9112.

A client that keeps its connection sends the same head again and again, and the meaning of a head depends only on its
bytes. So recent heads are cached with their parsed form. A request that arrives in one read with a cached head needs no
parser. A head is cached without the headers that differ in each request, such as the id of an event.
"""

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import httptools

from runtime.errors import BadRequest, HeadTooLarge, PayloadTooLarge, RequestTimeout, ScalezeroError, ShuttingDown
from runtime.http.body import Partial, extended, whole
from runtime.http.connection import Connection
from runtime.http.http11_exchange import Http11Exchange
from runtime.http.http11_head import VARYING, CachedHead, Head, target, without_varying
from runtime.http.messages import Headers, Request, header_size

if TYPE_CHECKING:
    from runtime.http.server import Server

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_CACHED: Final = 256  # heads; clients choose them, so their number and size are limited
_MAX_CACHED_SIZE: Final = 4096  # bytes
_MAX_PIPELINED: Final = 16  # waiting requests of one connection; reading pauses at this number
_SLICE: Final = 16 * 1024  # bytes to parse in one turn of the loop, unless they are all body
_CHUNK_LINES: Final = 16  # bytes: a chunk's size and line ends, with some leading zeros
_LINGER: Final = 2.0  # seconds in which a client that still sends can read why it is refused
_NO_DEADLINE: Final = math.inf  # the server is working, not the client


class Http11(Connection):
    """One HTTP/1.1 connection."""

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self.exchange: Http11Exchange | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._pipelined: deque[Http11Exchange] = deque()  # requests after the one that is being answered
        self._receiving: Http11Exchange | None = None  # the request whose body is being received
        self._head: Head | None = None  # the head that is being received
        self._body: Partial = b""
        self._started = 0.0  # when the current head or body began, or could be read, on the server's clock
        self._read_size = 0  # bytes of the read that is being parsed
        self._overhead = 0  # bytes after the first read of a request that are not its body
        self._continue_pending = False  # 100 Continue is sent when the earlier requests are answered
        self._first_read = b""  # the read with which a request begins, while it is parsed
        self._unparsed = b""  # the rest of a large read, for later turns of the loop
        self._content_length = 0  # of the body that is being received; 0: its head has no content-length
        self._ignores_input = False  # discard everything that arrives

    @property
    def busy(self) -> bool:
        """Whether a complete request is being answered."""
        return self.exchange is not None

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        if self._ignores_input:
            return
        if self._unparsed:
            self._unparsed += data
            return
        if self._head is None and self._receiving is None and self._idle:
            if self._begin_cached(data):
                return
            self._first_read = data
        self._parse_slice(data)

    def _parse_slice(self, data: bytes) -> None:
        """Parse a slice of the data, and the rest in later turns: pipelined requests and small chunks take long."""
        if len(data) > _SLICE and not self._is_body(len(data)):
            self._parse(data[:_SLICE])
            data = data[_SLICE:]
            if not self._is_body(len(data)):
                self._unparsed = data
                self.transport.pause_reading()
                self.server.loop.call_soon(self._parse_rest)
                return
        self._parse(data)
        self._yield_after_large_read(len(data))

    def _parse_rest(self) -> None:
        if len(self._pipelined) >= _MAX_PIPELINED or not self._unparsed:
            return  # `_begin_next` schedules it again
        data, self._unparsed = self._unparsed, b""
        if self._ignores_input or self.transport.is_closing():
            return
        self.transport.resume_reading()
        self._parse_slice(data)

    def _is_body(self, size: int) -> bool:
        """Return whether `size` bytes are all part of the current body, which is fast to parse."""
        reading = self._receiving
        return reading is not None and self._content_length - reading.size >= size

    def _parse(self, data: bytes) -> None:
        if self._ignores_input:
            return
        self._read_size = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # an upgrade is ignored: RFC 9110, 7.8
        except httptools.HttpParserError as error:
            if not self._ignores_input:
                self._refuse(BadRequest(_reason(error)))
            return
        self._first_read = b""
        self._overhead += len(data)
        if self._overhead > self.server.limits.head:
            self._refuse_overhead()

    @property
    def _idle(self) -> bool:
        """Whether the next request can begin: all requests are answered, and the client reads the responses."""
        return self.exchange is None and not self._pipelined and self.writable is None

    def _refuse_overhead(self) -> None:
        """Refuse an endless head, or a chunked body that is mostly extensions and trailers."""
        limit = self.server.limits.head
        if self._head is not None:
            self._refuse(HeadTooLarge(limit=limit))
        elif self._receiving is not None:
            self._refuse(BadRequest(f"more than {limit} bytes of chunk extensions and trailers"))

    def _begin_cached(self, data: bytes) -> bool:
        """Begin a request that arrived in one read and has a cached head. Return False for any other."""
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        heads = self.server.head_cache
        cached = heads.get(head := data[:end])
        varying: Headers = []
        if cached is None and end <= _MAX_CACHED_SIZE:
            rest, varying = without_varying(head)
            cached = heads.get(rest) if varying else None
        if cached is None or len(data) - end != cached.length:
            return False
        try:
            self.server.budget.reserve(cached.length)
        except ScalezeroError:
            return False  # the parser's callbacks will refuse it
        exchange = Http11Exchange(self, cached.request.with_body(data[end:], varying))
        exchange.size = cached.length
        self._begin(exchange)
        return True

    def _cache_head(self, exchange: "Http11Exchange") -> None:
        """Cache the head of a request that arrived in one read and whose body is framed only by its length."""
        data, self._first_read = self._first_read, b""
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        if end > _MAX_CACHED_SIZE or len(data) - end != exchange.size or not exchange.keep_alive:
            return
        request = exchange.request
        rest, varying = without_varying(data[:end])
        if varying:
            others = [each for each in request.headers if each[0] not in VARYING]
            if len(others) + len(varying) != len(request.headers):
                return  # one of them has an unusual form, so the rest is not the same again either
            request = request.with_headers(others)
        names = {name for name, _ in request.headers}
        if names.isdisjoint({b"transfer-encoding", b"expect"}):
            heads = self.server.head_cache
            if len(heads) >= _MAX_CACHED:
                heads.clear()  # so that unused heads do not stay forever
            request.memo = {}
            request.header(b"host")  # builds the index of headers, which all requests with this head share
            heads[rest] = CachedHead(request.with_body(b""), exchange.size)

    # Callbacks of httptools.

    def on_message_begin(self) -> None:
        """Start a head, and its timeout."""
        if self._ignores_input:
            return
        self._head = Head()
        self._started = self.server.now
        self._overhead = -self._read_size
        self._update_deadline()

    def on_url(self, url: bytes) -> None:
        """Add a part of the target."""
        if self._head is not None:
            self._head.url += url
            self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Trailers of a chunked body are dropped."""
        if self._head is not None:
            self._head.headers.append((name.lower(), value))
            self._count_head(header_size(name, value))

    def _count_head(self, size: int) -> None:
        head, limit = self._head, self.server.limits.head
        assert head is not None  # noqa: S101 - checked by both callers
        head.size += size
        if head.size > limit:
            self._refuse(HeadTooLarge(limit=limit))

    def on_chunk_header(self) -> None:
        """Do not count the size line of a chunk as overhead."""
        self._overhead -= _CHUNK_LINES

    def on_headers_complete(self) -> None:
        """Create the request, or refuse it at once."""
        head, self._head = self._head, None
        if head is None:
            return
        parser = self._parser
        raw_path, path, query = target(head.url)
        method, version = parser.get_method().decode("ascii"), parser.get_http_version()
        exchange = Http11Exchange(self, Request(method, path, raw_path, query, head.headers, version))
        exchange.keep_alive = parser.should_keep_alive() and not parser.should_upgrade()
        self._receiving = exchange
        self._started = self.server.now
        try:
            if self._check_head(exchange.request):
                self._continue_pending = True
                self._send_continue()
        except ScalezeroError as fault:
            self._refuse(fault)

    def _check_head(self, request: Request) -> bool:
        """Return whether the client waits for 100 Continue. Raises the error for which a head is refused."""
        hosts, content_length, expects = 0, 0, False
        for name, value in request.headers:
            if name == b"content-length":
                content_length = int(value)
            elif name == b"expect":
                expects = value.lower() == b"100-continue" and request.version == "1.1"  # RFC 9110, 10.1.1
            elif name == b"host":
                hosts += 1
        if hosts > 1 or (not hosts and request.version == "1.1"):  # RFC 9112, 3.2
            raise BadRequest(f"{hosts} Host headers" if hosts else "an HTTP/1.1 request without a Host header")
        self.server.check_length(content_length)
        self._content_length = content_length
        return expects

    def _send_continue(self) -> None:
        """Ask the client for the body, unless earlier responses must be written first."""
        if self._continue_pending and self.exchange is None and not self._pipelined:
            self._continue_pending = False
            self.transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Add a piece of the body, within the limit and the budget."""
        exchange, server = self._receiving, self.server
        if exchange is None or self._ignores_input:
            return
        size = exchange.size + len(body)
        try:
            if size > server.limits.body:
                raise PayloadTooLarge("body", limit=server.limits.body, unit="bytes")
            server.budget.reserve(len(body))
        except ScalezeroError as fault:
            self._refuse(fault)
            return
        exchange.size = size
        self._body = extended(self._body, body)
        self._overhead -= len(body)
        self._continue_pending = False
        self._update_deadline()

    def on_message_complete(self) -> None:
        """Enqueue the complete request."""
        exchange, self._receiving = self._receiving, None
        if exchange is None or self._ignores_input:
            return
        if self._body:
            exchange.request.body = whole(self._body)
            self._body = b""
        if self._first_read:
            self._cache_head(exchange)
        if not exchange.keep_alive:
            self._ignores_input = True  # no request may follow
        self._enqueue(exchange)

    def _enqueue(self, exchange: "Http11Exchange") -> None:
        """Begin a request, now or after the requests before it."""
        if self._idle:
            self._begin(exchange)
            return
        self._pipelined.append(exchange)
        if len(self._pipelined) == _MAX_PIPELINED:
            self.transport.pause_reading()

    def _begin(self, exchange: "Http11Exchange") -> None:
        self.exchange = exchange
        self.deadline = _NO_DEADLINE
        exchange.begin()

    def exchange_finished(self, exchange: "Http11Exchange") -> None:
        """Close the connection, or begin the next request."""
        self.exchange = None
        server = self.server
        if not exchange.keep_alive:
            self._disconnect(linger=exchange.fault is not None)
            return
        self.last_used = self._started = server.now
        self._update_deadline()
        if self._pipelined:
            server.loop.call_soon(self._begin_next)
        elif self._continue_pending:
            self._send_continue()

    def is_last(self, exchange: "Http11Exchange") -> bool:
        """Return whether the connection closes after this response. In shutdown it first answers received requests."""
        if self.server.closing and not self._pipelined and self._receiving is None and self._head is None:
            return True
        return not exchange.keep_alive

    def _begin_next(self) -> None:
        if self.exchange is None and self._pipelined and self.writable is None and not self.transport.is_closing():
            if len(self._pipelined) == _MAX_PIPELINED:
                self.transport.resume_reading()
                self.server.loop.call_soon(self._parse_rest)
            self._begin(self._pipelined.popleft())

    def _update_deadline(self) -> None:
        """Set the deadline for the client's next step: read a response, complete a request, or send another one."""
        limits = self.server.limits
        if self.writable is not None:
            return  # `pause_writing` has set the deadline
        if self.exchange is not None:
            self.deadline = _NO_DEADLINE
        elif self._receiving is not None:
            self.deadline = limits.body_deadline(self._started, self._receiving.size)
        elif self._head is not None:
            self.deadline = self._started + limits.head_time
        else:
            self.deadline = self.last_used + (limits.shutdown_idle if self.server.closing else limits.keep_alive)

    def _refuse(self, fault: ScalezeroError) -> None:
        """Enqueue the response to an invalid request, and ignore everything that the client sends after it."""
        self._ignores_input = True
        refused, self._receiving, self._head = self._receiving, None, None
        self._body = b""
        if refused is None:
            refused = Http11Exchange(self, Request("GET", "", b"", b"", [], "1.1"))
        refused.keep_alive = False
        refused.fault = fault
        self._enqueue(refused)

    def _disconnect(self, *, linger: bool) -> None:
        """Close. With `linger`, read on for a while, because a reset would make a sending client lose the response."""
        self._ignores_input = True
        self._drop_pipelined()
        if self.transport.is_closing():
            return
        if linger:
            self.transport.write_eof()
            self.transport.resume_reading()
            self.deadline = self.server.now + _LINGER
        else:
            self._close()

    def _close(self) -> None:
        """Close when the client has read what is written, within the write timeout."""
        self._start_write_timeout()
        self.transport.close()

    def _drop_pipelined(self) -> None:
        """Cancel the requests that have not begun."""
        for exchange in self._pipelined:
            exchange.cancel()
        self._pipelined.clear()

    def eof_received(self) -> bool:
        """Treat the end of the client's data as a disconnect."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Cancel the requests of this connection."""
        super().connection_lost(error)
        for exchange in (self.exchange, self._receiving):
            if exchange is not None:
                exchange.cancel()
        self.exchange = self._receiving = self._head = None
        self._drop_pipelined()

    def expire(self) -> None:
        """Answer 408 to a client whose head or body is late. Close a connection that is idle or not read."""
        if self.writable is not None or self.transport.is_closing():
            self._abort_if_stalled()
        elif self._ignores_input:
            self.transport.abort()
        elif self._receiving is not None:
            limits = self.server.limits
            self._refuse(RequestTimeout("body", seconds=limits.body_time, rate=limits.body_rate))
        elif self._head is not None:
            self._refuse(RequestTimeout("head", seconds=self.server.limits.head_time))
        else:
            self._close()

    def resume_writing(self) -> None:
        """Continue with the response, or with the next request."""
        super().resume_writing()
        if self._ignores_input and self.exchange is None and not self._pipelined:
            return  # the connection is closing, with its own deadline
        self._update_deadline()
        if self._pipelined:
            self.server.loop.call_soon(self._begin_next)

    def shut_down(self) -> None:
        """Close after the open requests. An idle client may be about to send one, so close it a little later."""
        if self._idle and self._receiving is None and not self._ignores_input:
            self.deadline = min(self.deadline, self.server.now + self.server.limits.shutdown_idle)

    def refuse_all(self) -> None:
        """Answer the open request with 503."""
        self._drop_pipelined()
        if self.exchange is not None:
            self.exchange.keep_alive = False
            self.exchange.terminate(ShuttingDown())
        elif self._receiving is not None:
            self._refuse(ShuttingDown())


def _reason(error: Exception) -> str:
    """Return the parser's error message, or the cause if one of its callbacks raised an exception."""
    cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
    return "a target that is not ASCII" if isinstance(cause, UnicodeDecodeError) else f"{error}"
