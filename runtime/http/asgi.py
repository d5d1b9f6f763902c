"""An exchange as ASGI's scope, receive and send.

Source: the ASGI specification, HTTP & WebSocket 2.3, with the extension `http.response.trailers` over HTTP/2.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from runtime.http.messages import Headers, bodiless

if TYPE_CHECKING:
    from runtime.http.exchange import Exchange

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# Headers that the transport writes itself, or that an application may not set: RFC 9110, 7.6.1.
_CONNECTION_HEADERS: Final = frozenset(
    {b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_FORBIDDEN: Final = (b"\r", b"\n", b"\0")  # in a header: RFC 9110, 5.5


class Asgi:
    """The ASGI side of one exchange. Raises `RuntimeError` in an application that violates the ASGI specification."""

    __slots__ = (
        "_body_delivered",
        "_content_length",
        "_exchange",
        "_finished",
        "_head_written",
        "_start",
        "_total",
        "_trailers",
    )

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._body_delivered = False  # the application has received the body
        self._start: Message | None = None  # http.response.start, kept until the first piece of the body
        self._head_written = False
        self._content_length: int | None = None
        self._total = 0  # bytes of the body so far
        self._trailers: Headers | None = None  # None: the response has no trailers
        self._finished: asyncio.Event | None = None  # set at the end of the exchange; None: no task waits

    async def run(self, application: AsgiApplication) -> None:
        """Run the application. Answer 500, or reset, if it does not send a complete response."""
        exchange = self._exchange
        try:
            await application(self._scope(), self.receive, self.send)
        except Exception:  # noqa: BLE001 - `fail` logs it
            exchange.fail()
        finally:  # it returned without a response, or its task was cancelled
            exchange.abort()

    async def receive(self) -> Message:
        """Return the complete body; after that, wait for a disconnect or the end of the response."""
        exchange = self._exchange
        if not (self._body_delivered or exchange.cancelled or exchange.answered):
            self._body_delivered = True
            return {"type": "http.request", "body": exchange.request.body, "more_body": False}
        while not (exchange.cancelled or exchange.answered):
            if self._finished is None:
                self._finished = asyncio.Event()
            await self._finished.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Write a part of the response. The head is written with the first piece of the body."""
        exchange, kind = self._exchange, message["type"]
        if exchange.cancelled:
            return
        if kind == "http.response.start" and self._start is None:
            self._begin(message)
        elif kind == "http.response.body" and self._start is not None and not exchange.answered:
            self._body(message.get("body", b""), more=message.get("more_body", False))
            if not exchange.answered:
                await exchange.drain()
        elif kind == "http.response.trailers" and self._trailers is not None and not exchange.answered:
            self._trailers += [(name.lower(), value) for name, value in message["headers"]]
            if not message.get("more_trailers"):
                exchange.write_end(self._trailers)
        else:
            text = f"got the ASGI message {kind!r}; expected http.response.start, then http.response.body until it ends"
            raise RuntimeError(text)

    def wake(self) -> None:
        """Wake the tasks that wait for the end of the exchange."""
        if self._finished is not None:
            self._finished.set()
            self._finished = None

    def _begin(self, message: Message) -> None:
        for name, value in message.get("headers", ()):
            if any(each in value or each in name for each in _FORBIDDEN):
                text = f"header {name!r}: got a line break or a zero byte in its name or value; expected neither"
                raise RuntimeError(text)
            if name.lower() == b"content-length":
                self._content_length = int(value)
        self._start = message
        self._trailers = [] if message.get("trailers") else None

    def _body(self, body: bytes, *, more: bool) -> None:
        exchange, start = self._exchange, self._start
        assert start is not None  # noqa: S101 - checked by `send`
        headers = [(name.lower(), value) for name, value in start.get("headers", ())]
        headers = [each for each in headers if each[0] not in _CONNECTION_HEADERS]
        status: int = start["status"]
        if bodiless(exchange.request.method, status):
            body = b""
        else:
            self._count(len(body), more=more)
        ends = not more and self._trailers is None
        if ends and not self._head_written and self._content_length in {None, len(body)}:
            exchange.write_whole(status, headers, bytes(body))
            return
        if not self._head_written:
            self._head_written = True
            exchange.write_head(status, headers, length=self._content_length)
        if body:
            exchange.write_piece(bytes(body))
        if ends:
            exchange.write_end([])

    def _count(self, size: int, *, more: bool) -> None:
        """Check the size of the body against its content-length."""
        self._total += size
        if self._content_length is None:
            return
        if self._total > self._content_length or (self._total < self._content_length and not more):
            text = f"response body: got {self._total} bytes; expected its content-length of {self._content_length}"
            raise RuntimeError(text)

    def _scope(self) -> Scope:
        exchange, request = self._exchange, self._exchange.request
        server, client = exchange.connection.addresses()
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": request.version,
            "server": server,
            "client": client,
            "scheme": "http",
            "method": request.method,
            "root_path": "",
            "path": request.path,
            "raw_path": request.raw_path,
            "query_string": request.query,
            "headers": request.headers,
            "state": {},
            "extensions": {"http.response.trailers": {}} if request.version == "2" else {},
            "scalezero.request": request,
        }
