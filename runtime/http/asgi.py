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

_OF_CONNECTIONS: Final = frozenset(
    {b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)  # headers that the transport writes itself, or that are none of the application's: RFC 9110, 7.6.1
_ILLEGAL: Final = (b"\r", b"\n", b"\0")  # in a header: RFC 9110, 5.5


class Asgi:
    """The application's side of one exchange. Raises `RuntimeError` to an application that breaks ASGI's order."""

    __slots__ = ("_begun", "_exchange", "_length", "_news", "_start", "_taken", "_total", "_trailers")

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._taken = False  # the application has the body
        self._start: Message | None = None  # the head, until its first piece comes
        self._begun = False  # the head is written
        self._length: int | None = None  # what content-length says
        self._total = 0  # bytes of the body so far
        self._trailers: Headers | None = None  # None: the answer has none
        self._news: asyncio.Event | None = None  # made by who waits

    async def run(self, application: AsgiApplication) -> None:
        """Let the application answer; whatever it does instead is answered or broken off here."""
        exchange = self._exchange
        try:
            await application(self._scope(), self.receive, self.send)
        except Exception:  # noqa: BLE001 - `fail` logs it
            exchange.fail()
        finally:  # it returned without an answer, or its task was cancelled
            exchange.end_badly()

    async def receive(self) -> Message:
        """The whole body at first; after that, wait until the client has left or is answered."""
        exchange = self._exchange
        if not (self._taken or exchange.gone or exchange.answered):
            self._taken = True
            return {"type": "http.request", "body": exchange.request.body, "more_body": False}
        while not (exchange.gone or exchange.answered):
            if self._news is None:
                self._news = asyncio.Event()
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Write a part of the answer; a head waits for the first piece of its body."""
        exchange, kind = self._exchange, message["type"]
        if exchange.gone:
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
            text = f"unexpected ASGI message {kind!r}"
            raise RuntimeError(text)

    def wake(self) -> None:
        """Wake the tasks that wait for the end."""
        if self._news is not None:
            self._news.set()
            self._news = None

    def _begin(self, message: Message) -> None:
        for name, value in message.get("headers", ()):
            if any(each in value or each in name for each in _ILLEGAL):
                text = f"header {name!r} has a line break or a zero byte"
                raise RuntimeError(text)
            if name.lower() == b"content-length":
                self._length = int(value)
        self._start = message
        self._trailers = [] if message.get("trailers") else None

    def _body(self, body: bytes, *, more: bool) -> None:
        exchange, start = self._exchange, self._start
        assert start is not None  # noqa: S101 - `send` has seen it
        headers = [(name.lower(), value) for name, value in start.get("headers", ())]
        headers = [each for each in headers if each[0] not in _OF_CONNECTIONS]
        status: int = start["status"]
        if bodiless(exchange.request.method, status):
            body = b""
        else:
            self._count(len(body), more=more)
        ends = not more and self._trailers is None
        if ends and not self._begun and self._length in {None, len(body)}:
            exchange.write_whole(status, headers, bytes(body))
            return
        if not self._begun:
            self._begun = True
            exchange.write_head(status, headers, length=self._length)
        if body:
            exchange.write_piece(bytes(body))
        if ends:
            exchange.write_end([])

    def _count(self, size: int, *, more: bool) -> None:
        """Hold the body to the length that its head announces."""
        self._total += size
        if self._length is None:
            return
        if self._total > self._length:
            raise RuntimeError("the response is longer than its content-length")
        if self._total < self._length and not more:
            raise RuntimeError("the response is shorter than its content-length")

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
