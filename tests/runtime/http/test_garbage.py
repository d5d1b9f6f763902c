"""An answered request leaves no reference cycles, because the passes of the garbage collector delay responses."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any, cast

import pytest

from runtime.errors import ScalezeroError
from runtime.http.connection import VersionDetector
from runtime.http.exchange import Exchange
from runtime.http.limits import Limits
from runtime.http.messages import Answer, Request
from runtime.http.server import Server
from tests.runtime.http.asgi_server import ONE
from tests.runtime.http.frames import ACK, PREFACE, SETTINGS, ask, frame
from tests.runtime.http.recorder import Recorder


class Watching:
    """Answers in a later turn of the loop, and sets `on_cancel`."""

    def admit(self, request: Request) -> bool:  # noqa: ARG002 - the signature of an application
        """Admit every request, none as a stream."""
        return False

    def begin(self, exchange: Exchange) -> None:
        exchange.on_cancel = lambda: exchange
        asyncio.get_running_loop().call_soon(exchange.respond, Answer(200, exchange.request.body, []))

    def refuse(self, fault: ScalezeroError, _: Request | None) -> Answer:
        return Answer(400, fault.message.encode(), [])


def http11() -> Iterator[bytes]:
    return repeat(ONE)


def http2() -> Iterator[bytes]:
    yield PREFACE + frame(SETTINGS, flags=ACK)
    for stream in range(1, 1000, 2):
        yield ask("/", stream=stream)


@pytest.mark.parametrize("version", [http11, http2], ids=["HTTP/1.1", "HTTP/2"])
def test_an_answered_request_leaves_no_reference_cycle(version: Callable[[], Iterator[bytes]]) -> None:
    connection: Any = None

    async def serve(requests: Iterator[bytes], number: int) -> None:
        connection.data_received(next(requests))
        for _ in range(number):
            connection.data_received(next(requests))
            for _ in range(3):
                await asyncio.sleep(0)

    async def garbage() -> int:
        nonlocal connection
        server = Server(cast("Any", Watching()), Limits(body=1000, buffered=1000))
        detector = VersionDetector(server)
        transport = Recorder()
        detector.connection_made(transport)
        requests = version()
        detector.data_received(next(requests))
        connection = transport.get_protocol()
        await serve(requests, 10)  # creates what is created only once
        gc.collect()
        gc.disable()
        try:
            await serve(requests, 50)
            return gc.collect()
        finally:
            gc.enable()

    assert asyncio.run(garbage()) == 0
