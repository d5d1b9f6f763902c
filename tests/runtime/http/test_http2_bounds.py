"""What no client can do over HTTP/2: lock out others, or hold memory and time beyond the limits."""

import random
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.runtime.http.asgi_server import LIMITS, Running, eventually, running
from tests.runtime.http.frames import ACK, HEADERS, PING, PREFACE, SETTINGS, ask, frame
from tests.runtime.http.h2_client import calling

HALVES = {
    "a head that waits for CONTINUATION": frame(HEADERS, b"\x82", stream=2**20 + 1),
    "a frame without its payload": frame(HEADERS, bytes(100), stream=2**20 + 1)[:9],
    "a part of a frame's head": b"\0\0",
    "a PING without its payload": frame(PING, bytes(8), flags=ACK)[:9],
}


@pytest.fixture(scope="module")
def hasty() -> Iterator[Running]:
    with running(LIMITS._replace(head=4096, body_time=0.3, body_rate=1e6, write_time=0.5)) as server:
        yield server


def test_a_head_beyond_the_limit_is_refused_on_its_stream(hasty: Running) -> None:
    with calling(hasty.port) as caller:
        assert caller.answer(caller.ask("/direct", cookies=["x" * 5000])).status == 431
        assert caller.answer(caller.ask("/direct")).body == b"direct"
        assert caller.goaway == []


def test_a_body_that_does_not_come_is_refused_on_its_stream(hasty: Running) -> None:
    with calling(hasty.port) as caller:
        assert caller.answer(caller.ask("/echo", b"x", end=False)).status == 408
        assert caller.answer(caller.ask("/direct")).body == b"direct"
    eventually(lambda: hasty.server.budget.used == 0)


def test_an_answer_that_nobody_reads_is_given_up_however_short(hasty: Running) -> None:
    with calling(hasty.port, window=0, credit=False) as caller:
        assert caller.answer(caller.ask("/direct")).reset is not None


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("together", [True, False])
def test_what_stays_half_sent_after_a_request_ends_its_connection(half: bytes, together: bool) -> None:  # noqa: FBT001 - a parameter of the table
    first = PREFACE + ask("/direct", stream=1)
    with running(LIMITS._replace(head_time=0.3)) as server, closing(server.connect()) as connection:
        connection.sendall(first + half if together else first)
        raw = b""
        while b"direct" not in raw:
            raw += connection.recv(65536)
        if not together:
            connection.sendall(half)
        while connection.recv(65536):
            pass


def test_a_head_may_take_long_while_a_request_is_answered() -> None:
    with running(LIMITS._replace(head_time=0.1)) as server, closing(server.connect()) as connection:
        connection.sendall(PREFACE + ask("/slow", stream=1) + HALVES["a head that waits for CONTINUATION"])
        assert b"slow" in connection.makefile("rb").read()


def test_a_connection_that_is_idle_after_a_request_stays() -> None:
    with running(LIMITS._replace(head_time=0.1)) as server, calling(server.port) as caller:
        for _ in range(3):
            assert caller.answer(caller.ask("/direct")).body == b"direct"
            time.sleep(1.2)  # more than two ticks of the server's clock
            caller.h2.ping(b"idle but")
            caller.flush()
        assert caller.goaway == []


def test_a_connection_that_never_asks_is_closed_whatever_else_it_says() -> None:
    with running(LIMITS._replace(head_time=0.3)) as server, calling(server.port) as caller:
        while not caller.closed:
            with suppress(BrokenPipeError, ConnectionResetError):
                caller.h2.ping(b"idle but")
                caller.flush()
            caller.read()


@pytest.mark.parametrize("seed", range(20))
def test_random_frames_harm_nobody_else(hasty: Running, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible sequence
    with closing(hasty.connect()) as connection, suppress(ConnectionError):
        connection.sendall(PREFACE)
        for _ in range(50):
            payload = chance.randbytes(chance.randrange(64))
            kind, flags, stream = chance.randrange(11), chance.randrange(64), chance.randrange(9)
            connection.sendall(frame(kind, payload, flags=flags, stream=stream))
        time.sleep(0.01)
    assert hasty.alive()
    eventually(lambda: hasty.server.budget.used == 0)


def test_unfinished_bodies_of_one_connection_have_a_budget_of_their_own() -> None:
    """Two of the largest size, so that one connection cannot take the budget of all."""
    limits = LIMITS._replace(body=100_000, buffered=10**6)
    with running(limits) as server, calling(server.port) as greedy, calling(server.port) as other:
        held = [greedy.ask("/echo", bytes(90_000), end=False) for _ in range(2)]
        eventually(lambda: server.server.budget.used == 180_000)
        assert greedy.answer(greedy.ask("/echo", bytes(90_000), end=False)).status == 503
        assert other.answer(other.ask("/echo", bytes(90_000))).status == 200
        for stream in held:
            greedy.send(stream, b"")
            assert greedy.answer(stream).status == 200
        assert greedy.answer(greedy.ask("/echo", bytes(90_000))).status == 200
        assert server.faults == ["overloaded"]
        eventually(lambda: server.server.budget.used == 0)


@pytest.mark.parametrize("length", [1, 5])
def test_a_body_of_another_length_than_its_head_says_is_refused_on_its_stream(hasty: Running, length: int) -> None:
    """RFC 9113, 8.1.1: as malformed, before the application sees it."""
    calls = hasty.application.calls
    with calling(hasty.port) as caller:
        stream = caller.ask("/echo", b"abc", fields=[("content-length", str(length))])
        answer = caller.answer(stream)
        assert (answer.status, answer.reset) == (None, 1)  # PROTOCOL_ERROR
        assert caller.answer(caller.ask("/direct")).body == b"direct"
    assert hasty.application.calls == calls
    eventually(lambda: hasty.server.budget.used == 0)


def test_streams_beyond_the_maximum_end_their_connection_and_no_other(hasty: Running) -> None:
    """RFC 9113, 5.1.2: a client that was told the maximum breaks a rule by them."""
    with closing(hasty.connect()) as connection, connection.makefile("rb") as frames:
        connection.sendall(PREFACE + frame(SETTINGS, flags=ACK))
        connection.sendall(b"".join(ask("/until_left", stream=2 * number + 1) for number in range(1001)))
        assert b"max concurrent streams exceeded" in frames.read()
    assert hasty.alive()


def test_who_is_not_answered_within_the_grace_gets_503_on_its_stream() -> None:
    with running() as server, calling(server.port) as caller:
        waiting = [caller.ask("/until_left"), caller.ask("/echo", b"half", end=False)]
        eventually(lambda: server.application.calls == 1 and server.server.budget.used == 4)
        server.shut_down(1.2)
        for stream in waiting:
            answer = caller.answer(stream)
            assert answer.status == 503
            assert b"shutting_down" in answer.body
        assert server.server.budget.used == 0
        eventually(server.ended)
