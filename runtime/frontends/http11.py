"""A lean way through uvicorn for the common HTTP/1.1 request: one that came in one read, answered in one write.

uvicorn makes an event, a timer and three writes for each request, which for a small model is a quarter of all that a
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
from urllib.parse import unquote, urlsplit

import zttp
from uvicorn.protocols.http.auto_zttp_impl import AutoZttpProtocol
from uvicorn.protocols.http.zttp_impl import ZttpProtocol

from runtime.frontends.exchange import Exchange

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from runtime.frontends.http2 import Http2

_NEED_DATA: Final = zttp.NEED_DATA
_NOT_HTTP: Final = (zttp.RemoteProtocolError, UnicodeDecodeError)  # the latter for a path that is not ASCII


class Http(AutoZttpProtocol):
    """uvicorn's choice by the first bytes: prior-knowledge HTTP/2 is `Http2`, HTTP/1.1 is `Http11`."""

    def _switch(self, http2: bool, initial_data: bytes = b"") -> None:  # noqa: FBT001 - uvicorn's signature
        protocol = (_http2() if http2 else Http11)(self.config, self.server_state, self.app_state, self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if initial_data:
            protocol.data_received(initial_data)


def _http2() -> "type[Http2]":
    """Import it, which takes some milliseconds, when its first caller comes."""
    from runtime.frontends.http2 import Http2

    return Http2


class Http11(ZttpProtocol):
    """One HTTP/1.1 connection. `exchange` is the request that is being answered here, if uvicorn does not do it."""

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.exchange: Exchange | None = None
        self._quiet_since: float | None = None  # on the loop's clock; None while something is being read or answered
        self._all_by_uvicorn = config.access_log or config.limit_concurrency is not None or config.reset_contextvars

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._quiet_since = None
        try:
            self.handle_events(self.conn.receive_event(data))
        except _NOT_HTTP:
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
        if not path.startswith("/") and "://" in path:  # RFC 9112, 3.2.2: as a proxy is asked
            path = urlsplit(path).path or "/"
        root = self.root_path
        exchange = Exchange(
            self,
            {
                "type": "http",
                "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
                "http_version": request.http_version.decode("ascii"),
                "server": self.server,
                "client": self.client,
                "scheme": self.scheme,  # type: ignore[typeddict-item] # None only before the connection is made
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

    def answered(self, *, keep_alive: bool) -> None:
        """End the exchange, whose answer is written."""
        self.exchange = None
        if not keep_alive or self.conn.should_close():
            self.transport.close()
        self.on_response_complete()

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
        except _NOT_HTTP:
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
