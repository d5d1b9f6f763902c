"""The lean HTTP/1.1 over real sockets: what it must keep of uvicorn's, and that it is taken where it should be."""

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from runtime.frontends.http11 import Http, Http11
from tests.frontends.http11_server import CHUNKED, ONE, PIECE, Application, Running, eventually, request, running

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ours() -> Iterator[Running]:
    with running(Http) as server:
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


class Recorder(asyncio.Transport):
    """A transport that keeps what is written, one item for each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def said_to(
    pieces: list[bytes], *, limit: int | None = None, fresh_context: bool = False, leaves: bool = False
) -> tuple[list[bytes], Http11]:
    """What one connection writes when it reads just these pieces, and the connection."""

    async def serve() -> tuple[list[bytes], Http11]:
        config = uvicorn.Config(
            cast("Any", Application()),
            ws="none",
            log_config=None,
            access_log=False,
            limit_concurrency=limit,
            reset_contextvars=fresh_context,
        )
        config.load()
        protocol, transport = Http11(config, ServerState(), {}, asyncio.get_running_loop()), Recorder()
        protocol.connection_made(transport)
        for piece in pieces:
            protocol.data_received(piece)
            await asyncio.sleep(0)
        if leaves:
            protocol.connection_lost(ConnectionResetError())
        while protocol.tasks:
            await asyncio.gather(*protocol.tasks)
        if not leaves:
            protocol.connection_lost(ConnectionResetError())
        return transport.written, protocol

    return asyncio.run(serve())


@given(
    st.lists(st.sampled_from([ONE, CHUNKED, request(method="GET"), request("/uncounted", b"x")]), max_size=4), st.data()
)
def test_answers_do_not_depend_on_how_the_requests_were_cut(requests: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=8))) if raw else []
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) if end > start]
    assert b"".join(said_to(pieces)[0]) == b"".join(said_to([raw])[0] if raw else [])


@pytest.mark.parametrize("path", ["/fails_when_left", "/answers_when_left"])
def test_nothing_is_written_once_the_caller_has_left(path: str) -> None:
    written, protocol = said_to([request(path)], leaves=True)
    assert not written
    assert protocol.server_state.total_requests == 0


@pytest.mark.parametrize("raw", [ONE, CHUNKED, request(method="GET"), request("/empty")])
def test_an_answer_to_a_whole_request_leaves_in_one_write_and_not_through_uvicorns_cycle(raw: bytes) -> None:
    written, protocol = said_to([raw])
    assert len(written) == 1
    assert not protocol.cycle
    assert protocol.server_state.total_requests == 1
    assert protocol.timeout_keep_alive_task is None  # nothing is left behind


@pytest.mark.parametrize(
    "held",
    [
        lambda: said_to([ONE], limit=1),
        lambda: said_to([ONE], fresh_context=True),
        lambda: said_to([request(extra="expect: 100-continue\r\n")]),
        lambda: said_to([request(extra="connection: upgrade\r\nupgrade: websocket\r\n")]),
        lambda: said_to([ONE[:-1], ONE[-1:]]),
    ],
    ids=["concurrency limit", "context for each request", "expect", "upgrade", "body in pieces"],
)
def test_what_is_not_simple_is_left_to_uvicorns_cycle(held: Callable[[], tuple[list[bytes], Http11]]) -> None:
    written, protocol = held()
    assert protocol.cycle
    assert len(written) > 1


def test_a_connection_is_kept_for_the_next_request_and_counted_once(ours: Running) -> None:
    before = ours.server.server_state.total_requests
    with closing(http.client.HTTPConnection("127.0.0.1", ours.port, timeout=10)) as client:
        client.connect()
        mine = client.sock.getsockname()
        for number in range(10):
            client.request("GET", f"/echo/{number}")
            assert f"'/echo/{number}'" in json.loads(client.getresponse().read())[0]
            assert client.sock.getsockname() == mine
        [connection] = (each for each in ours.server.server_state.connections if getattr(each, "client", None) == mine)
        assert not cast("Http11", connection).cycle  # no request was left to uvicorn
    assert ours.server.server_state.total_requests == before + 10
    eventually(lambda: not ours.server.server_state.tasks)


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
    with running(Http) as server, closing(server.connect()) as connection, connection.makefile("rb") as answers:
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
    with running(Http) as server:
        connection = server.connect()
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        eventually(lambda: server.application.calls == 1)
        assert not server.application.told_of_leaving.is_set()
        connection.close()
        assert server.application.told_of_leaving.wait(10)
        eventually(lambda: not server.server.server_state.tasks and not server.server.server_state.connections)


KEEP_ALIVE = 0.4  # seconds; less than what /slow takes


@pytest.fixture(scope="module")
def impatient() -> Iterator[Running]:
    with running(Http, keep_alive=KEEP_ALIVE) as server:
        yield server


@pytest.mark.parametrize(
    "pieces",
    [
        [request("/empty"), request("/empty")],  # the pause begins with the last answer
        [request("/empty"), request("/slow")],  # no request is too slow
        [request("/empty") + request("/slow")],
        [request("/empty"), ONE[:-1], b"", ONE[-1:]],  # half a request is no pause
    ],
    ids=["quick", "slow", "pipelined", "in pieces"],
)
def test_a_connection_is_closed_once_it_was_quiet_for_the_keep_alive_time(
    impatient: Running, pieces: list[bytes]
) -> None:
    with closing(impatient.connect()) as connection, connection.makefile("rb") as answers:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(KEEP_ALIVE * 0.7)
        for _ in range(2):
            body_of(answers)
        answered = time.monotonic()
        assert answers.read() == b""
        assert KEEP_ALIVE * 0.2 < time.monotonic() - answered < KEEP_ALIVE * 8


def test_prior_knowledge_http_2_is_answered_on_the_same_port(ours: Running) -> None:
    with httpx.Client(http1=False, http2=True, base_url=f"http://127.0.0.1:{ours.port}", trust_env=False) as client:
        for number in range(3):
            response = client.post("/echo", content=str(number))
            assert (response.http_version, response.json()[1]) == ("HTTP/2", str(number))


SERVE = """
import socket, types
from runtime.frontends import server
from tests.frontends.test_http11 import Application
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
server.run(Application(), listening, types.SimpleNamespace(settings=types.SimpleNamespace(grace_period=10)))
"""


@pytest.mark.parametrize(
    ("path", "begun"),
    [("/slow", b""), ("/slow_stream", b""), ("/slow_stream", b"sl")],
    ids=["whole", "stream", "begun"],
)
def test_a_request_in_flight_at_sigterm_is_answered_and_the_process_exits_with_0(path: str, begun: bytes) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVE], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
            connection.sendall(request("/empty") + request(path))
            with connection.makefile("rb") as answers:
                assert body_of(answers) == b""  # it serves, and the slow one has begun
                if begun:
                    length = length_from(answers)
                    assert answers.read(len(begun)) == begun
                process.send_signal(signal.SIGTERM)
                assert (answers.read(length - len(begun)) if begun else body_of(answers)) == b"slow"[len(begun) :]
                assert answers.read() == b""
        assert process.wait(10) == 0
