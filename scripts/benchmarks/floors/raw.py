"""A minimal asyncio server: httptools, uvloop, and one batch per event loop iteration.

usage: python -m scripts.benchmarks.floors.raw MODEL PORT

No ASGI, no task, no validation, no deadline, no metrics, no limit. `{"inputs": row}` is answered by
`{"outputs": [...]}`, flat. The floor of raw_c1, raw_c8 and raw_c32.
"""

import asyncio
import sys
from collections.abc import Callable

import httptools
import numpy as np
import onnxruntime as ort
import orjson
import uvloop

from scripts.benchmarks.floors.foundation import open_session

LARGEST_BATCH = 32

Answer = Callable[[list[float]], None]


class Batcher:
    """Runs the rows that arrive in one event loop iteration as batches of at most 32."""

    def __init__(self, session: ort.InferenceSession, loop: asyncio.AbstractEventLoop) -> None:
        self.session = session
        self.input_name = session.get_inputs()[0].name
        self.loop = loop
        self.waiting: list[tuple[list[float], Answer]] = []

    def submit(self, row: list[float], answer: Answer) -> None:
        """Queue a row; `answer` is called with its outputs."""
        if not self.waiting:
            self.loop.call_soon(self.flush)
        self.waiting.append((row, answer))

    def flush(self) -> None:
        """Run one batch. The remaining rows run in the next iteration."""
        batch, self.waiting = self.waiting[:LARGEST_BATCH], self.waiting[LARGEST_BATCH:]
        if self.waiting:
            self.loop.call_soon(self.flush)
        rows = np.array([row for row, _ in batch], dtype=np.float32)
        outputs = self.session.run(None, {self.input_name: rows})[0].tolist()
        for (_, answer), output in zip(batch, outputs, strict=True):
            answer(output)


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection. It collects everything that routing needs, but uses only the body."""

    transport: asyncio.Transport

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self.transport = transport  # type: ignore[assignment] # the transport of a server is a Transport

    def data_received(self, data: bytes) -> None:
        """Parse the data; httptools calls the methods below."""
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Start a request."""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    def on_url(self, url: bytes) -> None:
        """Store the path."""
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header."""
        self.headers[name.lower()] = value

    def on_body(self, piece: bytes) -> None:
        """Store a piece of the body. Most bodies have only one."""
        self.body = self.body + piece if self.body else piece

    def on_message_complete(self) -> None:
        """Queue the row."""
        self.batcher.submit(orjson.loads(self.body)["inputs"], self.answer)

    def answer(self, outputs: list[float]) -> None:
        """Send head and body with one write."""
        text = orjson.dumps({"outputs": outputs})
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(text)
        self.transport.write(head + text)


async def serve(model: str, port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    batcher = Batcher(open_session(model), loop)
    server = await loop.create_server(lambda: Connection(batcher), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
