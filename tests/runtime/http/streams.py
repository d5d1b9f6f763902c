"""What the tests of the transport serve as streams; the path names the way."""

import asyncio
import threading
from functools import partial

from runtime.errors import ScalezeroError
from runtime.http.exchange import Exchange
from runtime.http.incoming import Incoming
from runtime.http.messages import Headers

FAILED = b"x-failed"


class Streams:
    """Handlers of streams, and what they have seen."""

    def __init__(self) -> None:
        self.taken = 0  # bytes
        self.faults: list[str] = []
        self.cancelled = threading.Event()
        self.go = threading.Event()

    def begin(self, exchange: Exchange) -> None:
        """Start the handler that the path names."""
        assert exchange.incoming is not None
        way = exchange.request.path.rpartition("/")[2]
        if way != "without_last_words":
            exchange.on_fault = lambda fault: self._end(exchange, fault)
        exchange.work(partial(self._run, way, exchange, exchange.incoming))

    async def echo(self, exchange: Exchange, incoming: Incoming) -> None:
        """Each piece back as it comes."""
        exchange.write_head(200, [], length=None)
        while piece := await incoming.receive():
            self.taken += len(piece)
            exchange.write_piece(piece)
            await exchange.drain()
            incoming.whole(len(piece))
            incoming.release(len(piece))
        exchange.write_end([(b"x-end", b"1")])

    async def silent(self, exchange: Exchange, incoming: Incoming) -> None:
        """Take everything, and answer nothing before the end."""
        try:
            while piece := await incoming.receive():
                self.taken += len(piece)
        finally:
            self.cancelled.set()
        exchange.write_whole(200, [], b"")

    async def in_parts(self, exchange: Exchange, incoming: Incoming) -> None:
        """Wait for the rest of a part that never becomes whole."""
        begun, size = incoming.now, 0
        while piece := await incoming.receive(begun=begun, size=size):
            size += len(piece)
        exchange.write_whole(200, [], b"")

    async def untaken(self, exchange: Exchange, incoming: Incoming) -> None:
        """Take nothing until the test says so."""
        exchange.write_head(200, [], length=None)
        while not self.go.is_set():  # noqa: ASYNC110 - the test sets it on another thread
            await asyncio.sleep(0.01)
        while piece := await incoming.receive():
            self.taken += len(piece)
            incoming.whole(len(piece))
            incoming.release(len(piece))
        exchange.write_end([])

    async def raises(self, exchange: Exchange, incoming: Incoming) -> None:
        """Fail after the first piece."""
        exchange.write_head(200, [], length=None)
        exchange.write_piece(await incoming.receive())
        raise ValueError

    async def stops_early(self, exchange: Exchange, incoming: Incoming) -> None:
        """Answer before the client has sent all."""
        await incoming.receive()
        exchange.write_whole(200, [], b"enough")

    async def without_last_words(self, exchange: Exchange, _: Incoming) -> None:
        """Leave the end by the transport to the transport."""
        exchange.write_head(200, [], length=None)
        await asyncio.sleep(60)

    async def _run(self, way: str, exchange: Exchange, incoming: Incoming) -> None:
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
