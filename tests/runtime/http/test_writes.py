"""Writes of responses: complete ones in one write, and none after a disconnect."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from runtime.errors import ScalezeroError
from runtime.http.connection import VersionDetector
from runtime.http.exchange import Exchange
from runtime.http.limits import Limits
from runtime.http.messages import Answer, Request
from runtime.http.server import Server
from tests.runtime.http.asgi_server import request
from tests.runtime.http.frames import END_HEADERS, PREFACE, ask, frame
from tests.runtime.http.recorder import Recorder

WHOLE = Answer(200, b"x" * 10_000, [(b"content-type", b"text/plain")])
OVER_1, OVER_2 = request("/"), ask("/", stream=1)


class Held:
    """Keeps the exchanges, so that the test decides when to answer."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def admit(self, _: Request) -> bool:
        """Admit every request, none as a stream."""
        return False

    def begin(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def refuse(self, fault: ScalezeroError, _: Request | None) -> Answer:
        return Answer(400, fault.message.encode(), [])


Connected = Callable[[Held, "Bare", Recorder], Awaitable[None]]


class Bare:
    """A connection without a socket. Writes are recorded after the server's HTTP/2 settings."""

    def __init__(self, application: Held, recorder: Recorder, *, http2: bool) -> None:
        server = Server(cast("Any", application), Limits(body=1000, buffered=1000))
        self._recorder = recorder
        detector = VersionDetector(server)
        detector.connection_made(recorder)
        detector.data_received(PREFACE if http2 else b"\r\n")
        recorder.writes.clear()

    def receive(self, data: bytes) -> None:
        cast("asyncio.Protocol", self._recorder.get_protocol()).data_received(data)

    def disconnect(self) -> None:
        self._recorder.get_protocol().connection_lost(None)


def served(test: Connected, *, http2: bool) -> None:
    async def serve() -> None:
        application, recorder = Held(), Recorder()
        await test(application, Bare(application, recorder, http2=http2), recorder)

    asyncio.run(serve())


both = pytest.mark.parametrize(("http2", "raw"), [(False, OVER_1), (True, OVER_2)], ids=["HTTP/1.1", "HTTP/2"])


@both
def test_a_complete_response_is_one_write(http2: bool, raw: bytes) -> None:  # noqa: FBT001 - as above
    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(raw)
        application.exchanges[0].respond(WHOLE)
        await asyncio.sleep(0)
        assert len(recorder.writes) == 1
        assert b"x" * 10_000 in recorder.written

    served(test, http2=http2)


@pytest.mark.parametrize(("answers", "writes"), [(3, 1), (8, 2), (32, 4), (100, 6)])
def test_responses_of_one_turn_of_the_loop_share_writes_over_http_2(answers: int, writes: int) -> None:
    """A write has half of the open responses, and at least four. The client reads them while others are made."""

    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(b"".join(ask("/", stream=2 * number + 1) for number in range(answers)))
        for exchange in application.exchanges:
            exchange.respond(Answer(200, b"<%d>" % id(exchange), [], [(b"grpc-status", b"0")]))
        await asyncio.sleep(0)
        assert len(recorder.writes) == writes
        assert all(b"<%d>" % id(exchange) in recorder.written for exchange in application.exchanges)

    served(test, http2=True)


@both
@pytest.mark.parametrize("begun", [False, True])
def test_nothing_is_written_after_a_disconnect(http2: bool, raw: bytes, begun: bool) -> None:  # noqa: FBT001 - as above
    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(raw)
        (exchange,) = application.exchanges
        if begun:
            exchange.write_head(200, [], length=None)
            await asyncio.sleep(0)
        cancelled: list[bool] = []
        exchange.on_cancel = lambda: cancelled.append(True)
        connection.disconnect()
        recorder.writes.clear()
        exchange.respond(WHOLE)
        exchange.write_piece(b"piece")
        exchange.abort()
        await asyncio.sleep(0.01)
        assert recorder.writes == []
        assert cancelled == [True]

    served(test, http2=http2)


def test_a_reset_stream_gets_no_response_and_another_stream_does() -> None:
    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(OVER_2 + ask("/", stream=3) + frame(3, (8).to_bytes(4, "big"), stream=1))
        for exchange in application.exchanges:
            exchange.respond(WHOLE)
        await asyncio.sleep(0)
        assert {stream for kind, stream in frames(recorder.written) if kind in {0, 1}} == {3}

    served(test, http2=True)


def test_no_pieces_are_made_after_a_disconnect() -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"piece"

    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(OVER_1)
        application.exchanges[0].respond(Answer(200, pieces(), []))
        async with asyncio.timeout(10):
            while len(made) < 3:  # noqa: ASYNC110 - the pieces have no event
                await asyncio.sleep(0)
        connection.disconnect()
        before = len(recorder.writes)
        await asyncio.sleep(0.01)
        assert len(recorder.writes) == before
        assert len(made) < 10

    served(test, http2=False)


def test_an_incomplete_request_is_not_answered_after_a_disconnect() -> None:
    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(ask("/", stream=1, flags=END_HEADERS))
        connection.disconnect()
        await asyncio.sleep(0)
        assert application.exchanges == []
        assert recorder.writes == []

    served(test, http2=True)


def frames(raw: bytes) -> Iterator[tuple[int, int]]:
    """Return the type and the stream of each frame."""
    while raw:
        yield raw[3], int.from_bytes(raw[5:9], "big")
        raw = raw[9 + int.from_bytes(raw[:3], "big") :]
