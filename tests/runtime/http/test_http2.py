"""HTTP/2 as Knative's queue-proxy uses it: one long connection for all requests of a pod."""

import json
import signal
import time
from ast import literal_eval
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from runtime.errors import InternalError
from runtime.protocols.refusals import error_answer
from tests.runtime.http.asgi_server import LIMITS, PIECE, Running, running
from tests.runtime.http.frames import END_HEADERS, END_STREAM, HEADERS, PREFACE, ask, frame
from tests.runtime.http.h2_client import Answer, calling
from tests.runtime.http.process import serving_process
from tests.waiting import DEADLINE, eventually


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


def answered(answer: Answer, body: bytes) -> bool:
    return (answer.status, answer.body, answer.reset) == (200, body, None)


@pytest.mark.parametrize("at_once", [1, 20])
def test_a_connection_has_no_maximum_number_of_requests(server: Running, at_once: int) -> None:
    """queue-proxy cannot always repeat a request if its connection closes, because it can read a body only once."""
    with calling(server.port) as caller:
        open_: set[int] = set()
        for _ in range(5000):
            while len(open_) >= at_once:
                caller.read()
                open_ = {stream for stream in open_ if not caller.answers[stream].ended}
            open_.add(caller.ask("/unread"))
        assert all(answered(caller.answer(stream), b"body ignored") for stream in list(caller.answers))
        assert caller.goaway == []


def test_cancelled_requests_do_not_affect_others_on_the_connection(server: Running) -> None:
    """Behind a proxy, many clients share one connection. Hundreds of timeouts are not an attack."""
    with calling(server.port) as caller:
        slow = caller.ask("/slow")
        for number in range(2000):
            caller.reset(caller.ask("/until_disconnect"))
            if number % 100 == 0:
                assert answered(caller.answer(caller.ask("/unread")), b"body ignored")
        assert answered(caller.answer(slow), b"slow")
        assert caller.goaway == []


def test_a_request_that_is_not_admitted_is_answered_before_its_body_ends(server: Running) -> None:
    """A streaming client can wait for the response before it ends the body."""
    with calling(server.port) as caller:
        answer = caller.answer(caller.ask("/unwelcome", b"some", end=False))
        assert answer.status == 404
        assert answered(caller.answer(caller.ask("/unread")), b"body ignored")


def test_the_application_is_notified_of_a_cancelled_request(server: Running) -> None:
    server.application.disconnected.clear()
    with calling(server.port) as caller:
        caller.reset(caller.ask("/until_disconnect", b"x"))
        eventually(server.application.disconnected.is_set)


def test_requests_sent_before_the_final_goaway_are_answered() -> None:
    """The first GOAWAY refuses no stream, because a request can be sent before it is read."""
    with running(LIMITS._replace(shutdown_idle=2.0)) as server, calling(server.port) as caller:
        slow = caller.ask("/slow")
        assert answered(caller.answer(caller.ask("/unread")), b"body ignored")
        server.shut_down()
        caller.until(lambda: bool(caller.goaway))
        late = caller.ask("/unread")
        assert answered(caller.answer(late), b"body ignored")
        assert answered(caller.answer(slow), b"slow")
        later = caller.ask("/unread")
        assert answered(caller.answer(later), b"body ignored")
        caller.until(lambda: len(caller.goaway) == 2)
        assert caller.goaway == [2**31 - 1, later]


def test_open_streams_at_sigterm_are_answered_and_the_process_exits_with_0() -> None:
    with serving_process() as server:
        with calling(server.port) as caller:
            assert answered(caller.answer(caller.ask("/unread")), b"body ignored")
            streams = [caller.ask("/slow") for _ in range(20)] + [caller.ask("/slow_stream") for _ in range(20)]
            server.process.send_signal(signal.SIGTERM)
            assert all(answered(caller.answer(stream), b"slow") for stream in streams)
        assert server.process.wait(DEADLINE) == 0


def test_a_request_can_end_with_its_head_its_body_or_its_trailers(server: Running) -> None:
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


def test_options_can_request_the_whole_server(server: Running) -> None:
    """RFC 9113, 8.3.1."""
    with calling(server.port) as caller:
        assert b"('path', '*')" in caller.answer(caller.ask("*", method="OPTIONS")).body


def test_connect_opens_no_tunnel(server: Running) -> None:
    """RFC 9113, 8.5: CONNECT has no path. The application gets it with an empty path and answers it."""
    connect = frame(HEADERS, b"\x02\x07CONNECT\x01\x04x:80", flags=END_HEADERS | END_STREAM, stream=1)
    with closing(server.connect()) as connection:
        connection.sendall(PREFACE + connect + ask("/direct", stream=3))
        raw = b""
        while b"direct" not in raw or b"CONNECT" not in raw:
            raw += connection.recv(65536)
        assert b"('path', '')" in raw


def test_a_response_to_head_has_no_body(server: Running) -> None:
    with calling(server.port) as caller:
        assert answered(caller.answer(caller.ask("/big", method="HEAD")), b"")
        assert answered(caller.answer(caller.ask("/unread")), b"body ignored")


def test_bodies_larger_than_every_window_arrive_completely(server: Running) -> None:
    with calling(server.port) as caller:
        streams = [caller.ask("/echo", bytes([65 + number]) * 700_000) for number in range(3)]
        for number, stream in enumerate(streams):
            assert caller.answer(stream).body.endswith(bytes([65 + number]) * 700_000 + b'"]')


def test_a_slow_reader_does_not_block_others_and_gets_the_complete_response(server: Running) -> None:
    with calling(server.port, window=1000, credit=False) as caller:
        lagging = caller.ask("/big")
        caller.until(lambda: len(caller.answers[lagging].body) == 1000)
        for _ in range(3):
            assert answered(caller.answer(caller.ask("/unread")), b"body ignored")
        assert len(caller.answers[lagging].body) == 1000
        caller.credit = True
        caller.h2.increment_flow_control_window(100_000, lagging)
        caller.flush()
        assert answered(caller.answer(lagging), PIECE * 4)


def test_an_unread_response_is_delivered_in_shutdown() -> None:
    with running() as server, calling(server.port, window=1000, credit=False) as caller:
        lagging = caller.ask("/big")
        caller.until(lambda: len(caller.answers[lagging].body) == 1000)
        server.shut_down()
        caller.until(lambda: bool(caller.goaway))
        time.sleep(1.2)  # longer than Limits.shutdown_idle
        caller.credit = True
        caller.h2.increment_flow_control_window(100_000, lagging)
        caller.flush()
        assert answered(caller.answer(lagging), PIECE * 4)


@pytest.mark.parametrize("disconnect", ["reset", "end of the connection"])
def test_an_endless_response_is_paused_while_its_client_does_not_read(disconnect: str) -> None:
    with running() as server, calling(server.port, credit=False) as caller:
        stream = caller.ask("/endless")
        caller.until(lambda: len(caller.answers[stream].body) == 65535)
        time.sleep(0.3)
        assert server.application.pieces <= 4
        if disconnect == "reset":
            caller.reset(stream)
        else:
            caller.socket.close()
        eventually(server.application.disconnected.is_set)


def test_1000_concurrent_requests_are_answered(server: Running) -> None:
    with calling(server.port) as caller:
        streams = [caller.ask("/slow") for _ in range(1000)]
        assert all(answered(caller.answer(stream), b"slow") for stream in streams)


FAULT = (500, error_answer(InternalError()).body, None)


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/fails", FAULT),
        ("/silent", FAULT),
        ("/head_only", FAULT),
        ("/body_first", FAULT),
        ("/two_heads", FAULT),
        ("/bad_header", FAULT),
        ("/fails_after_head", FAULT),
        ("/too_long", FAULT),
        ("/too_short", FAULT),
        ("/returns", (200, b"done", None)),
        ("/two_answers", (200, b"first", None)),
        ("/fails_after_answer", (200, b"done", None)),
        ("/late_receive", (200, b"done", None)),
        ("/status/204", (204, b"", None)),
        ("/status/304", (304, b"", None)),
        ("/empty", (200, b"", None)),
        ("/capitals", (200, b"ok", None)),
        ("/closing", (200, b"ok", None)),
        ("/bytearrays", (200, b"ok", None)),
        ("/uncounted", (200, b"chunked by the server", None)),
        ("/counted_stream", (200, b"onetwo", None)),
        ("/fails_after_piece", (200, b"one", 2)),
        ("/context", (200, b"False", None)),
    ],
)
def test_an_application_error_ends_only_its_own_stream(
    server: Running, path: str, outcome: tuple[int, bytes, int | None]
) -> None:
    with calling(server.port) as caller:
        slow = caller.ask("/slow")
        answer = caller.answer(caller.ask(path))
        assert (answer.status, answer.body, answer.reset) == outcome
        assert answered(caller.answer(slow), b"slow")


def test_a_response_can_have_trailers(server: Running) -> None:
    """Every gRPC response ends with trailers."""
    with calling(server.port) as caller:
        answer = caller.answer(caller.ask("/trailers"))
        assert (answer.status, answer.body, answer.trailers) == (200, b"one", [(b"grpc-status", b"0")])


def test_the_application_gets_the_same_request_as_over_http_1(server: Running) -> None:
    with calling(server.port) as caller, closing(server.connect()) as plain:
        over_2 = json.loads(caller.answer(caller.ask("/echo/%20x?a=b&c", b"body", cookies=["a=1", "b=2"])).body)
        plain.sendall(
            b"POST /echo/%20x?a=b&c HTTP/1.1\r\ncookie: a=1; b=2\r\nhost: x\r\n"
            b"content-length: 4\r\nconnection: close\r\n\r\nbody"
        )
        over_1 = json.loads(plain.makefile("rb").read().partition(b"\r\n\r\n")[2])
    scope_1, scope_2 = dict(literal_eval(over_1[0])), dict(literal_eval(over_2[0]))
    names = {name: value for name, value in scope_1["headers"] if name not in {b"connection", b"content-length"}}
    assert dict(scope_2.pop("headers")) == names
    assert (scope_2.pop("http_version"), scope_2.pop("extensions")) == ("2", {"http.response.trailers": {}})
    assert scope_2 == {
        name: value for name, value in scope_1.items() if name not in {"headers", "http_version", "extensions"}
    }
    assert over_1[1] == over_2[1] == "body"


def test_an_early_refusal_resets_the_stream(server: Running) -> None:
    """RFC 9113, 8.1: with NO_ERROR, after the complete response."""
    with calling(server.port) as caller:
        stream = caller.ask("/unread", b"x" * (LIMITS.body + 1), end=False)
        answer = caller.answer(stream)
        assert answer.status == 413
        caller.until(lambda: answer.reset is not None)
        assert answer.reset == 0
        assert answered(caller.answer(caller.ask("/unread")), b"body ignored")


def test_the_reset_follows_an_early_refusal_after_a_delay(server: Running) -> None:
    """The client curl reports an error if it reads the reset together with the response."""
    with calling(server.port) as caller:
        asked = time.monotonic()
        answer = caller.answers[caller.ask("/unread", b"x", end=False, fields=[("content-length", str(2**30))])]
        caller.until(lambda: answer.reset is not None)
        assert answer.status == 413
        assert time.monotonic() - asked > 0.05


def test_the_reset_waits_until_the_refusal_is_read(server: Running) -> None:
    with calling(server.port, window=0, credit=False) as caller:
        stream = caller.ask("/unread", b"x", end=False, fields=[("content-length", str(2**30))])
        caller.until(lambda: caller.answers[stream].status == 413)
        time.sleep(0.5)
        assert caller.answers[stream].body == b""
        caller.h2.increment_flow_control_window(100_000, stream)
        caller.flush()
        caller.until(lambda: caller.answers[stream].reset is not None)
        assert caller.answers[stream].reset == 0


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (b"\xff" * 100, 6),  # FRAME_SIZE_ERROR
        (b"\0\0\x04\x03\0\0\0\0\0" + bytes(4), 1),  # RST_STREAM of stream 0: PROTOCOL_ERROR
        (b"\0\0\x04\x01\x05\0\0\1\1\xff\xff\xff\xff", 9),  # an invalid field block: COMPRESSION_ERROR
    ],
)
def test_a_protocol_violation_closes_only_its_own_connection_with_goaway(
    server: Running, caplog: pytest.LogCaptureFixture, broken: bytes, code: int
) -> None:
    with ExitStack() as both:
        good, bad = (both.enter_context(calling(server.port)) for _ in range(2))
        waiting = bad.ask("/slow")
        bad.socket.sendall(broken)
        while not bad.closed:
            bad.read()
        assert bad.fault == code
        assert bad.answers[waiting].status is None
        assert answered(good.answer(good.ask("/slow")), b"slow")
    assert caplog.text == "", "cancelling the waiting application must log nothing"


def test_disconnects_during_responses_do_not_affect_the_server(server: Running) -> None:
    for path in ("/slow", "/stream", "/endless", "/big"):
        with calling(server.port, credit=False) as caller:
            caller.ask(path, b"x")
    with calling(server.port) as caller:
        assert answered(caller.answer(caller.ask("/unread")), b"body ignored")
