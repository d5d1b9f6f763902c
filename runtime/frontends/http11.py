"""A lean way through uvicorn for the common HTTP/1.1 request: one that came in one read, answered in one write.

uvicorn makes an event, two timers and three writes of each request, which for a small model is a third of all that a
request costs. Here a request that is whole in what was read goes through an `Exchange`: the body is there at once,
head and body of the answer leave in one write, and a connection has one timer for all of its pauses.

    read -> parse -> whole?  -- yes -> Exchange: scope, receive, send -> one write -> next request
                             `- no  -> uvicorn's own RequestResponseCycle

Whatever is not that simple is left to uvicorn, unchanged: a body that comes in pieces, Expect, Upgrade, a concurrency
limit, an access log, HTTP/2. So is an exchange that turns out otherwise (a streamed or a bodyless answer, none at all,
an error): it is handed over to uvicorn's cycle before its first byte is written. The one difference to see: the head
of an answer leaves together with its first body, as ASGI asks, not before it.

Relies on these internals of uvicorn 0.54: `AutoZttpProtocol._switch`; the attributes of `ZttpProtocol` and that
`handle_events`, `on_response_complete`, `timeout_keep_alive_handler` and `shutdown` are its only ways to another
request or to an end; the fields and `run_asgi` of `RequestResponseCycle`; that `FlowControl` is per connection. And on
zttp: after the end of a request it gives no other event until `start_next_cycle`. The tests compare byte by byte what
uvicorn answers with what this answers.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import zttp
from uvicorn.protocols.http.auto_zttp_impl import AutoZttpProtocol
from uvicorn.protocols.http.zttp_impl import RequestResponseCycle, ZttpProtocol

if TYPE_CHECKING:
    from runtime.frontends.http import Message, Scope, Send

_NEED_DATA: Final = zttp.NEED_DATA


class Http(AutoZttpProtocol):
    """uvicorn's choice by the first bytes: prior-knowledge HTTP/2 is uvicorn's own, HTTP/1.1 is `Http11`."""

    def _switch(self, http2: bool, initial_data: bytes = b"") -> None:  # noqa: FBT001, FBT002 - uvicorn's signature
        if http2:
            super()._switch(http2=True, initial_data=initial_data)
            return
        protocol = Http11(self.config, self.server_state, self.app_state, self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if initial_data:
            protocol.data_received(initial_data)


class Http11(ZttpProtocol):
    """One HTTP/1.1 connection. `exchange` is the request that is being answered here, if uvicorn does not do it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exchange: Exchange | None = None
        self._quiet_since: float | None = None  # on the loop's clock; None while something is being read or answered
        self._all_by_uvicorn = self.access_log or self.limit_concurrency is not None or self.config.reset_contextvars

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._quiet_since = None
        try:
            self.handle_events(self.conn.receive_event(data))
        except zttp.RemoteProtocolError:
            self.handle_remote_protocol_error()

    def handle_events(self, event: zttp.Event) -> None:
        """Begin the request that `event` and those behind it make. Raises `zttp.RemoteProtocolError`."""
        if event is _NEED_DATA:
            return
        conn = self.conn
        if (
            type(event) is not zttp.Request
            or event.expect_continue
            or conn.upgrade() is not None
            or self._all_by_uvicorn
        ):
            super().handle_events(event)
            return
        if event.end_stream:
            self._begin(event, b"")
            return
        pieces: list[zttp.Data] = []
        following = conn.next_event()
        while type(following) is zttp.Data:
            pieces.append(following)
            following = conn.next_event()
        if following is _NEED_DATA:
            super().handle_events(event)
            for piece in pieces:
                super().handle_events(piece)
        else:
            self._begin(event, pieces[0].data if len(pieces) == 1 else b"".join([each.data for each in pieces]))

    def _begin(self, request: zttp.Request, body: bytes) -> None:
        path = request.path.decode("ascii")
        root = self.root_path
        exchange = Exchange(
            self,
            {
                "type": "http",
                "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
                "http_version": request.http_version.decode("ascii"),
                "server": self.server,
                "client": self.client,
                "scheme": self.scheme,
                "method": request.method.decode("ascii"),
                "root_path": root,
                "path": root + (unquote(path) if "%" in path else path),
                "raw_path": root.encode("ascii") + request.path,
                "query_string": request.query,
                "headers": request.headers.to_list(lowercase_names=True),  # type: ignore[union-attr] # a server's are
                "state": self.app_state.copy(),
            },
            body,
        )
        self.exchange = exchange
        exchange.task = self.loop.create_task(exchange.run())
        self.tasks.add(exchange.task)

    def on_response_complete(self) -> None:
        """Go on to the next request, which may be there already; also the end of an answer by uvicorn's cycle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._quiet_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_later(self.timeout_keep_alive)
        self.flow.resume_reading()
        if self.cycle is not None and self.cycle.more_body:
            return  # answered before its body came: uvicorn reads over the rest
        self.conn.start_next_cycle()
        try:
            event = self.conn.next_event()
            if event is not _NEED_DATA:
                self._quiet_since = None
                self.handle_events(event)
        except zttp.RemoteProtocolError:
            self.handle_remote_protocol_error()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it was quiet for the whole keep-alive time, else look again when it may have been."""
        self.timeout_keep_alive_task = None
        if self.transport.is_closing() or self._quiet_since is None:
            return  # the end of the answer under way sets the timer again
        remaining = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if remaining > 0:
            self._look_later(remaining)
        else:
            self.transport.close()

    def _look_later(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that its caller has left."""
        if self.exchange is not None:
            self.exchange.caller_left()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def shutdown(self) -> None:
        """Close now, or after the answer that is under way."""
        if self.exchange is not None:
            self.exchange.keep_alive = False
        else:
            super().shutdown()


class Exchange:
    """One request that was read whole, and its answer: what the application sees as `scope`, `receive` and `send`."""

    __slots__ = ("_answered", "_body", "_cycle", "_left", "_news", "_protocol", "_start", "keep_alive", "scope", "task")

    task: "asyncio.Task[None]"

    def __init__(self, protocol: Http11, scope: "Scope", body: bytes) -> None:
        self.scope = scope
        self.keep_alive = True
        self._protocol = protocol
        self._body: bytes | None = body  # None once the application has it
        self._start: Message | None = None  # the answer's head, until its body comes
        self._answered = False
        self._left = False
        self._news: asyncio.Event | None = None  # made when the application waits for its caller to leave
        self._cycle: RequestResponseCycle | None = None  # once uvicorn has taken over

    async def run(self) -> None:
        """Let the application answer; an end other than an answer is uvicorn's to deal with."""
        protocol = self._protocol
        try:
            result = await protocol.app(self.scope, self.receive, self.send)  # type: ignore[arg-type,func-returns-value]
        except BaseException as error:  # noqa: BLE001 - raised again, where uvicorn logs it and answers 500
            await self._end_by_uvicorn(None, error)
        else:
            if result is not None or not (self._answered or self._left):
                await self._end_by_uvicorn(result, None)
        finally:
            protocol.tasks.discard(self.task)

    async def receive(self) -> "Message":
        """The whole body at first; then wait until the caller has left or is answered."""
        if self._cycle is not None:
            return await self._cycle.receive()  # type: ignore[return-value]
        if not (self._left or self._answered):
            body = self._body
            if body is not None:
                self._body = None
                return {"type": "http.request", "body": body, "more_body": False}
            if self._news is None:
                self._news = asyncio.Event()
            await self._news.wait()
            if self._cycle is not None:
                return await self._cycle.receive()  # type: ignore[return-value]
        return {"type": "http.disconnect"}

    async def send(self, message: "Message") -> None:
        """Keep the head until the body comes, then write both; raises `RuntimeError` for a message out of order."""
        if self._cycle is not None:
            await self._cycle.send(message)  # type: ignore[arg-type]
            return
        if self._start is None and message["type"] == "http.response.start":
            self._start = message
            return
        if self._protocol.flow.write_paused and not self._left:
            await self._protocol.flow.drain()
        if self._left:
            return
        if self._answered:
            raise RuntimeError(f"ASGI message {message['type']!r} came after the end of the answer; expected none")
        if not self._write(message):
            cycle = self._hand_over()
            if self._start is not None:
                await cycle.send(self._start)  # type: ignore[arg-type]
            await cycle.send(message)  # type: ignore[arg-type]

    def caller_left(self) -> None:
        """The connection is lost."""
        self._left = True
        if self._news is not None:
            self._news.set()

    def _write(self, message: "Message") -> bool:
        """Write an answer that is whole and plain, or leave everything as it was."""
        start, body = self._start, message.get("body", b"")
        if (
            start is None
            or message["type"] != "http.response.body"
            or message.get("more_body")
            or type(body) is not bytes
        ):
            return False
        protocol, status = self._protocol, start["status"]
        headers = [*protocol.server_state.default_headers, *start.get("headers", ())]
        fields = dict(headers)
        if (
            fields.get(b"content-length") != b"%d" % len(body)
            or b"transfer-encoding" in fields
            or status < 200
            or status in (204, 304)
            or self.scope["method"] == "HEAD"
        ):
            return False
        conn, transport = protocol.conn, protocol.transport
        try:
            conn.send_response(status, headers)
        except zttp.LocalProtocolError:
            return False  # uvicorn mends or refuses it
        conn.send_data(body)
        conn.end_message()
        transport.write(conn.data_to_send())
        self._answered = True
        if self._news is not None:
            self._news.set()
        protocol.exchange = None
        if not self.keep_alive or conn.should_close():
            transport.close()
        protocol.on_response_complete()
        return True

    def _hand_over(self) -> RequestResponseCycle:
        """Make uvicorn's cycle in the state that this exchange is in; from here on it answers."""
        protocol = self._protocol
        self._cycle = cycle = RequestResponseCycle(
            scope=self.scope,
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
        if self._news is not None:
            self._news.set()
        return cycle

    async def _end_by_uvicorn(self, result: object, error: BaseException | None) -> None:
        cycle = self._cycle
        start = None if cycle or self._answered else self._start

        async def ended(_: object, __: object, send: "Send") -> object:
            if start is not None:
                await send(start)
            if error is not None:
                raise error
            return result

        await (cycle or self._hand_over()).run_asgi(ended)
