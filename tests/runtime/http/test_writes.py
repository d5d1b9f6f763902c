"""How an answer is written: whole answers at once, and nothing to a client that has left."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from runtime.errors import ScalezeroError
from runtime.http.connection import Greeting
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
    """Keeps the exchanges, so that the test answers them when it wants to."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def admit(self, _: Request) -> bool:
        """Take every head, none as a stream's."""
        return False

    def begin(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def refuse(self, fault: ScalezeroError, _: Request | None) -> Answer:
        return Answer(400, fault.message.encode(), [])


Connected = Callable[[Held, "Bare", Recorder], Awaitable[None]]


class Bare:
    """A connection without a socket. It greets a client of HTTP/2 before anything is recorded."""

    def __init__(self, application: Held, recorder: Recorder, *, http2: bool) -> None:
        server = Server(cast("Any", application), Limits(body=1000, buffered=1000))
        self._recorder = recorder
        greeting = Greeting(server)
        greeting.connection_made(recorder)
        greeting.data_received(PREFACE if http2 else b"\r\n")
        recorder.writes.clear()

    def receive(self, data: bytes) -> None:
        cast("asyncio.Protocol", self._recorder.get_protocol()).data_received(data)

    def leave(self) -> None:
        self._recorder.get_protocol().connection_lost(None)


def served(test: Connected, *, http2: bool) -> None:
    async def serve() -> None:
        application, recorder = Held(), Recorder()
        await test(application, Bare(application, recorder, http2=http2), recorder)

    asyncio.run(serve())


both = pytest.mark.parametrize(("http2", "asked"), [(False, OVER_1), (True, OVER_2)], ids=["HTTP/1.1", "HTTP/2"])


@both
def test_a_whole_answer_is_one_write(http2: bool, asked: bytes) -> None:  # noqa: FBT001 - as above
    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(asked)
        application.exchanges[0].respond(WHOLE)
        await asyncio.sleep(0)
        assert len(recorder.writes) == 1
        assert b"x" * 10_000 in recorder.written

    served(test, http2=http2)


@pytest.mark.parametrize(("answers", "writes"), [(3, 1), (8, 2), (32, 4), (100, 6)])
def test_answers_of_one_turn_of_the_loop_share_writes_over_http_2(answers: int, writes: int) -> None:
    """Half of those under way leave at a time, and four at least: the client reads them while the rest are made."""

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
def test_nothing_is_written_after_the_client_has_left(http2: bool, asked: bytes, begun: bool) -> None:  # noqa: FBT001 - as above
    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(asked)
        (exchange,) = application.exchanges
        if begun:
            exchange.write_head(200, [], length=None)
            await asyncio.sleep(0)
        told: list[bool] = []
        exchange.on_gone = lambda: told.append(True)
        connection.leave()
        recorder.writes.clear()
        exchange.respond(WHOLE)
        exchange.write_piece(b"piece")
        exchange.end_badly()
        await asyncio.sleep(0.01)
        assert recorder.writes == []
        assert told == [True]

    served(test, http2=http2)


def test_a_stream_that_is_reset_gets_nothing_more_and_its_neighbour_all() -> None:
    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(OVER_2 + ask("/", stream=3) + frame(3, (8).to_bytes(4, "big"), stream=1))
        for exchange in application.exchanges:
            exchange.respond(WHOLE)
        await asyncio.sleep(0)
        assert {stream for kind, stream in frames(recorder.written) if kind in {0, 1}} == {3}

    served(test, http2=True)


def test_pieces_end_where_the_client_leaves_between_them() -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"piece"

    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(OVER_1)
        application.exchanges[0].respond(Answer(200, pieces(), []))
        async with asyncio.timeout(10):
            while len(made) < 3:  # noqa: ASYNC110 - the pieces tell no event
                await asyncio.sleep(0)
        connection.leave()
        before = len(recorder.writes)
        await asyncio.sleep(0.01)
        assert len(recorder.writes) == before
        assert len(made) < 10

    served(test, http2=False)


def test_a_body_that_is_not_whole_is_not_answered_when_the_client_leaves() -> None:
    async def test(application: Held, connection: Bare, recorder: Recorder) -> None:
        connection.receive(ask("/", stream=1, flags=END_HEADERS))
        connection.leave()
        await asyncio.sleep(0)
        assert application.exchanges == []
        assert recorder.writes == []

    served(test, http2=True)


def frames(raw: bytes) -> Iterator[tuple[int, int]]:
    """Kind and stream of each frame."""
    while raw:
        yield raw[3], int.from_bytes(raw[5:9], "big")
        raw = raw[9 + int.from_bytes(raw[:3], "big") :]
