"""What no client can do: hold memory, connections or time beyond the limits, over HTTP/1.1."""

import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from tests.runtime.http.asgi_server import LIMITS, Running, eventually, request, running

HASTY = LIMITS._replace(
    head=4096,
    head_time=0.3,
    body_time=0.3,
    body_rate=1e6,
    write_time=0.5,
    keep_alive=30,
    body=100_000,
    buffered=150_000,
)
HOST = b"GET /direct HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"GET /dir", 408, "request_timeout"),
        (request(body=b"0123")[:-1], 408, "request_timeout"),
        (HOST + b"x: " + b"y" * 4096 + b"\r\n\r\n", 431, "headers_too_large"),
        (HOST + b"x: " + b"y" * 200_000, 431, "headers_too_large"),
        (b"GET /" + b"y" * 5000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431, "headers_too_large"),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100001\r\n\r\n",
            413,
            "payload_too_large",
        ),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100001\r\n\r\n" + bytes(2**21), 413, "payload_too_large"),
        (b"\x16\x03\x01\x02\x00", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400, "bad_request"),
        (b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n", 400, "bad_request"),
        (b"GET http://[ HTTP/1.1\r\nhost: x\r\n\r\n", 400, "bad_request"),
        (HOST + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
        (HOST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab", 400, "bad_request"),
        (HOST + b"content-length: -1\r\n\r\n", 400, "bad_request"),
        (HOST + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400, "bad_request"),
        (HOST + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n", 400, "bad_request"),
        (HOST + b"x: a\r\n b\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\nhost: x\n\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400, "bad_request"),
        (HOST + b"x: a\0b\r\n\r\n", 400, "bad_request"),
    ],
)
def test_what_cannot_become_a_request_is_told_in_json_and_closed(
    hasty: Running, raw: bytes, status: int, code: str
) -> None:
    answer = hasty.say(raw)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert json.loads(body)["error"]["code"] == code
    assert hasty.alive()
    assert hasty.server.budget.used == 0


@pytest.fixture(scope="module")
def hasty() -> Iterator[Running]:
    with running(HASTY) as server:
        yield server


@pytest.mark.parametrize("tail", [b"1;" + b"e" * 1000 + b"\r\nx\r\n", b"0\r\n" + b"t: 1\r\n" * 1000])
def test_chunk_extensions_and_trailers_have_an_end(hasty: Running, tail: bytes) -> None:
    with closing(hasty.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(HOST + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(5):
            time.sleep(0.02)
            connection.sendall(tail)
            tail = tail.removeprefix(b"0\r\n")
        assert answers.readline().startswith(b"HTTP/1.1 400")


def test_chunks_of_one_byte_are_no_attack(hasty: Running) -> None:
    with closing(hasty.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(HOST + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        for _ in range(10):
            connection.sendall(b"1\r\nx\r\n" * 1000)
        connection.sendall(b"0\r\n\r\n")
        assert answers.read().endswith(b"direct")


def test_an_answer_that_nobody_reads_is_given_up(hasty: Running) -> None:
    with closing(hasty.connect()) as connection:
        connection.sendall(request("/never_ends_until_left"))
        assert hasty.application.told_of_leaving.wait(10)


def test_bodies_beyond_the_budget_of_all_are_refused_for_a_while(hasty: Running) -> None:
    held = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 90001\r\n\r\n" + bytes(90_000)
    with closing(hasty.connect()) as connection:
        connection.sendall(held)
        eventually(lambda: hasty.server.budget.used == 90_000)
        answer = hasty.say(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n" + bytes(90_000))
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in answer
    eventually(lambda: hasty.server.budget.used == 0)


def test_a_body_may_come_behind_a_pipelined_one_whatever_their_size(hasty: Running) -> None:
    """A read that ends in the next head counts none of the bytes before it."""
    last = request(body=b"x", extra="connection: close\r\n")
    with closing(hasty.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request(body=bytes(90_000)) + last[:20])
        time.sleep(0.05)
        connection.sendall(last[20:])
        assert answers.read().count(b"HTTP/1.1 200") == 2


def test_who_expects_100_gets_it_when_the_answers_before_are_written(hasty: Running) -> None:
    raw = b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
    with closing(hasty.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/direct") + request("/unread") + raw)
        seen = b""
        while b"100 Continue\r\n\r\n" not in seen:
            seen += answers.readline()
        assert seen.count(b"HTTP/1.1 200") == 2
        connection.sendall(b"ok")
        assert answers.read().endswith(b'"ok"]')


def test_an_application_that_raises_is_answered_for(hasty: Running) -> None:
    assert hasty.say(request("/raises", extra="connection: close\r\n")).startswith(b"HTTP/1.1 500")
    assert hasty.alive()


def test_half_requests_make_room_for_whole_ones() -> None:
    with running(LIMITS._replace(connections=50)) as server, ExitStack() as held:
        for number in range(200):
            connection = held.enter_context(closing(server.connect()))
            connection.sendall(b"GET / HTTP" if number % 2 else request(body=b"0123")[:-1])
        assert server.alive()
        eventually(lambda: len(server.server.connections) <= 50)


def test_in_shutdown_a_kept_connection_is_answered_and_told_to_close() -> None:
    with running() as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/slow"))
        time.sleep(0.1)
        server.shut_down()
        time.sleep(0.1)
        connection.sendall(request("/direct"))
        raw = answers.read()
        assert raw.count(b"HTTP/1.1 200") == 2
        assert raw.endswith(b"direct")
        assert raw.count(b"connection: close") == 1


def test_who_is_not_answered_within_the_grace_gets_503() -> None:
    with running() as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/until_left"))
        eventually(lambda: server.application.calls == 1)
        began = time.monotonic()
        server.shut_down(1.2)
        raw = answers.read()
        assert raw.startswith(b"HTTP/1.1 503")
        assert b"shutting_down" in raw
        eventually(server.ended)
        assert time.monotonic() - began < 2.4


@pytest.mark.parametrize("seed", range(20))
def test_whatever_clients_do_no_byte_of_the_budget_is_lost(hasty: Running, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible sequence
    with ExitStack() as held:
        for _ in range(10):
            connection = held.enter_context(closing(hasty.connect()))
            raw = b"".join(
                request(chance.choice(["/direct", "/echo", "/unread"]), bytes(chance.randrange(60_000)))
                for _ in range(chance.randrange(1, 5))
            )
            with suppress(ConnectionError):
                connection.sendall(raw[: chance.randrange(len(raw) + 1)])
    eventually(lambda: hasty.server.budget.used == 0)


def test_pipelined_requests_are_all_answered_to_a_slow_reader_that_asks_to_close() -> None:
    """The last head says close while the first answer still waits for its reader."""
    with running() as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/big") * 200 + request("/direct", extra="connection: close\r\n"))
        eventually(lambda: any(each.writable for each in server.server.connections))
        raw = answers.read()
        assert raw.count(b"HTTP/1.1 200") == 201
        assert raw.endswith(b"direct")
