"""One HTTP/1.1 request that was read whole, answered in one write: see `runtime.frontends.http11`."""

import asyncio
from typing import TYPE_CHECKING, Final

import zttp
from uvicorn.protocols.http.zttp_impl import RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGIReceiveEvent,
        ASGISendCallable,
        ASGISendEvent,
        HTTPResponseBodyEvent,
        HTTPResponseStartEvent,
        HTTPScope,
    )

    from runtime.frontends.http11 import Http11

_WITH_BODY: Final = frozenset(range(200, 600)) - {204, 304}  # RFC 9110 sections 6.4.1, 15.3.5 and 15.4.5


class Exchange:
    """One request that was read whole, and its answer: what the application sees as `scope`, `receive` and `send`."""

    __slots__ = (
        "_answered",
        "_body",
        "_cycle",
        "_left",
        "_news",
        "_protocol",
        "_scope",
        "_start",
        "keep_alive",
        "task",
    )

    task: "asyncio.Task[None]"

    def __init__(self, protocol: "Http11", scope: "HTTPScope", body: bytes) -> None:
        self.keep_alive = True
        self._protocol = protocol
        self._scope = scope
        self._body: bytes | None = body  # None once the application has it
        self._start: HTTPResponseStartEvent | None = None  # the answer's head, until its body comes
        self._answered = False
        self._left = False
        self._news: asyncio.Event | None = None  # made when the application waits for its caller to leave
        self._cycle: RequestResponseCycle | None = None  # once uvicorn has taken over

    async def run(self) -> None:
        """Let the application answer; an end without an answer is uvicorn's to deal with."""
        protocol = self._protocol
        try:
            result = await protocol.app(self._scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 - raised again where uvicorn logs it and answers 500
            await self._end_by_uvicorn(None, error)
        else:
            if result is not None or not (self._answered or self._left):
                await self._end_by_uvicorn(result, None)
        finally:
            protocol.tasks.discard(self.task)

    async def receive(self) -> "ASGIReceiveEvent":
        """The whole body at first; after that, wait until the caller has left or is answered."""
        if self._cycle is None and not (self._left or self._answered):
            body = self._body
            if body is not None:
                self._body = None
                return {"type": "http.request", "body": body, "more_body": False}
            if self._news is None:
                self._news = asyncio.Event()
            await self._news.wait()
        if self._cycle is not None:
            return await self._cycle.receive()
        return {"type": "http.disconnect"}

    async def send(self, message: "ASGISendEvent") -> None:
        """Keep the head until the body comes, then write both; `RuntimeError` for a message out of order."""
        if self._cycle is not None:
            await self._cycle.send(message)
            return
        if message["type"] == "http.response.start" and self._start is None:
            self._start = message
            return
        protocol = self._protocol
        if protocol.flow.write_paused and not self._left:
            await protocol.flow.drain()
        if self._left:
            return
        if self._answered or message["type"] != "http.response.body" or not self._write(message):
            await self._send_by_uvicorn(message)

    def caller_left(self) -> None:
        """The connection is lost."""
        self._left = True
        self._tell()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()

    def _write(self, message: "HTTPResponseBodyEvent") -> bool:
        """Write an answer that is whole and plain, and end the exchange; leave everything as it was for another."""
        start, body = self._start, message.get("body", b"")
        if start is None or message.get("more_body") or type(body) is not bytes:
            return False
        protocol, status = self._protocol, start["status"]
        headers = [*protocol.server_state.default_headers, *start.get("headers", ())]
        if status not in _WITH_BODY or self._scope["method"] == "HEAD":
            return False
        if (b"content-length", b"%d" % len(body)) not in headers:
            return False
        conn = protocol.conn
        try:
            conn.send_response(status, headers)
        except zttp.LocalProtocolError:
            return False  # two framings, say: uvicorn mends it, or tells the application
        if body:  # zttp takes no empty piece
            conn.send_data(body)
        conn.end_message()
        protocol.transport.write(conn.data_to_send())
        self._answered = True
        self._tell()
        protocol.answered(keep_alive=self.keep_alive)
        return True

    def _hand_over(self) -> RequestResponseCycle:
        """Make uvicorn's cycle in the state in which this exchange is; from here on it answers."""
        protocol = self._protocol
        self._cycle = cycle = RequestResponseCycle(
            scope=self._scope,
            conn=protocol.conn,
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=protocol.access_log,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            on_response=protocol.on_response_complete,
        )
        cycle.more_body = False
        cycle.keep_alive = self.keep_alive
        cycle.disconnected = self._left
        cycle.response_started = cycle.response_complete = self._answered
        if self._body is not None:
            cycle.body += self._body
            cycle.message_event.set()
        if protocol.exchange is self:
            protocol.exchange = None
            protocol.cycle = cycle
        self._tell()
        return cycle

    async def _send_by_uvicorn(self, message: "ASGISendEvent") -> None:
        start = None if self._answered else self._start
        cycle = self._hand_over()
        if start is not None:
            await cycle.send(start)
        await cycle.send(message)

    async def _end_by_uvicorn(self, result: None, error: BaseException | None) -> None:
        """Let uvicorn see the application end as it did: `run_asgi` logs, answers 500 or closes the connection."""
        start = None if self._answered or self._cycle is not None else self._start

        async def ended(_: object, __: object, send: "ASGISendCallable") -> None:
            if start is not None:
                await send(start)
            if error is not None:
                raise error
            return result

        await (self._cycle or self._hand_over()).run_asgi(ended)
