"""Helpers of the transport tests: an ASGI application for each way to end a request, a server, requests."""

import asyncio
import contextvars
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, cast

import uvloop

from runtime.errors import ScalezeroError, UnknownPath
from runtime.http.exchange import Exchange
from runtime.http.limits import Limits
from runtime.http.messages import Answer, Request
from runtime.http.server import Server
from runtime.protocols.refusals import error_answer
from tests.runtime.http.streams import Streams
from tests.waiting import DEADLINE

PIECE = b"0123456789abcdef" * 4096  # 64 KiB
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
seen_before = contextvars.ContextVar("seen_before", default=False)


class Application:
    """An ASGI application that answers or fails in many ways. The path names the method to call."""

    def __init__(self) -> None:
        self.calls = 0
        self.pieces = 0
        self.disconnected = threading.Event()
        self.release = threading.Event()  # ends the requests for /held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> object:
        self.calls += 1
        way: Callable[[Scope, Receive, Send], Awaitable[object]] = getattr(
            self, scope["path"][1:].split("/")[0], self.echo
        )
        return await way(scope, receive, send)

    async def echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with everything that the application receives of a request."""
        body = b""
        message: dict[str, Any] = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        seen = {name: value for name, value in scope.items() if name not in {"client", "server", "scalezero.request"}}
        await answer(send, json.dumps([repr(sorted(seen.items())), body.decode("latin-1")]).encode())

    async def unread(self, _: Scope, __: Receive, send: Send) -> None:
        await answer(send, b"body ignored")

    async def big(self, _: Scope, __: Receive, send: Send) -> None:
        await answer(send, PIECE * 4)

    async def slow(self, _: Scope, __: Receive, send: Send) -> None:
        await asyncio.sleep(0.6)
        await answer(send, b"slow")

    async def held(self, _: Scope, __: Receive, send: Send) -> None:
        while not self.release.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)
        await answer(send, b"held")

    async def slow_stream(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("content-length", "4")))
        await asyncio.sleep(0.4)
        await send({"type": "http.response.body", "body": b"sl", "more_body": True})
        await asyncio.sleep(0.4)
        await send({"type": "http.response.body", "body": b"ow"})

    async def stream(self, _: Scope, receive: Receive, send: Send) -> None:
        """Read the body only after the response has begun."""
        await send(head())
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        got = await receive()
        await send({"type": "http.response.body", "body": got["body"], "more_body": True})
        await send({"type": "http.response.body"})

    async def counted_stream(self, _: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(head(("content-length", "6")))
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"two"})

    async def uncounted(self, _: Scope, __: Receive, send: Send) -> None:
        await answer(send, b"chunked by the server", counted=False)

    async def status(self, scope: Scope, _: Receive, send: Send) -> None:
        code = int(scope["path"].split("/")[2])
        await send(head(("content-length", "0"), status=code))
        await send({"type": "http.response.body"})

    async def empty(self, _: Scope, __: Receive, send: Send) -> None:
        await answer(send, b"")

    async def capitals(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("Content-Length", "2"), ("Transfer-Encoding", "chunked"), ("content-length", "2")))
        await send({"type": "http.response.body", "body": b"ok"})

    async def both_framings(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("content-length", "2"), ("transfer-encoding", "chunked")))
        await send({"type": "http.response.body", "body": b"ok"})

    async def closing(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("content-length", "2"), ("connection", "close")))
        await send({"type": "http.response.body", "body": b"ok"})

    async def two_lengths(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("content-length", "2"), ("content-length", "3")))
        await send({"type": "http.response.body", "body": b"ok"})

    async def bytearrays(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("content-length", "2")))
        await send({"type": "http.response.body", "body": bytearray(b"ok")})

    async def too_long(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("content-length", "1")))
        await send({"type": "http.response.body", "body": b"ok"})

    async def too_short(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("content-length", "3")))
        await send({"type": "http.response.body", "body": b"ok"})

    async def bad_header(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head(("content-length", "2"), ("x-evil", "a\r\nset-cookie: b")))
        await send({"type": "http.response.body", "body": b"ok"})

    async def body_first(self, _: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"ok"})

    async def two_heads(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head())
        await send(head())

    async def two_answers(self, _: Scope, __: Receive, send: Send) -> None:
        await answer(send, b"first")
        await answer(send, b"second")

    async def fails(self, _: Scope, __: Receive, ___: Send) -> None:
        raise ValueError

    async def fails_after_head(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head())
        raise ValueError

    async def fails_after_answer(self, _: Scope, __: Receive, send: Send) -> None:
        await answer(send, b"done")
        raise ValueError

    async def fails_after_piece(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head())
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.sleep(0.1)
        raise ValueError

    async def trailers(self, _: Scope, __: Receive, send: Send) -> None:
        await send({**head(), "trailers": True})
        await send({"type": "http.response.body", "body": b"one"})
        await send({"type": "http.response.trailers", "headers": [(b"Grpc-Status", b"0")]})

    async def endless(self, _: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client disconnects. `pieces` counts the pieces that were sent."""
        await receive()
        leaving = asyncio.ensure_future(receive())
        await send(head())
        while not leaving.done():
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            self.pieces += 1
            await asyncio.sleep(0)
        self.disconnected.set()

    async def silent(self, _: Scope, __: Receive, ___: Send) -> None:
        pass

    async def head_only(self, _: Scope, __: Receive, send: Send) -> None:
        await send(head())

    async def returns(self, _: Scope, __: Receive, send: Send) -> object:
        await answer(send, b"done")
        return "not None"

    async def late_receive(self, _: Scope, receive: Receive, send: Send) -> None:
        """Receive after the response: the application gets a disconnect."""
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await answer(send, b"done")
        assert (await waiting, await receive()) == ({"type": "http.disconnect"},) * 2

    async def context(self, _: Scope, __: Receive, send: Send) -> None:
        before = seen_before.get()
        seen_before.set(True)
        async with asyncio.timeout(1):  # works only in a task
            await answer(send, str(before).encode())

    async def until_disconnect(self, _: Scope, receive: Receive, __: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnected.set()

    async def fails_on_disconnect(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.until_disconnect(scope, receive, send)
        raise ValueError

    async def answers_on_disconnect(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.until_disconnect(scope, receive, send)
        await answer(send, b"after the disconnect")

    async def streams_until_disconnect(self, _: Scope, receive: Receive, send: Send) -> None:
        """Wait for the disconnect from before the response begins."""
        await receive()
        leaving = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send(head())
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        if (await leaving)["type"] == "http.disconnect":
            self.disconnected.set()


def head(*headers: tuple[str, str], status: int = 200) -> dict[str, Any]:
    fields = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": fields}


async def answer(send: Send, body: bytes, *, counted: bool = True) -> None:
    await send(head(("content-type", "text/plain"), *([("content-length", str(len(body)))] if counted else [])))
    await send({"type": "http.response.body", "body": body})


class Client:
    """A client of a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send_raw(self, raw: bytes) -> bytes:
        """Send bytes. Return everything that is received until the server closes the connection."""
        with closing(self.connect()) as connection, connection.makefile("rb") as answers:
            with suppress(ConnectionError):
                connection.sendall(raw)
            return answers.read()

    def alive(self) -> bool:
        return self.send_raw(request("/direct", extra="connection: close\r\n")).endswith(b"direct")


class Running(Client):
    """A server with the application above, on an event loop in its own thread."""

    def __init__(self, limits: Limits) -> None:
        self.application = Application()
        self.streams = Streams()
        self.server: Server
        self.limits = limits
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        super().__init__(self.listening.getsockname()[1])
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()))
        self.faults: list[str] = []  # error codes of the requests that the transport refused

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    async def _run(self) -> None:
        self.server = Server(self, self.limits)
        self._end = asyncio.Event()
        self._grace = 10.0
        accepting = await self.server.accept(self.listening)
        self._ready.set()
        await self._end.wait()
        accepting.close()
        await self.server.finish(self._grace)

    # The methods of an application.

    def admit(self, request: Request) -> bool:
        """Admit every request except those for /unwelcome."""
        if request.path == "/unwelcome":
            raise UnknownPath(request.path)
        return request.path.startswith("/streams/")

    def begin(self, exchange: Exchange) -> None:
        if exchange.request.path.startswith("/streams/"):
            self.streams.begin(exchange)
        elif exchange.request.path == "/raises":
            raise ValueError
        elif exchange.request.path == "/direct":
            exchange.respond(Answer(200, b"direct", []))
        else:
            exchange.serve(cast("Any", self.application))

    def refuse(self, fault: ScalezeroError, request: Request | None) -> Answer:  # noqa: ARG002 - the signature of an application
        self.faults.append(fault.code)
        return error_answer(fault)

    # For the tests.

    def shut_down(self, grace: float = 10) -> None:
        """Start the shutdown, with `grace` seconds."""
        self._grace = grace
        self.server.loop.call_soon_threadsafe(self._end.set)

    def stop(self) -> None:
        if not self.ended():
            self.shut_down(0.1)
        self._thread.join()

    def ended(self) -> bool:
        return not self._thread.is_alive()


LIMITS = Limits(body=2**21, buffered=2**23)


@contextmanager
def running(limits: Limits = LIMITS) -> Iterator[Running]:
    server = Running(limits)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def request(
    path: str = "/echo", body: bytes = b"", method: str = "POST", version: str = "1.1", extra: str = ""
) -> bytes:
    length = f"content-length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/{version}\r\nHost: here\r\n{length}{extra}\r\n".encode() + body


CHUNKED = request(extra="transfer-encoding: chunked\r\n") + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nx-trailer: 1\r\n\r\n"
ONE = request(body=b"one")
