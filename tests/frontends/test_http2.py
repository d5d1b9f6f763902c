"""HTTP/2 as Knative's queue-proxy speaks it: all requests of a pod in one connection, for as long as that lives."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.frontends.http11 import Http
from tests.frontends.h2_client import Answer, calling
from tests.frontends.http11_server import PIECE, Running, eventually, running

ROOT = Path(__file__).resolve().parents[2]
REFUSED_STREAM = 7
MOST_AT_ONCE = 128


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(Http) as server:
        yield server


def answered(answer: Answer, body: bytes) -> bool:
    return (answer.status, answer.body, answer.reset) == (200, body, None)


@pytest.mark.parametrize("at_once", [1, 20])
def test_no_request_is_lost_to_the_end_of_a_connection_that_carried_many(server: Running, at_once: int) -> None:
    """After 4096 requests zttp breaks a connection off, and behind queue-proxy all requests of a pod come by one."""
    connections, lost, asked = 0, 0, 0
    while asked < 5000:
        connections += 1
        with calling(server.port) as caller:
            open_: set[int] = set()
            while open_ or not (caller.goaway or asked >= 5000):
                while len(open_) < at_once and not caller.goaway and asked < 5000:
                    open_.add(caller.ask("/unread"))
                    asked += 1
                caller.read()
                done = {stream for stream in open_ if caller.answers[stream].ended or caller.closed}
                lost += sum(not answered(caller.answers[stream], b"did not look") for stream in done)
                open_ -= done
            assert caller.fault is None
            assert set(caller.goaway) <= {2**31 - 1}, "nothing that was sent may be refused"
    assert lost == 0
    assert connections > 1


def test_no_request_is_lost_to_the_callers_of_others_that_gave_up(server: Running) -> None:
    """After 256 resets in all of its life zttp breaks a connection off."""
    resets, connections = 0, 0
    while resets < 400:
        connections += 1
        with calling(server.port) as caller:
            slow = caller.ask("/slow")
            while not caller.goaway and resets < 400:
                given_up = caller.ask("/until_left")
                caller.reset(given_up)
                resets += 1
                if resets % 10 == 0:
                    assert answered(caller.answer(caller.ask("/unread")), b"did not look")
            assert answered(caller.answer(slow), b"slow")
            assert caller.fault is None
    assert connections > 1


def test_a_caller_that_gives_up_is_told_to_the_application(server: Running) -> None:
    server.application.told_of_leaving.clear()
    with calling(server.port) as caller:
        caller.reset(caller.ask("/until_left", b"x"))
        eventually(server.application.told_of_leaving.is_set)


def test_what_was_sent_before_the_end_was_known_is_answered() -> None:
    """The end is announced first and refuses nothing: a request may be on its way to meet it."""
    with running(Http) as server, calling(server.port) as caller:
        slow = caller.ask("/slow")
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")
        server.server.should_exit = True
        caller.until(lambda: bool(caller.goaway))
        late = caller.ask("/unread")
        assert answered(caller.answer(late), b"did not look")
        assert answered(caller.answer(slow), b"slow")
        later = caller.ask("/unread")
        assert answered(caller.answer(later), b"did not look")
        caller.until(lambda: len(caller.goaway) == 2)
        assert caller.goaway == [2**31 - 1, later]


def test_an_idle_connection_ends_by_announcement() -> None:
    with running(Http, keep_alive=0.3) as server, calling(server.port) as caller:
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")
        caller.until(lambda: bool(caller.goaway))
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")
        while not caller.closed:
            caller.read()
        assert caller.fault is None


SERVE = """
import socket, types
from runtime.frontends import server
from tests.frontends.test_http11 import Application
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
server.run(Application(), listening, types.SimpleNamespace(settings=types.SimpleNamespace(grace_period=10)))
"""


def test_streams_in_flight_at_sigterm_are_answered_and_the_process_exits_with_0() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVE], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with calling(int(process.stdout.readline())) as caller:
            assert answered(caller.answer(caller.ask("/unread")), b"did not look")
            streams = [caller.ask("/slow") for _ in range(20)] + [caller.ask("/slow_stream") for _ in range(20)]
            process.send_signal(signal.SIGTERM)
            assert all(answered(caller.answer(stream), b"slow") for stream in streams)
        assert process.wait(10) == 0


def test_a_request_may_end_with_its_head_its_body_or_its_trailers(server: Running) -> None:
    with calling(server.port) as caller:
        for stream, body in [
            (caller.ask("/echo", method="GET"), b""),
            (caller.ask("/echo"), b""),
            (caller.ask("/echo", b""), b""),
            (caller.ask("/echo", b"body"), b"body"),
            (caller.ask("/echo", b"body", trailers=True), b"body"),
        ]:
            answer = caller.answer(stream)
            assert answer.status == 200
            assert answer.body.endswith(b'"' + body + b'"]')


def test_a_head_has_no_body(server: Running) -> None:
    with calling(server.port) as caller:
        assert answered(caller.answer(caller.ask("/big", method="HEAD")), b"")
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")


def test_bodies_larger_than_every_window_arrive_whole(server: Running) -> None:
    with calling(server.port) as caller:
        streams = [caller.ask("/echo", bytes([65 + number]) * 700_000) for number in range(3)]
        for number, stream in enumerate(streams):
            assert caller.answer(stream).body.endswith(bytes([65 + number]) * 700_000 + b'"]')


def test_a_reader_that_lags_holds_up_nobody_else_and_gets_all_of_it_in_the_end(server: Running) -> None:
    with calling(server.port, window=1000, credit=False) as caller:
        lagging = caller.ask("/big")
        caller.until(lambda: len(caller.answers[lagging].body) == 1000)
        for _ in range(3):
            assert answered(caller.answer(caller.ask("/unread")), b"did not look")
        assert len(caller.answers[lagging].body) == 1000
        caller.credit = True
        caller.h2.increment_flow_control_window(100_000, lagging)
        caller.flush()
        assert answered(caller.answer(lagging), PIECE * 4)


def test_an_answer_that_its_reader_has_not_taken_yet_outlives_the_end() -> None:
    with running(Http) as server, calling(server.port, window=1000, credit=False) as caller:
        lagging = caller.ask("/big")
        caller.until(lambda: len(caller.answers[lagging].body) == 1000)
        server.server.should_exit = True
        caller.until(lambda: bool(caller.goaway))
        time.sleep(1.2)  # longer than the quiet after which a connection is closed
        caller.credit = True
        caller.h2.increment_flow_control_window(100_000, lagging)
        caller.flush()
        assert answered(caller.answer(lagging), PIECE * 4)


@pytest.mark.parametrize("leaves_by", ["reset", "end of the connection"])
def test_an_endless_answer_waits_for_its_reader(leaves_by: str) -> None:
    with running(Http) as server, calling(server.port, credit=False) as caller:
        stream = caller.ask("/endless")
        caller.until(lambda: len(caller.answers[stream].body) == 65535)
        time.sleep(0.3)
        assert server.application.pieces <= 4
        if leaves_by == "reset":
            caller.reset(stream)
        else:
            caller.socket.close()
        eventually(server.application.told_of_leaving.is_set)


def test_what_exceeds_the_streams_at_once_is_refused_and_the_rest_answered(server: Running) -> None:
    """A refused stream may be sent again elsewhere: RFC 9113, 8.7."""
    with calling(server.port) as caller:
        caller.h2.remote_settings.max_concurrent_streams = 1000  # as if it had not read ours yet
        streams = [caller.ask("/slow") for _ in range(MOST_AT_ONCE + 20)]
        answers = [caller.answer(stream) for stream in streams]
        assert [answer.reset for answer in answers[MOST_AT_ONCE:]] == [REFUSED_STREAM] * 20
        assert all(answered(answer, b"slow") for answer in answers[:MOST_AT_ONCE])


def test_what_is_not_http_2_after_all_ends_that_connection_alone(server: Running) -> None:
    with ExitStack() as both:
        good, bad = (both.enter_context(calling(server.port)) for _ in range(2))
        bad.socket.sendall(b"\xff" * 100)
        while not bad.closed:
            bad.read()
        assert answered(good.answer(good.ask("/unread")), b"did not look")


def test_callers_that_leave_in_the_middle_leave_the_server_well(server: Running) -> None:
    for path in ("/slow", "/stream", "/endless", "/big"):
        with calling(server.port, credit=False) as caller:
            caller.ask(path, b"x")
    with calling(server.port) as caller:
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")
