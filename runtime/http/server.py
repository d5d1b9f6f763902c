"""Accepting connections, the clock that their deadlines are read on, signals, and the orderly end.

One timer serves all connections: every tick the server calls `expire` on those whose deadline has passed. A request
costs no timer, and a deadline is late by a tick at most.
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
    http11,  # noqa: F401 - so that the first client does not wait for its import
)
from runtime.http.connection import Connection, Greeting
from runtime.http.http2_head import FieldBlocks
from runtime.http.limits import Budget, Limits, most_connections

if TYPE_CHECKING:
    from runtime.http.http11_head import KnownHead

_log = logging.getLogger("scalezero.http")
_BACKLOG: Final = 2048  # connections that wait to be accepted; the kernel's own ceiling may be lower
_TICK: Final = 0.5  # seconds between two looks at the clock
_LAST_LOOK: Final = 0.05  # seconds between two looks at what is still to be answered, in shutdown
_HURRY: Final = 2.0  # seconds for the end of a process that gives up
_EVICTED: Final = 32  # connections closed at once, so that a flood of new ones does not search for each of them
_LAST_WORDS: Final = 1.0  # seconds at most, of the grace, for refusals to reach their clients
_LAST_SHARE: Final = 0.2  # of the grace at most, so that a short one is still for answers


class Life(Protocol):
    """What all ports share, from the start to the end."""

    async def open(self, end: Callable[[], None]) -> None:
        """Begin, on the event loop, before the first request. `end` ends the server, as a signal does, in a hurry."""

    async def close(self) -> None:
        """End, when everything is answered."""


class Port(NamedTuple):
    """A socket that is bound, and what answers there."""

    application: exchange.Application
    listening: socket.socket


class Room(NamedTuple):
    """What all ports together may take."""

    budget: Budget
    connections: int  # of each port

    @classmethod
    def among(cls, ports: int, limits: Limits) -> "Room":
        """Share the limits of the process among so many ports."""
        return cls(Budget(limits.buffered), most_connections(limits.connections) // ports)


class Server:
    """One port and its connections. Made and used on one event loop."""

    def __init__(self, application: exchange.Application, limits: Limits, room: Room | None = None) -> None:
        """`room` is what this port shares with others; None: it is the only one."""
        room = room or Room.among(1, limits)
        self.application = application
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.budget = room.budget
        self.connections: set[Connection] = set()
        self.heads: dict[bytes, KnownHead] = {}  # of HTTP/1.1, by their bytes
        self.field_blocks = FieldBlocks()  # of HTTP/2
        self.closing = False  # nothing new is accepted, what is there is finished
        self.now = monotonic()  # as of the last tick
        self.date_line = b""  # the Date header as HTTP/1.1 writes it: RFC 9110, 6.6.1
        self.date = (b"date", b"")
        self._most = room.connections
        self._ticking: asyncio.TimerHandle | None = None
        self._tick()

    async def accept(self, listening: socket.socket) -> asyncio.Server:
        """Accept connections from now on."""
        return await self.loop.create_server(lambda: Greeting(self), sock=listening, backlog=_BACKLOG)

    def register(self, connection: Connection) -> None:
        """Count a connection in. Where there are too many, those that were idle for longest are closed.

        A client that sends a head or a body counts as idle: half requests must not lock out whole ones. Where all are
        answering, the new connection is closed.
        """
        self.connections.add(connection)
        if len(self.connections) <= self._most:
            return
        idle = (each for each in self.connections if not each.busy and each is not connection)
        for each in nsmallest(_EVICTED, idle, key=lambda each: each.since) or [connection]:
            self.connections.discard(each)  # its end is only noticed in the loop's next turn
            each.transport.abort()

    def expect(self, announced: int) -> None:
        """Check the length that a head announces. Raises `PayloadTooLarge`, or `Overloaded` where there is no room."""
        limit = self.limits.body
        if announced > limit:
            raise PayloadTooLarge("body", limit=limit, unit="bytes", got=announced)
        self.budget.check(announced)

    async def finish(self, grace: float) -> None:
        """Finish what is under way; what is not answered within `grace` seconds is answered with 503."""
        self.closing = True
        last_words = min(_LAST_WORDS, grace * _LAST_SHARE)
        until = self.loop.time() + grace - last_words
        for connection in list(self.connections):
            connection.shut_down()
        while self.connections and self.loop.time() < until:
            await asyncio.sleep(_LAST_LOOK)
            self._look()
        for connection in list(self.connections):
            connection.refuse_all()
        until = self.loop.time() + last_words
        while any(each.transport.get_write_buffer_size() for each in self.connections) and self.loop.time() < until:  # noqa: ASYNC110 - sockets tell no event
            await asyncio.sleep(_LAST_LOOK)
        for connection in list(self.connections):
            connection.transport.close()
        if self._ticking:
            self._ticking.cancel()

    def _tick(self) -> None:
        self._ticking = self.loop.call_later(_TICK, self._tick)
        # In English unless the author's function sets another locale; email.utils would cost a start 10 ms.
        date = strftime("%a, %d %b %Y %H:%M:%S GMT", gmtime()).encode()
        self.date = (b"date", date)
        self.date_line = b"date: %b\r\n" % date
        self._look()

    def _look(self) -> None:
        """Read the clock, and act on the deadlines that have passed."""
        now = self.now = monotonic()
        for connection in [each for each in self.connections if each.deadline <= now]:
            try:
                connection.expire()
            except Exception:  # noqa: BLE001 - one connection must not stop the clock
                _log.exception("closing a connection failed")
                connection.transport.abort()


class _Ending:
    """Whether the server is to end, and how long that may take."""

    def __init__(self, grace: float) -> None:
        self.asked = asyncio.Event()
        self.grace = grace  # seconds

    def in_a_hurry(self) -> None:
        """End: there is nothing to finish that anybody could answer well."""
        self.grace = min(self.grace, _HURRY)
        self.asked.set()

    def on_signal(self, number: signal.Signals) -> None:
        """End in order; the second signal ends the process at once."""
        if self.asked.is_set():
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.asked.set()


def run(life: Life, ports: Sequence[Port], *, limits: Limits, grace: float) -> None:
    """Serve until SIGTERM or SIGINT, or until `life` asks for the end. `grace` (seconds) bounds the end.

    The event loop is left as it is, since joining its threads could take for ever: the process has to end after this.
    """
    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(serve(life, ports, limits=limits, grace=grace))


async def serve(life: Life, ports: Sequence[Port], *, limits: Limits, grace: float) -> None:
    """Serve on the running event loop; see `run`."""
    ending = _Ending(grace)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.on_signal, number)
    await life.open(ending.in_a_hurry)
    room = Room.among(len(ports), limits)
    servers = [Server(port.application, limits, room) for port in ports]
    accepting = [await server.accept(port.listening) for server, port in zip(servers, ports, strict=True)]
    await ending.asked.wait()
    for each in accepting:
        each.close()
    until = loop.time() + ending.grace
    await asyncio.gather(*(server.finish(ending.grace) for server in servers))
    await _within(until - loop.time(), life.close())


async def _within(seconds: float, closing: Awaitable[None]) -> None:
    """Give the application what is left of the grace, and a moment at least."""
    try:
        await asyncio.wait_for(closing, max(seconds, _LAST_LOOK))
    except TimeoutError:
        _log.warning("some requests did not finish within the grace period")
