"""The server of one port: accepts connections, checks deadlines, handles signals, shuts down gracefully.

One timer serves all connections: at every tick the server calls `expire` on each connection whose deadline has passed.
So a request needs no timer of its own, and a deadline is at most one tick late.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from heapq import nsmallest
from time import gmtime, monotonic, strftime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from runtime.errors import PayloadTooLarge
from runtime.http import (
    exchange,
    http11,  # noqa: F401 - imported now, so that the first request does not wait for it
)
from runtime.http.connection import Connection, VersionDetector
from runtime.http.http2_head import FieldBlockCache
from runtime.http.limits import Budget, Limits, max_connections

if TYPE_CHECKING:
    from runtime.http.http11_head import CachedHead

_log = logging.getLogger("scalezero.http")
_BACKLOG: Final = 2048  # connections that wait to be accepted; the kernel's limit may be lower
_TICK_INTERVAL: Final = 0.5  # seconds between two checks of the deadlines
_POLL_INTERVAL: Final = 0.05  # seconds between two checks of the open connections, in shutdown
_FAST_GRACE: Final = 2.0  # seconds of grace for a process that ends because of an error
_EVICTION_BATCH: Final = 32  # connections to close at a time, so that a flood does not start a search for each of them
_REFUSAL_TIME: Final = 1.0  # seconds of the grace period that are reserved for sending refusals, at most
_REFUSAL_SHARE: Final = 0.2  # the largest share of the grace period for that, so that a short one is used for requests


class Lifespan(Protocol):
    """The state that all ports share, opened at the start and closed at the end."""

    async def open(self, end: Callable[[], None]) -> None:
        """Start, on the event loop, before the first request. `end` starts a shutdown with a short grace period."""

    async def close(self) -> None:
        """Release everything, after the last request is answered."""


class Port(NamedTuple):
    """A bound socket and its application."""

    application: exchange.Application
    listening: socket.socket


class SharedLimits(NamedTuple):
    """The limits that all ports share."""

    budget: Budget
    connections: int  # for each port

    @classmethod
    def split(cls, ports: int, limits: Limits) -> "SharedLimits":
        """Divide the limits of the process among `ports` ports."""
        return cls(Budget(limits.buffered), max_connections(limits.connections) // ports)


class Server:
    """One port and its connections. Create and use it on one event loop."""

    def __init__(self, application: exchange.Application, limits: Limits, shared: SharedLimits | None = None) -> None:
        """`shared` are the limits that this port shares with other ports; None: it is the only port."""
        shared = shared or SharedLimits.split(1, limits)
        self.application = application
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.budget = shared.budget
        self.connections: set[Connection] = set()
        self.head_cache: dict[bytes, CachedHead] = {}  # HTTP/1.1 heads, by their bytes
        self.field_blocks = FieldBlockCache()  # HTTP/2
        self.closing = False  # in shutdown: accept no connections, and finish the open requests
        self.now = monotonic()  # as of the last tick
        self.date_line = b""  # the Date header in HTTP/1.1 format: RFC 9110, 6.6.1
        self.date = (b"date", b"")
        self._max_connections = shared.connections
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    async def accept(self, listening: socket.socket) -> asyncio.Server:
        """Start to accept connections."""
        return await self.loop.create_server(lambda: VersionDetector(self), sock=listening, backlog=_BACKLOG)

    def register(self, connection: Connection) -> None:
        """Add a connection. Above the limit, close the connections that have been idle for the longest time.

        A client that is sending a head or a body counts as idle, so incomplete requests cannot block new connections.
        If all other connections are busy, close the new one.
        """
        self.connections.add(connection)
        if len(self.connections) <= self._max_connections:
            return
        idle = (each for each in self.connections if not each.busy and each is not connection)
        for each in nsmallest(_EVICTION_BATCH, idle, key=lambda each: each.last_used) or [connection]:
            self.connections.discard(each)  # `connection_lost` runs only in the next turn of the loop
            each.transport.abort()

    def check_length(self, content_length: int) -> None:
        """Check the length that a head declares. Raises `PayloadTooLarge`, or `Overloaded` if the budget is used up."""
        limit = self.limits.body
        if content_length > limit:
            raise PayloadTooLarge("body", limit=limit, unit="bytes", got=content_length)
        self.budget.check(content_length)

    async def finish(self, grace: float) -> None:
        """Finish the open requests. Answer 503 to requests that are not answered within `grace` seconds."""
        self.closing = True
        refusal_time = min(_REFUSAL_TIME, grace * _REFUSAL_SHARE)
        until = self.loop.time() + grace - refusal_time
        for connection in list(self.connections):
            connection.shut_down()
        while self.connections and self.loop.time() < until:
            await asyncio.sleep(_POLL_INTERVAL)
            self._check_deadlines()
        for connection in list(self.connections):
            connection.refuse_all()
        until = self.loop.time() + refusal_time
        while any(each.transport.get_write_buffer_size() for each in self.connections) and self.loop.time() < until:  # noqa: ASYNC110 - asyncio has no event for it
            await asyncio.sleep(_POLL_INTERVAL)
        for connection in list(self.connections):
            connection.transport.close()
        if self._timer:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self.loop.call_later(_TICK_INTERVAL, self._tick)
        # English, unless the author's function sets another locale. email.utils would add 10 ms to a start.
        date = strftime("%a, %d %b %Y %H:%M:%S GMT", gmtime()).encode()
        self.date = (b"date", date)
        self.date_line = b"date: %b\r\n" % date
        self._check_deadlines()

    def _check_deadlines(self) -> None:
        """Update the clock, and call `expire` on the connections whose deadline has passed."""
        now = self.now = monotonic()
        for connection in [each for each in self.connections if each.deadline <= now]:
            try:
                connection.expire()
            except Exception:  # noqa: BLE001 - an error of one connection must not stop the timer
                _log.exception("cannot close a connection")
                connection.transport.abort()


class _Shutdown:
    """The request to shut down, and its grace period."""

    def __init__(self, grace: float) -> None:
        self.requested = asyncio.Event()
        self.grace = grace  # seconds

    def request_fast(self) -> None:
        """Request a shutdown with a short grace period: the process cannot answer requests usefully."""
        self.grace = min(self.grace, _FAST_GRACE)
        self.requested.set()

    def on_signal(self, number: signal.Signals) -> None:
        """Request a graceful shutdown; at the second signal, end the process at once."""
        if self.requested.is_set():
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.requested.set()


def run(lifespan: Lifespan, ports: Sequence[Port], *, limits: Limits, grace: float) -> None:
    """Serve until SIGTERM, SIGINT, or a call of `end` (see `Lifespan.open`). Shutdown takes at most `grace` seconds.

    The event loop is not closed, because joining its threads could block forever. So the process must exit afterwards.
    """
    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(serve(lifespan, ports, limits=limits, grace=grace))


async def serve(lifespan: Lifespan, ports: Sequence[Port], *, limits: Limits, grace: float) -> None:
    """Serve on the running event loop; see `run`."""
    shutdown = _Shutdown(grace)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, shutdown.on_signal, number)
    await lifespan.open(shutdown.request_fast)
    shared = SharedLimits.split(len(ports), limits)
    servers = [Server(port.application, limits, shared) for port in ports]
    accepting = [await server.accept(port.listening) for server, port in zip(servers, ports, strict=True)]
    await shutdown.requested.wait()
    for each in accepting:
        each.close()
    until = loop.time() + shutdown.grace
    await asyncio.gather(*(server.finish(shutdown.grace) for server in servers))
    await _close_within(until - loop.time(), lifespan.close())


async def _close_within(seconds: float, closing: Awaitable[None]) -> None:
    """Close the application within the rest of the grace period, or within one poll interval if none is left."""
    try:
        await asyncio.wait_for(closing, max(seconds, _POLL_INTERVAL))
    except TimeoutError:
        _log.warning("some requests did not finish within the grace period")
