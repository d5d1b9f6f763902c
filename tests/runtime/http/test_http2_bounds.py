"""Limits of memory and time over HTTP/2, and isolation of its clients."""

import random
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.runtime.http.asgi_server import LIMITS, Running, running
from tests.runtime.http.frames import ACK, HEADERS, PING, PREFACE, SETTINGS, ask, frame
from tests.runtime.http.h2_client import calling
from tests.waiting import eventually

INCOMPLETE = {
    "a head without its CONTINUATION": frame(HEADERS, b"\x82", stream=2**20 + 1),
    "a frame without its payload": frame(HEADERS, bytes(100), stream=2**20 + 1)[:9],
    "a part of a frame header": b"\0\0",
    "a PING without its payload": frame(PING, bytes(8), flags=ACK)[:9],
}


@pytest.fixture(scope="module")
def limited() -> Iterator[Running]:
    with running(LIMITS._replace(head=4096, body_time=0.3, body_rate=1e6, write_time=0.5)) as server:
        yield server


def test_a_head_above_the_limit_is_refused_on_its_stream(limited: Running) -> None:
    with calling(limited.port) as caller:
        assert caller.answer(caller.ask("/direct", cookies=["x" * 5000])).status == 431
        assert caller.answer(caller.ask("/direct")).body == b"direct"
        assert caller.goaway == []


def test_a_late_body_is_refused_on_its_stream(limited: Running) -> None:
    with calling(limited.port) as caller:
        assert caller.answer(caller.ask("/echo", b"x", end=False)).status == 408
        assert caller.answer(caller.ask("/direct")).body == b"direct"
    eventually(lambda: limited.server.budget.used == 0)


def test_an_unread_response_of_any_size_is_reset(limited: Running) -> None:
    with calling(limited.port, window=0, credit=False) as caller:
        assert caller.answer(caller.ask("/direct")).reset is not None


@pytest.mark.parametrize("part", INCOMPLETE.values(), ids=INCOMPLETE)
@pytest.mark.parametrize("together", [True, False])
def test_an_incomplete_frame_after_a_request_closes_the_connection(part: bytes, together: bool) -> None:  # noqa: FBT001 - a parameter of the table
    first = PREFACE + ask("/direct", stream=1)
    with running(LIMITS._replace(head_time=0.3)) as server, closing(server.connect()) as connection:
        connection.sendall(first + part if together else first)
        raw = b""
        while b"direct" not in raw:
            raw += connection.recv(65536)
        if not together:
            connection.sendall(part)
        while connection.recv(65536):
            pass


def test_the_timeout_of_a_head_starts_when_all_requests_are_answered() -> None:
    with running(LIMITS._replace(head_time=0.1)) as server, closing(server.connect()) as connection:
        connection.sendall(PREFACE + ask("/slow", stream=1) + INCOMPLETE["a head without its CONTINUATION"])
        assert b"slow" in connection.makefile("rb").read()


def test_an_idle_connection_stays_open_after_a_request() -> None:
    with running(LIMITS._replace(head_time=0.6)) as server, calling(server.port) as caller:
        for _ in range(3):
            assert caller.answer(caller.ask("/direct")).body == b"direct"
            time.sleep(1.2)  # a head that is not complete for this time would close the connection
            caller.h2.ping(b"idle but")
            caller.flush()
        assert caller.goaway == []


def test_a_connection_without_requests_is_closed_despite_pings() -> None:
    with running(LIMITS._replace(head_time=0.3)) as server, calling(server.port) as caller:
        while not caller.closed:
            with suppress(BrokenPipeError, ConnectionResetError):
                caller.h2.ping(b"idle but")
                caller.flush()
            caller.read()


@pytest.mark.parametrize("seed", range(20))
def test_random_frames_do_not_affect_other_connections(limited: Running, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a reproducible sequence
    with closing(limited.connect()) as connection, suppress(ConnectionError):
        connection.sendall(PREFACE)
        for _ in range(50):
            payload = rng.randbytes(rng.randrange(64))
            kind, flags, stream = rng.randrange(11), rng.randrange(64), rng.randrange(9)
            connection.sendall(frame(kind, payload, flags=flags, stream=stream))
        time.sleep(0.01)
    assert limited.alive()
    eventually(lambda: limited.server.budget.used == 0)


def test_incomplete_bodies_of_one_connection_are_limited() -> None:
    """The limit is twice the largest body, so that one connection cannot use the whole budget."""
    limits = LIMITS._replace(body=100_000, buffered=10**6)
    with running(limits) as server, calling(server.port) as greedy, calling(server.port) as other:
        incomplete = [greedy.ask("/echo", bytes(90_000), end=False) for _ in range(2)]
        eventually(lambda: server.server.budget.used == 180_000)
        assert greedy.answer(greedy.ask("/echo", bytes(90_000), end=False)).status == 503
        assert other.answer(other.ask("/echo", bytes(90_000))).status == 200
        for stream in incomplete:
            greedy.send(stream, b"")
            assert greedy.answer(stream).status == 200
        assert greedy.answer(greedy.ask("/echo", bytes(90_000))).status == 200
        assert server.faults == ["overloaded"]
        eventually(lambda: server.server.budget.used == 0)


@pytest.mark.parametrize("length", [1, 5])
def test_a_body_that_differs_from_its_content_length_resets_its_stream(limited: Running, length: int) -> None:
    """RFC 9113, 8.1.1: the request is malformed. The application does not get it."""
    calls = limited.application.calls
    with calling(limited.port) as caller:
        stream = caller.ask("/echo", b"abc", fields=[("content-length", str(length))])
        answer = caller.answer(stream)
        assert (answer.status, answer.reset) == (None, 1)  # PROTOCOL_ERROR
        assert caller.answer(caller.ask("/direct")).body == b"direct"
    assert limited.application.calls == calls
    eventually(lambda: limited.server.budget.used == 0)


def test_streams_above_the_maximum_close_only_their_own_connection(limited: Running) -> None:
    """RFC 9113, 5.1.2: a client that has acknowledged the maximum must not exceed it."""
    with closing(limited.connect()) as connection, connection.makefile("rb") as frames:
        connection.sendall(PREFACE + frame(SETTINGS, flags=ACK))
        connection.sendall(b"".join(ask("/until_disconnect", stream=2 * number + 1) for number in range(1001)))
        assert b"max concurrent streams exceeded" in frames.read()
    assert limited.alive()


def test_a_stream_not_answered_within_the_grace_period_gets_503() -> None:
    with running() as server, calling(server.port) as caller:
        waiting = [caller.ask("/until_disconnect"), caller.ask("/echo", b"part", end=False)]
        eventually(lambda: server.application.calls == 1 and server.server.budget.used == 4)
        server.shut_down(1.2)
        for stream in waiting:
            answer = caller.answer(stream)
            assert answer.status == 503
            assert b"shutting_down" in answer.body
        assert server.server.budget.used == 0
        eventually(server.ended)
