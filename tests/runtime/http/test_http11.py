"""HTTP/1.1 over real sockets: order, framing, limits and timeouts."""

import json
import random
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count, pairwise
from typing import BinaryIO

import httpx
import pytest

from tests.runtime.http.asgi_server import CHUNKED, LIMITS, PIECE, Client, Running, request, running
from tests.runtime.http.process import serving_process
from tests.waiting import DEADLINE, eventually


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Running]:
    with running() as server:
        yield server


def test_a_request_can_arrive_in_two_reads_split_anywhere(shared_server: Running) -> None:
    whole = request(body=b"0123456789", extra="content-type: text/plain\r\n")
    with closing(shared_server.connect()) as connection, connection.makefile("rb") as answers:
        for cut in range(1, len(whole)):
            connection.sendall(whole[:cut])
            time.sleep(0.001)
            connection.sendall(whole[cut:])
            assert body_of(answers).endswith(b'"0123456789"]')


def length_from(answers: BinaryIO) -> int:
    """Read the head of a response. Return the length of its body."""
    length = None
    while (line := answers.readline()) != b"\r\n":
        assert line, "the server closed the connection"
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    assert length is not None
    return length


def body_of(answers: BinaryIO) -> bytes:
    """Read one response with a content-length. Return its body."""
    return answers.read(length_from(answers))


def test_pipelined_requests_are_answered_in_order(shared_server: Running) -> None:
    with closing(shared_server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/slow", b"x") + b"".join(request(body=b"%d" % number) for number in range(100)))
        assert body_of(answers) == b"slow"
        assert [json.loads(body_of(answers))[1] for _ in range(100)] == [str(number) for number in range(100)]


def test_each_request_has_its_own_context(shared_server: Running) -> None:
    with closing(shared_server.connect()) as connection, connection.makefile("rb") as answers:
        for _ in range(2):
            connection.sendall(request("/context"))
            assert body_of(answers) == b"False"


def test_a_client_that_does_not_read_blocks_only_its_own_requests() -> None:
    with running() as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/big") * 200)
        calls = -1
        while calls != server.application.calls:
            calls = server.application.calls
            time.sleep(0.3)
        assert calls < 150  # 37 MiB; the socket buffers of both ends can hold a few MiB
        with closing(server.connect()) as other, other.makefile("rb") as answer_to_other:
            other.sendall(request("/empty"))
            assert body_of(answer_to_other) == b""
        for _ in range(200):
            assert body_of(answers) == PIECE * 4


@pytest.mark.parametrize(
    "pieces",
    [
        [request("/until_disconnect", b"one")],
        [request("/until_disconnect", b"one")[:-1], b"e"],
        [request("/streams_until_disconnect", b"one")],
    ],
    ids=["complete", "in pieces", "during the response"],
)
def test_the_application_is_notified_of_a_disconnect(pieces: list[bytes]) -> None:
    with running() as server:
        connection = server.connect()
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        eventually(lambda: server.application.calls == 1)
        assert not server.application.disconnected.is_set()
        connection.close()
        assert server.application.disconnected.wait(DEADLINE)
        eventually(lambda: not server.server.connections)


def test_http_2_with_prior_knowledge_is_answered_on_the_same_port(shared_server: Running) -> None:
    url = f"http://127.0.0.1:{shared_server.port}"
    with httpx.Client(http1=False, http2=True, base_url=url, trust_env=False, timeout=DEADLINE) as client:
        for number in range(3):
            response = client.post("/echo", content=str(number))
            assert (response.http_version, response.json()[1]) == ("HTTP/2", str(number))


@pytest.mark.parametrize(
    ("path", "begun"),
    [("/slow", b""), ("/slow_stream", b""), ("/slow_stream", b"sl")],
    ids=["whole", "stream", "begun"],
)
def test_an_open_request_at_sigterm_is_answered_and_the_process_exits_with_0(path: str, begun: bytes) -> None:
    with serving_process() as server:
        with closing(server.connect()) as connection:
            connection.sendall(request("/empty") + request(path))
            with connection.makefile("rb") as answers:
                assert body_of(answers) == b""  # the server runs, and the slow request has begun
                if begun:
                    length = length_from(answers)
                    assert answers.read(len(begun)) == begun
                server.process.send_signal(signal.SIGTERM)
                assert (answers.read(length - len(begun)) if begun else body_of(answers)) == b"slow"[len(begun) :]
                assert answers.read() == b""
        assert server.process.wait(DEADLINE) == 0


def without_dates(raw: bytes) -> bytes:
    return re.sub(rb"date: [^\r]*\r\n", b"", raw)


MANY = b"".join(
    [
        request(body=b"0123456789" * 10),
        CHUNKED,
        request("/uncounted"),
        request("/counted_stream", b"x"),
        request("/status/204"),
        request("/big", method="HEAD"),
        request("/direct", version="1.0", extra="connection: keep-alive\r\n"),
        request("/echo/%20?a=b", method="GET", extra="cookie: a=1\r\n"),
        request("/fails"),
        request("/stream", b"two"),
        request("/unread", bytes(1000), extra="connection: close\r\n"),
    ]
)


@pytest.mark.parametrize("seed", range(10))
def test_responses_do_not_depend_on_how_the_requests_are_split(shared_server: Running, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a reproducible sequence
    cuts = sorted(rng.sample(range(1, len(MANY)), rng.randrange(1, 40)))
    with closing(shared_server.connect()) as connection, connection.makefile("rb") as answers:
        for start, end in pairwise([0, *cuts, len(MANY)]):
            connection.sendall(MANY[start:end])
            time.sleep(0.001)
        assert without_dates(answers.read()) == without_dates(shared_server.send_raw(MANY))


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /direct HTTP/1.1\r\nhost: x\r\n", 200),
        (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n", 200),
    ],
    ids=["without a body", "with a body"],
)
def test_an_upgrade_to_h2c_is_ignored_and_the_connection_closes(
    shared_server: Running, raw: bytes, status: int
) -> None:
    """RFC 9110, 7.8: a server may ignore it. The client may continue in HTTP/2, so nothing more is read."""
    offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n"
    answer = shared_server.send_raw(raw + offer + (b"ok" if b"length" in raw else b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close\r\n" in answer


def test_connect_opens_no_tunnel(shared_server: Running) -> None:
    """RFC 9110, 9.3.6: the application answers, and nothing is read after the head."""
    before = shared_server.application.calls
    answer = shared_server.send_raw(b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n" + request())
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close\r\n" in answer
    assert shared_server.application.calls == before + 1


def test_options_can_request_the_whole_server(shared_server: Running) -> None:
    """RFC 9110, 9.3.7."""
    answer = shared_server.send_raw(b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"('path', '*')" in answer


def test_an_idle_connection_is_closed_after_keep_alive() -> None:
    with (
        running(LIMITS._replace(keep_alive=2.0)) as server,
        closing(server.connect()) as connection,
        connection.makefile("rb") as answers,
    ):
        for _ in range(3):
            asked = time.monotonic()
            connection.sendall(request("/empty"))
            assert body_of(answers) == b""
        assert answers.read() == b""
        assert time.monotonic() - asked > 1.4  # the server checks deadlines every 0.5 s


def test_16_clients_with_kept_connections_lose_no_request_in_shutdown() -> None:
    """Each client sends requests until a response has connection: close. Every request is answered."""
    answered: set[int] = set()

    def ask_until_close(client: int) -> int:
        with closing(server.connect()) as connection, connection.makefile("rb") as answers:
            for number in count(1):
                connection.sendall(request("/direct"))
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = answers.readline()
                    assert line, "a request was lost"
                    head += line
                assert answers.read(6) == b"direct"
                answered.add(client)
                if b"connection: close" in head:
                    return number
        raise AssertionError

    # A client may wait for a CPU before its next request.
    with running(LIMITS._replace(shutdown_idle=DEADLINE)) as server, ThreadPoolExecutor(16) as callers:
        asked = callers.map(ask_until_close, range(16))
        eventually(lambda: len(answered) == 16)
        server.shut_down(grace=DEADLINE)
        assert all(number > 1 for number in asked)
        eventually(server.ended)


def test_the_second_signal_kills_the_process_at_once() -> None:
    with serving_process(grace=2 * DEADLINE) as server, closing(server.connect()) as connection:
        connection.sendall(request("/empty") + request("/until_disconnect"))
        with connection.makefile("rb") as answers:
            assert body_of(answers) == b""
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: not accepts(server))
            assert server.process.poll() is None, "the first signal waits for the answer"
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(DEADLINE) == -signal.SIGTERM


def accepts(server: Client) -> bool:
    try:
        server.connect().close()
    except ConnectionError:
        return False
    return True
