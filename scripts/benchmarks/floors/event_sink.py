"""A minimal sink of CloudEvents on uvloop: answers each POST with 202, and GET with the number of events so far.

usage: python -m scripts.benchmarks.floors.event_sink PORT
"""

import asyncio
import sys
from typing import Final

import httptools
import uvloop

_ACCEPTED: Final = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


class Counter:
    """The number of events."""

    def __init__(self) -> None:
        self.events = 0


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection."""

    transport: asyncio.Transport

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment] # a transport of uvloop

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Count and answer."""
        if self.parser.get_method() == b"GET":
            text = str(self.counter.events).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text))
        else:
            self.counter.events += 1
            self.transport.write(_ACCEPTED)


async def serve(port: int) -> None:
    """Serve until the process ends."""
    counter = Counter()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(counter), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
