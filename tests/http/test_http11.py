"""HTTP/1.1 over real sockets: order, framing, limits and times."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

import httpx
import pytest

from tests.http.asgi_server import PIECE, Running, eventually, request, running
from tests.http.process import serving_process


@pytest.fixture(scope="module")
def ours() -> Iterator[Running]:
    with running() as server:
        yield server


def test_the_body_may_be_cut_anywhere(ours: Running) -> None:
    whole = request(body=b"0123456789", extra="content-type: text/plain\r\n")
    with closing(ours.connect()) as connection, connection.makefile("rb") as answers:
        for cut in range(1, len(whole)):
            connection.sendall(whole[:cut])
            time.sleep(0.001)
            connection.sendall(whole[cut:])
            assert body_of(answers).endswith(b'"0123456789"]')


def length_from(answers: BinaryIO) -> int:
    """Read the head of an answer; return the length of the body that follows."""
    length = None
    while (line := answers.readline()) != b"\r\n":
        assert line, "the server closed the connection"
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    assert length is not None
    return length


def body_of(answers: BinaryIO) -> bytes:
    """Read one answer that has a content-length."""
    return answers.read(length_from(answers))


def test_pipelined_requests_are_answered_in_their_order(ours: Running) -> None:
    with closing(ours.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/slow", b"x") + b"".join(request(body=b"%d" % number) for number in range(100)))
        assert body_of(answers) == b"slow"
        assert [json.loads(body_of(answers))[1] for _ in range(100)] == [str(number) for number in range(100)]


def test_what_one_request_sets_in_its_context_the_next_does_not_see(ours: Running) -> None:
    with closing(ours.connect()) as connection, connection.makefile("rb") as answers:
        for _ in range(2):
            connection.sendall(request("/context"))
            assert body_of(answers) == b"False"


def test_a_client_that_does_not_read_holds_up_its_own_requests_only() -> None:
    with running() as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
        connection.sendall(request("/big") * 200)
        calls = -1
        while calls != server.application.calls:
            calls = server.application.calls
            time.sleep(0.3)
        assert calls < 150  # 37 MiB; the kernel's buffers for the two ends take a few
        with closing(server.connect()) as other, other.makefile("rb") as answer_to_other:
            other.sendall(request("/empty"))
            assert body_of(answer_to_other) == b""
        for _ in range(200):
            assert body_of(answers) == PIECE * 4


@pytest.mark.parametrize(
    "pieces",
    [
        [request("/until_left", b"one")],
        [request("/until_left", b"one")[:-1], b"e"],
        [request("/streams_until_left", b"one")],
    ],
    ids=["whole", "in pieces", "while it streams"],
)
def test_the_application_hears_that_its_caller_has_left(pieces: list[bytes]) -> None:
    with running() as server:
        connection = server.connect()
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        eventually(lambda: server.application.calls == 1)
        assert not server.application.told_of_leaving.is_set()
        connection.close()
        assert server.application.told_of_leaving.wait(10)
        eventually(lambda: not server.server.connections)


def test_prior_knowledge_http_2_is_answered_on_the_same_port(ours: Running) -> None:
    with httpx.Client(http1=False, http2=True, base_url=f"http://127.0.0.1:{ours.port}", trust_env=False) as client:
        for number in range(3):
            response = client.post("/echo", content=str(number))
            assert (response.http_version, response.json()[1]) == ("HTTP/2", str(number))


@pytest.mark.parametrize(
    ("path", "begun"),
    [("/slow", b""), ("/slow_stream", b""), ("/slow_stream", b"sl")],
    ids=["whole", "stream", "begun"],
)
def test_a_request_in_flight_at_sigterm_is_answered_and_the_process_exits_with_0(path: str, begun: bytes) -> None:
    with serving_process() as server:
        with closing(server.connect()) as connection:
            connection.sendall(request("/empty") + request(path))
            with connection.makefile("rb") as answers:
                assert body_of(answers) == b""  # it serves, and the slow one has begun
                if begun:
                    length = length_from(answers)
                    assert answers.read(len(begun)) == begun
                server.process.send_signal(signal.SIGTERM)
                assert (answers.read(length - len(begun)) if begun else body_of(answers)) == b"slow"[len(begun) :]
                assert answers.read() == b""
        assert server.process.wait(10) == 0
