"""Limits of memory, connections and time over HTTP/1.1."""

import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from tests.runtime.http.asgi_server import LIMITS, Running, request, running
from tests.waiting import DEADLINE, eventually

SMALL = LIMITS._replace(head=4096, body=100_000, buffered=150_000, head_time=60, body_time=60, write_time=60)
SHORT = SMALL._replace(head_time=1, body_time=1, body_rate=1e6, write_time=0.5)
HOST = b"GET /direct HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
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
def test_an_invalid_request_gets_a_json_error_and_the_connection_closes(
    limited: Running, raw: bytes, status: int, code: str
) -> None:
    check_refusal(limited, raw, status, code)


@pytest.mark.parametrize("raw", [b"GET /dir", request(body=b"0123")[:-1]], ids=["head", "body"])
def test_a_late_request_gets_a_json_error_and_the_connection_closes(impatient: Running, raw: bytes) -> None:
    check_refusal(impatient, raw, 408, "request_timeout")


def check_refusal(server: Running, raw: bytes, status: int, code: str) -> None:
    """Check the answer to an invalid request, and that the server then answers another one."""
    head, _, body = server.send_raw(raw).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert json.loads(body)["error"]["code"] == code
    assert server.alive()
    assert server.server.budget.used == 0


@pytest.fixture(scope="module")
def limited() -> Iterator[Running]:
    with running(SMALL) as server:
        yield server


@pytest.fixture(scope="module")
def impatient() -> Iterator[Running]:
    with running(SHORT) as server:
        yield server


@pytest.mark.parametrize("tail", [b"1;" + b"e" * 1000 + b"\r\nx\r\n", b"0\r\n" + b"t: 1\r\n" * 1000])
def test_chunk_extensions_and_trailers_are_limited(limited: Running, tail: bytes) -> None:
    with closing(limited.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(HOST + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(5):
            time.sleep(0.02)
            connection.sendall(tail)
            tail = tail.removeprefix(b"0\r\n")
        assert answers.readline().startswith(b"HTTP/1.1 400")


def test_chunks_of_one_byte_are_accepted(limited: Running) -> None:
    with closing(limited.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(HOST + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        for _ in range(10):
            connection.sendall(b"1\r\nx\r\n" * 1000)
        connection.sendall(b"0\r\n\r\n")
        assert answers.read().endswith(b"direct")


def test_an_unread_response_is_aborted(impatient: Running) -> None:
    with closing(impatient.connect()) as connection:
        connection.sendall(request("/endless"))
        assert impatient.application.disconnected.wait(DEADLINE)


def test_bodies_beyond_the_budget_are_refused_until_it_is_released(limited: Running) -> None:
    unfinished = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 90001\r\n\r\n" + bytes(90_000)
    with closing(limited.connect()) as connection:
        connection.sendall(unfinished)
        eventually(lambda: limited.server.budget.used == 90_000)
        answer = limited.send_raw(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n" + bytes(90_000))
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in answer
    eventually(lambda: limited.server.budget.used == 0)


def test_a_request_can_follow_a_pipelined_one_with_a_large_body(limited: Running) -> None:
    """The bytes of the first body do not count in the size of the next head."""
    last = request(body=b"x", extra="connection: close\r\n")
    with closing(limited.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request(body=bytes(90_000)) + last[:20])
        time.sleep(0.05)
        connection.sendall(last[20:])
        assert answers.read().count(b"HTTP/1.1 200") == 2


def test_100_continue_is_sent_after_the_earlier_responses(limited: Running) -> None:
    raw = b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
    with closing(limited.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/direct") + request("/unread") + raw)
        seen = b""
        while b"100 Continue\r\n\r\n" not in seen:
            seen += answers.readline()
        assert seen.count(b"HTTP/1.1 200") == 2
        connection.sendall(b"ok")
        assert answers.read().endswith(b'"ok"]')


def test_an_exception_of_the_application_is_answered_with_500(limited: Running) -> None:
    assert limited.send_raw(request("/raises", extra="connection: close\r\n")).startswith(b"HTTP/1.1 500")
    assert limited.alive()


def test_incomplete_requests_are_evicted_for_new_connections() -> None:
    with running(LIMITS._replace(connections=50)) as server, ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(closing(server.connect()))
            connection.sendall(b"GET / HTTP" if number % 2 else request(body=b"0123")[:-1])
        assert server.alive()
        eventually(lambda: len(server.server.connections) <= 50)


def test_in_shutdown_a_pipelined_request_is_answered_with_connection_close() -> None:
    with running() as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/held"))
        eventually(lambda: server.application.calls == 1)
        server.shut_down()
        eventually(lambda: server.server.closing)
        connection.sendall(request("/direct", b"x"))
        eventually(lambda: server.server.budget.used == 1)  # it is read
        server.application.release.set()
        raw = answers.read()
        assert raw.count(b"HTTP/1.1 200") == 2
        assert raw.endswith(b"direct")
        assert raw.count(b"connection: close") == 1


def test_a_request_not_answered_within_the_grace_period_gets_503() -> None:
    with running() as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/until_disconnect"))
        eventually(lambda: server.application.calls == 1)
        server.shut_down(1.2)
        raw = answers.read()
        assert raw.startswith(b"HTTP/1.1 503")
        assert b"shutting_down" in raw
        eventually(server.ended)


@pytest.mark.parametrize("seed", range(20))
def test_the_budget_is_fully_released_after_any_disconnect(limited: Running, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a reproducible sequence
    with ExitStack() as stack:
        for _ in range(10):
            connection = stack.enter_context(closing(limited.connect()))
            raw = b"".join(
                request(rng.choice(["/direct", "/echo", "/unread"]), bytes(rng.randrange(60_000)))
                for _ in range(rng.randrange(1, 5))
            )
            with suppress(ConnectionError):
                connection.sendall(raw[: rng.randrange(len(raw) + 1)])
    eventually(lambda: limited.server.budget.used == 0)


def test_all_pipelined_requests_are_answered_before_connection_close_for_a_slow_reader() -> None:
    """The last head has connection: close, while the first response is still unread."""
    with running() as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/big") * 200 + request("/direct", extra="connection: close\r\n"))
        eventually(lambda: any(each.writable for each in server.server.connections))
        raw = answers.read()
        assert raw.count(b"HTTP/1.1 200") == 201
        assert raw.endswith(b"direct")
