"""The least that an asyncio server can do: httptools, uvloop, and one batch for each turn of the event loop.

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
    """Runs what arrives within one turn of the loop as batches of at most 32 rows."""

    def __init__(self, session: ort.InferenceSession, loop: asyncio.AbstractEventLoop) -> None:
        self.session = session
        self.input_name = session.get_inputs()[0].name
        self.loop = loop
        self.waiting: list[tuple[list[float], Answer]] = []

    def submit(self, row: list[float], answer: Answer) -> None:
        """Call `answer` with the outputs of this row, later."""
        if not self.waiting:
            self.loop.call_soon(self.flush)
        self.waiting.append((row, answer))

    def flush(self) -> None:
        """Run one batch; what is left over runs in the next turn."""
        batch, self.waiting = self.waiting[:LARGEST_BATCH], self.waiting[LARGEST_BATCH:]
        if self.waiting:
            self.loop.call_soon(self.flush)
        rows = np.array([row for row, _ in batch], dtype=np.float32)
        outputs = self.session.run(None, {self.input_name: rows})[0].tolist()
        for (_, answer), output in zip(batch, outputs, strict=True):
            answer(output)


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection. It collects what a server needs to route a request, and looks at the body only."""

    transport: asyncio.Transport

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.transport = transport  # type: ignore[assignment] # a server's is a Transport

    def data_received(self, data: bytes) -> None:
        """Parse; httptools calls the methods below."""
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Start a request."""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    def on_url(self, url: bytes) -> None:
        """Keep the path."""
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers[name.lower()] = value

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body; most bodies have one."""
        self.body = self.body + piece if self.body else piece

    def on_message_complete(self) -> None:
        """Queue the row."""
        self.batcher.submit(orjson.loads(self.body)["inputs"], self.answer)

    def answer(self, outputs: list[float]) -> None:
        """Write head and body at once."""
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
