"""Stream handlers for the transport tests. The path names the handler."""

import asyncio
import threading
from functools import partial

from runtime.errors import ScalezeroError
from runtime.http.exchange import Exchange
from runtime.http.incoming import IncomingBody
from runtime.http.messages import Headers

FAILED = b"x-failed"


class Streams:
    """Stream handlers, and what they have received."""

    def __init__(self) -> None:
        self.received = 0  # bytes
        self.faults: list[str] = []
        self.cancelled = threading.Event()
        self.go = threading.Event()

    def begin(self, exchange: Exchange) -> None:
        """Start the handler that the path names."""
        assert exchange.incoming is not None
        way = exchange.request.path.rpartition("/")[2]
        if way != "without_on_error":
            exchange.on_error = lambda fault: self._end(exchange, fault)
        exchange.run_handler(partial(self._run, way, exchange, exchange.incoming))

    async def echo(self, exchange: Exchange, incoming: IncomingBody) -> None:
        """Send back each piece when it arrives."""
        exchange.write_head(200, [], length=None)
        while piece := await incoming.receive():
            self.received += len(piece)
            exchange.write_piece(piece)
            await exchange.drain()
            incoming.mark_complete(len(piece))
            incoming.release(len(piece))
        exchange.write_end([(b"x-end", b"1")])

    async def silent(self, exchange: Exchange, incoming: IncomingBody) -> None:
        """Receive the whole body, and answer after its end."""
        try:
            while piece := await incoming.receive():
                self.received += len(piece)
        finally:
            self.cancelled.set()
        exchange.write_whole(200, [], b"")

    async def in_parts(self, exchange: Exchange, incoming: IncomingBody) -> None:
        """Wait for the rest of a message that is never complete."""
        started, size = incoming.now, 0
        while piece := await incoming.receive(started=started, size=size):
            size += len(piece)
        exchange.write_whole(200, [], b"")

    async def paused(self, exchange: Exchange, incoming: IncomingBody) -> None:
        """Receive nothing until the test sets `go`."""
        exchange.write_head(200, [], length=None)
        while not self.go.is_set():  # noqa: ASYNC110 - the test sets it on another thread
            await asyncio.sleep(0.01)
        while piece := await incoming.receive():
            self.received += len(piece)
            incoming.mark_complete(len(piece))
            incoming.release(len(piece))
        exchange.write_end([])

    async def raises(self, exchange: Exchange, incoming: IncomingBody) -> None:
        """Fail after the first piece."""
        exchange.write_head(200, [], length=None)
        exchange.write_piece(await incoming.receive())
        raise ValueError

    async def stops_early(self, exchange: Exchange, incoming: IncomingBody) -> None:
        """Answer before the client has sent all."""
        await incoming.receive()
        exchange.write_whole(200, [], b"enough")

    async def without_on_error(self, exchange: Exchange, _: IncomingBody) -> None:
        """Set no `on_error`, so that the transport resets the stream."""
        exchange.write_head(200, [], length=None)
        await asyncio.sleep(60)

    async def _run(self, way: str, exchange: Exchange, incoming: IncomingBody) -> None:
        try:
            await getattr(self, way)(exchange, incoming)
        except ScalezeroError as fault:
            self._end(exchange, fault)

    def _end(self, exchange: Exchange, fault: ScalezeroError) -> None:
        self.faults.append(fault.code)
        trailers: Headers = [(FAILED, fault.code.encode())]
        if exchange.begun:
            exchange.write_end(trailers)
        else:
            exchange.write_whole(200, [], b"", trailers)
