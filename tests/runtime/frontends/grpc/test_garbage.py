"""A stream creates no reference cycles, however it ends, so that its large messages are freed immediately."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

import pytest

from runtime.frontends.application import Application
from runtime.frontends.grpc.framing import frame
from runtime.frontends.grpc.messages import Message, Messages
from runtime.frontends.grpc.pipeline import in_order
from runtime.frontends.grpc.streams import StreamCall, Streaming, StreamMethod
from runtime.http.connection import VersionDetector
from runtime.http.exchange import Exchange
from runtime.http.limits import Limits
from runtime.http.messages import Request
from runtime.http.server import Server
from runtime.service import Service
from runtime.settings import Settings
from tests.runtime.http.frames import ACK, DATA, END_HEADERS, END_STREAM, PREFACE, RST_STREAM, SETTINGS, ask
from tests.runtime.http.frames import frame as http2_frame
from tests.runtime.http.recorder import Recorder

LIMIT = 100_000
Answers = AsyncGenerator[bytes, None]


async def echo(messages: Messages, _: StreamCall) -> Answers:
    async for message in messages:
        yield message


async def fails(messages: Messages, _: StreamCall) -> Answers:
    yield await anext(messages)
    raise ValueError


def pipelined(answer: Callable[[Message], Awaitable[bytes]]) -> StreamMethod:
    return lambda messages, _: in_order(messages, answer, limit=LIMIT)


async def immediate(message: Message) -> bytes:
    return message.frame


async def never(_: Message) -> bytes:
    await asyncio.sleep(60)
    return b""


METHODS = {"echo": echo, "fails": fails, "immediate": pipelined(immediate), "never": pipelined(never)}


class Serving:
    """An application with one streaming method."""

    def __init__(self, method: StreamMethod) -> None:
        self.edge = Application(Service(Settings(model_uri="/m.onnx"), process_started=0.0))
        self.handler = Streaming(method, self.edge, LIMIT)

    def admit(self, _: Request) -> bool:
        return True

    def begin(self, exchange: Exchange) -> None:
        self.handler.direct(exchange)


@pytest.mark.parametrize(
    ("name", "reset"),
    [("echo", False), ("echo", True), ("fails", False), ("immediate", False), ("immediate", True), ("never", True)],
)
def test_a_stream_creates_no_cyclic_garbage(name: str, reset: bool) -> None:  # noqa: FBT001 - a parameter of the test
    async def serve(connection: Any, streams: range) -> None:  # noqa: ANN401 - of HTTP/2
        for stream in streams:
            connection.data_received(ask("/x.Y/Z", stream=stream, flags=END_HEADERS))
            body = frame(b"x" * 1000, gzip=False)
            connection.data_received(http2_frame(DATA, body, stream=stream))
            for _ in range(5):
                await asyncio.sleep(0)
            if reset:
                connection.data_received(http2_frame(RST_STREAM, b"\0\0\0\x08", stream=stream))
            else:
                connection.data_received(http2_frame(DATA, b"", flags=END_STREAM, stream=stream))
            for _ in range(10):
                await asyncio.sleep(0)

    async def garbage() -> int:
        server = Server(cast("Any", Serving(METHODS[name])), Limits(body=LIMIT, buffered=10 * LIMIT))
        greeting = VersionDetector(server)
        transport = Recorder()
        greeting.connection_made(transport)
        greeting.data_received(PREFACE + http2_frame(SETTINGS, flags=ACK))
        connection = transport.get_protocol()
        await serve(connection, range(1, 20, 2))  # so that objects that are created once exist
        gc.collect()
        gc.disable()
        try:
            await serve(connection, range(21, 61, 2))
            return gc.collect()
        finally:
            gc.enable()

    assert asyncio.run(garbage()) == 0
