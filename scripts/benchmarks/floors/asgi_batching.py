"""A minimal server that batches: all rows that arrive in one event loop iteration run as one batch of at most 32.

usage: MODEL=model.onnx uvicorn scripts.benchmarks.floors.asgi_batching:app --http zttp --http2 --loop uvloop

No validation, no deadline, no metrics, no queue limit. `{"inputs": row}` is answered by `{"outputs": [...]}`, flat.
The floor of throughput.
"""

import asyncio
import os

import numpy as np
import orjson

from scripts.benchmarks.floors.foundation import Message, Receive, Send, open_session

LARGEST_BATCH = 32

session = open_session(os.environ["MODEL"])
input_name = session.get_inputs()[0].name


class Batcher:
    """Collects rows until the end of the event loop iteration."""

    def __init__(self) -> None:
        self.waiting: list[tuple[list[float], asyncio.Future[list[float]]]] = []
        self.armed = False

    def submit(self, row: list[float]) -> asyncio.Future[list[float]]:
        """Queue a row; return a future of its outputs."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[float]] = loop.create_future()
        self.waiting.append((row, future))
        if not self.armed:
            self.armed = True
            loop.call_soon(self.flush, loop)
        return future

    def flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run one batch. The remaining rows run in the next iteration."""
        batch, self.waiting = self.waiting[:LARGEST_BATCH], self.waiting[LARGEST_BATCH:]
        self.armed = bool(self.waiting)
        if self.armed:
            loop.call_soon(self.flush, loop)
        rows = np.array([row for row, _ in batch], dtype=np.float32)
        outputs = session.run(None, {input_name: rows})[0].tolist()
        for (_, future), output in zip(batch, outputs, strict=True):
            if not future.done():
                future.set_result(output)


batcher = Batcher()


async def app(_scope: Message, receive: Receive, send: Send) -> None:
    """Answer one request. Its body is one row."""
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    outputs = await batcher.submit(orjson.loads(body)["inputs"])
    text = orjson.dumps({"outputs": outputs})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})
