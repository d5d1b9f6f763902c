"""Prior-knowledge HTTP/2 (h2c), as Knative's queue-proxy speaks it to a pod whose port has that name.

queue-proxy sends all requests of a pod through one connection for as long as that lives, and what its client cannot
send there any more it cannot always send again: a body is read only once. So a connection here has no age. uvicorn's
own HTTP/2 is broken off by its engine after 4096 streams, or 256 that callers gave up, with every request on it; hence
libnghttp2, by ngh2, which counts neither.

    bytes -> Connection (ngh2) -> events -> Stream: scope, receive, send -> one write -> bytes

At the end of the process GOAWAY first refuses no stream, so that what was sent before the peer has read it is answered
too; the connection closes when it has been quiet for a while. Source: RFC 9113, 6.8.

Takes the place of uvicorn's `ZttpH2Protocol` and gives uvicorn 0.54 what it asks of one: to be in `connections` and its
requests in `tasks` while they are, and `shutdown`.
"""

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

import ngh2
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from runtime.frontends.stream import Stream

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_QUIET: Final = 0.5  # seconds after which nothing is on its way any more that was sent before GOAWAY was read
_ROOM: Final = 256 * 1024  # bytes that a caller may send ahead of the application, for each request
_ROOM_OF_ALL: Final = 16 * 2**20  # and for all requests of a connection
_AT_ONCE: Final = 1000  # requests; the most that Knative's containerConcurrency could be
_TCP_ALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))  # seconds; count
_CONFIGURATION: Final = ngh2.Configuration(
    auto_window_update=False,  # room is given back as the application takes the body
    stream_reset_rate_limit=(10_000, 1_000),  # behind a proxy, the callers of many who give up are one peer
)
_SETTINGS: Final = {
    ngh2.Setting.MAX_CONCURRENT_STREAMS: _AT_ONCE,
    ngh2.Setting.INITIAL_WINDOW_SIZE: _ROOM,
}


class Http2(asyncio.Protocol):
    """One HTTP/2 connection. A peer that is gone without a word is found by TCP; one that is idle may stay."""

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.app: Any = config.loaded_app
        self.app_state = app_state
        self.conn = ngh2.Connection(ngh2.Role.SERVER, _CONFIGURATION)
        self.loop = _loop or asyncio.get_event_loop()
        self.root_path = config.root_path
        self.asgi_version = config.asgi_version
        self.server_state = server_state
        self.server: tuple[str, int | None] | None = None
        self.client: tuple[str, int] | None = None
        self.transport: asyncio.Transport
        self.writing = asyncio.Event()  # cleared while the socket takes nothing
        self.writing.set()
        self._streams: dict[int, Stream] = {}
        self._ending = False  # whether the peer was told so
        self._over = False  # whether nothing more can be said: it broke the rules, or said goodbye and is answered
        self._leaving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # of the kind that TCP has
        """Greet the peer."""
        self.transport = transport
        self.server, self.client = get_local_addr(transport), get_remote_addr(transport)
        self.server_state.connections.add(self)  # type: ignore[arg-type] # it is asked for no more than `shutdown`
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _TCP_ALIVE:
            raw.setsockopt(socket.IPPROTO_TCP, option, value)
        self.conn.initiate_connection(_SETTINGS)
        self.conn.set_local_window_size(_ROOM_OF_ALL)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Read what came, and write what it allows."""
        try:
            self.conn.receive_data(data)
        except ngh2.NGH2Error:  # no HTTP/2, or too much of it: what is queued says so to the peer
            self._over = True
        self.flush()

    def flush(self) -> None:
        """Take what happened, then write what is queued, which may make more happen."""
        self._take_events()
        data = b""
        try:
            data = self.conn.data_to_send()
        except ngh2.NGH2Error:
            self._over = True
        self._take_events()
        if data and not self.transport.is_closing():
            self.transport.write(data)
        if self._over:
            self._abandon()
            self.transport.close()

    def _take_events(self) -> None:
        for event in self.conn.events():
            match event:
                case ngh2.RequestReceived():
                    self._begin(event)
                case ngh2.DataReceived():
                    self._take_body(event)
                case ngh2.TrailersReceived():
                    if stream := self._streams.get(event.stream_id):
                        stream.feed(b"", end=True)
                case ngh2.StreamClosed():
                    self._end(event.stream_id)
                case ngh2.WindowUpdated():
                    self._may_go_on(event.stream_id)
                case ngh2.ConnectionClosed():
                    self._over = True

    def _begin(self, event: ngh2.RequestReceived) -> None:
        try:
            stream = Stream(self, event)
        except UnicodeDecodeError:  # a path that is no ASCII, which no URI is
            self.conn.reset_stream(event.stream_id, ngh2.ErrorCode.PROTOCOL_ERROR)
            return
        self._streams[event.stream_id] = stream
        task = self.loop.create_task(stream.run())
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    def _take_body(self, event: ngh2.DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None or stream.answered:
            self.conn.acknowledge_received_data(len(event.data), event.stream_id)
        else:
            stream.feed(event.data, end=event.end_stream)

    def _end(self, stream_id: int) -> None:
        if stream := self._streams.pop(stream_id, None):
            stream.closed()
        if self._ending:
            self._leave_when_quiet()

    def _may_go_on(self, stream_id: int) -> None:
        for stream in [self._streams.get(stream_id)] if stream_id else self._streams.values():
            if stream:
                stream.tell()

    def pause_writing(self) -> None:
        """Hold the applications' pieces back: the socket takes no more."""
        self.writing.clear()

    def resume_writing(self) -> None:
        """Let them go on."""
        self.writing.set()

    def connection_lost(self, _: Exception | None) -> None:
        """Tell the applications that their caller has left."""
        self.server_state.connections.discard(self)
        if self._leaving:
            self._leaving.cancel()
        self._abandon()
        self.writing.set()

    def _abandon(self) -> None:
        for stream in self._streams.values():
            stream.closed()
        self._streams.clear()

    def shutdown(self) -> None:
        """End, after what is under way and what is on its way."""
        self._ending = True
        try:
            self.conn.send_shutdown_notice()
        except ngh2.NGH2Error:  # it is broken already
            self.transport.close()
            return
        self.flush()
        self._leave_when_quiet()

    def _leave_when_quiet(self) -> None:
        if self._leaving:
            self._leaving.cancel()
        self._leaving = self.loop.call_later(_QUIET, self._leave)

    def _leave(self) -> None:
        if not self._streams:  # the end of the last one asks again
            self.conn.send_goaway()
            self.flush()
            self.transport.close()
