"""A prior-knowledge HTTP/2 connection: uvicorn's, with what a server behind Knative's queue-proxy cannot do without.

queue-proxy sends the requests of a pod through one connection for as long as that lives. So:

- A connection is replaced in time. zttp breaks one off after 4096 streams or 256 resets in all of its life
  (ENHANCE_YOUR_CALM), and with it every request on its way. Here the peer is told before to open another one.
- Nobody loses a request to an end. GOAWAY first refuses no stream, so that what was sent before the peer has read it is
  answered too; the connection is closed once it has been quiet for a while. Source: RFC 9113, 6.8.
- A request ends with its head where that says so: else the application waits for a body for ever.
- An answer that comes in pieces waits for its reader: zttp would keep all of it in memory.

Relies on these internals of uvicorn 0.54: `cycles` has the requests under way; `handle_request`, `handle_rst_stream`,
`on_stream_closed`, `timeout_keep_alive_handler`, `shutdown` and `_close_connection` are the only ways to another
request or to an end; a cycle asks `flow` before each piece, and its task first runs after `handle_request`.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import zttp
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.zttp_h2_impl import RequestResponseCycle, ZttpH2Protocol

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_NO_ERROR: Final = 0
_REFUSES_NONE: Final = 2**31 - 1  # the last stream that there could be
_QUIET: Final = 0.5  # seconds after which nothing is on its way any more that was sent before GOAWAY was read
# A connection is worn out from the first number on at a moment without requests, from the second on at any moment. The
# 128 requests that zttp allows at once may still come or be reset then: below the number that breaks it off.
_STREAMS: Final = (2048, 3072)
_RESETS: Final = (64, 112)


class _Pace:
    """The flow of one answer: it waits for the socket, as every one of the connection, and for its own reader."""

    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: "Http2", cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle

    @property
    def write_paused(self) -> bool:
        """Whether another piece would only be kept in memory."""
        return self._connection.flow.write_paused or (self._cycle.stream.pending_bytes or 0) > HIGH_WATER_LIMIT

    async def drain(self) -> None:
        """Wait until another piece may go, or the caller has left."""
        while self.write_paused and not self._cycle.disconnected:
            await self._connection.news()


class Http2(ZttpH2Protocol):
    """One HTTP/2 connection."""

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._opened = 0
        self._resets = 0
        self._retired = False  # whether the peer was told to open another connection
        self._leaving: asyncio.TimerHandle | None = None
        self._news: asyncio.Event | None = None  # made when an answer waits for its reader

    def handle_request(self, event: zttp.Request) -> None:
        """Begin to answer the request."""
        super().handle_request(event)
        cycle = self.cycles[event.stream_id]
        cycle.flow = _Pace(self, cycle)  # type: ignore[assignment] # all that a cycle asks of its flow
        if event.end_stream:
            cycle.more_body = False
            cycle.message_event.set()
        self._opened += 1
        self._retire_if_worn()

    def handle_rst_stream(self, event: zttp.RstStream) -> None:
        """Tell the application that its caller gave up."""
        self._resets += 1
        super().handle_rst_stream(event)
        self._tell()
        self._retire_if_worn()

    def data_received(self, data: bytes) -> None:
        """Read what came; it may be the leave to write on."""
        super().data_received(data)
        self._tell()

    def resume_writing(self) -> None:
        """Go on with the answers that waited for the socket."""
        super().resume_writing()
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the applications that their caller has left."""
        super().connection_lost(exc)
        self._tell()
        if self._leaving:
            self._leaving.cancel()

    async def news(self) -> None:
        """Wait for anything that lets an answer go on."""
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()

    def on_stream_closed(self) -> None:
        """Go on after the end of a request."""
        super().on_stream_closed()
        if self._retired:
            self._leave_when_quiet()
        else:
            self._retire_if_worn()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that was idle for the whole keep-alive time."""
        if self.conn.has_pending_send():
            self.transport.abort()  # its reader took nothing of an answer all that time
        else:
            self._retire()

    def shutdown(self) -> None:
        """End after what is under way, and what is on its way."""
        self._retire()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def _retire_if_worn(self) -> None:
        limit = bool(self.cycles)
        if self._opened >= _STREAMS[limit] or self._resets >= _RESETS[limit]:
            self._retire()

    def _retire(self) -> None:
        if self._retired or self.transport.is_closing():
            return
        self._retired = True
        self.conn.close(_NO_ERROR, _REFUSES_NONE)
        self.flush()
        self._leave_when_quiet()

    def _leave_when_quiet(self) -> None:
        if self._leaving:
            self._leaving.cancel()
        self._leaving = self.loop.call_later(_QUIET, self._leave)

    def _leave(self) -> None:
        if not self.cycles:  # the end of the last one asks again
            self._close_connection()

    def _close_connection(self) -> None:
        """Close, but not before what was answered has left: it may wait for its reader."""
        if self.conn.has_pending_send() and not self.transport.is_closing():
            self._leave_when_quiet()
        else:
            super()._close_connection()
