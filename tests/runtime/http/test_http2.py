"""HTTP/2 as Knative's queue-proxy speaks it: all requests of a pod in one connection, for as long as that lives."""

import json
import signal
import time
from ast import literal_eval
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from runtime.errors import InternalError
from runtime.protocols.refusals import error_answer
from tests.runtime.http.asgi_server import LIMITS, PIECE, Running, eventually, running
from tests.runtime.http.frames import END_HEADERS, END_STREAM, HEADERS, PREFACE, ask, frame
from tests.runtime.http.h2_client import Answer, calling
from tests.runtime.http.process import serving_process


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


def answered(answer: Answer, body: bytes) -> bool:
    return (answer.status, answer.body, answer.reset) == (200, body, None)


@pytest.mark.parametrize("at_once", [1, 20])
def test_a_connection_has_no_age(server: Running, at_once: int) -> None:
    """queue-proxy's client cannot always send again what meets the end of one: a body is read only once."""
    with calling(server.port) as caller:
        open_: set[int] = set()
        for _ in range(5000):
            while len(open_) >= at_once:
                caller.read()
                open_ = {stream for stream in open_ if not caller.answers[stream].ended}
            open_.add(caller.ask("/unread"))
        assert all(answered(caller.answer(stream), b"did not look") for stream in list(caller.answers))
        assert caller.goaway == []


def test_callers_that_gave_up_leave_the_others_of_the_connection_alone(server: Running) -> None:
    """Behind a proxy the callers of many come through one connection: hundreds that time out are no attack."""
    with calling(server.port) as caller:
        slow = caller.ask("/slow")
        for number in range(2000):
            caller.reset(caller.ask("/until_left"))
            if number % 100 == 0:
                assert answered(caller.answer(caller.ask("/unread")), b"did not look")
        assert answered(caller.answer(slow), b"slow")
        assert caller.goaway == []


def test_a_head_that_the_application_does_not_admit_is_answered_before_its_body_ends(server: Running) -> None:
    """Who streams may wait for the answer before the end of the body."""
    with calling(server.port) as caller:
        answer = caller.answer(caller.ask("/unwelcome", b"some", end=False))
        assert answer.status == 404
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")


def test_a_caller_that_gives_up_is_told_to_the_application(server: Running) -> None:
    server.application.told_of_leaving.clear()
    with calling(server.port) as caller:
        caller.reset(caller.ask("/until_left", b"x"))
        eventually(server.application.told_of_leaving.is_set)


def test_what_was_sent_before_the_end_was_known_is_answered() -> None:
    """The end is announced first and refuses nothing: a request may be on its way to meet it."""
    with running() as server, calling(server.port) as caller:
        slow = caller.ask("/slow")
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")
        server.shut_down()
        caller.until(lambda: bool(caller.goaway))
        late = caller.ask("/unread")
        assert answered(caller.answer(late), b"did not look")
        assert answered(caller.answer(slow), b"slow")
        later = caller.ask("/unread")
        assert answered(caller.answer(later), b"did not look")
        caller.until(lambda: len(caller.goaway) == 2)
        assert caller.goaway == [2**31 - 1, later]


def test_streams_in_flight_at_sigterm_are_answered_and_the_process_exits_with_0() -> None:
    with serving_process() as server:
        with calling(server.port) as caller:
            assert answered(caller.answer(caller.ask("/unread")), b"did not look")
            streams = [caller.ask("/slow") for _ in range(20)] + [caller.ask("/slow_stream") for _ in range(20)]
            server.process.send_signal(signal.SIGTERM)
            assert all(answered(caller.answer(stream), b"slow") for stream in streams)
        assert server.process.wait(10) == 0


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


def test_options_may_ask_of_the_server_as_a_whole(server: Running) -> None:
    """RFC 9113, 8.3.1."""
    with calling(server.port) as caller:
        assert b"('path', '*')" in caller.answer(caller.ask("*", method="OPTIONS")).body


def test_connect_makes_no_tunnel(server: Running) -> None:
    """RFC 9113, 8.5: it has no path, so that the application finds nothing; its stream is answered as any other."""
    connect = frame(HEADERS, b"\x02\x07CONNECT\x01\x04x:80", flags=END_HEADERS | END_STREAM, stream=1)
    with closing(server.connect()) as connection:
        connection.sendall(PREFACE + connect + ask("/direct", stream=3))
        raw = b""
        while b"direct" not in raw or b"CONNECT" not in raw:
            raw += connection.recv(65536)
        assert b"('path', '')" in raw


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
    with running() as server, calling(server.port, window=1000, credit=False) as caller:
        lagging = caller.ask("/big")
        caller.until(lambda: len(caller.answers[lagging].body) == 1000)
        server.shut_down()
        caller.until(lambda: bool(caller.goaway))
        time.sleep(1.2)  # longer than the quiet after which a connection is closed
        caller.credit = True
        caller.h2.increment_flow_control_window(100_000, lagging)
        caller.flush()
        assert answered(caller.answer(lagging), PIECE * 4)


@pytest.mark.parametrize("leaves_by", ["reset", "end of the connection"])
def test_an_endless_answer_waits_for_its_reader(leaves_by: str) -> None:
    with running() as server, calling(server.port, credit=False) as caller:
        stream = caller.ask("/never_ends_until_left")
        caller.until(lambda: len(caller.answers[stream].body) == 65535)
        time.sleep(0.3)
        assert server.application.pieces <= 4
        if leaves_by == "reset":
            caller.reset(stream)
        else:
            caller.socket.close()
        eventually(server.application.told_of_leaving.is_set)


def test_a_thousand_requests_at_once_are_answered(server: Running) -> None:
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
        ("/breaks_off", (200, b"one", 2)),
        ("/context", (200, b"False", None)),
    ],
)
def test_whatever_an_application_does_its_stream_ends_and_no_other(
    server: Running, path: str, outcome: tuple[int, bytes, int | None]
) -> None:
    with calling(server.port) as caller:
        slow = caller.ask("/slow")
        answer = caller.answer(caller.ask(path))
        assert (answer.status, answer.body, answer.reset) == outcome
        assert answered(caller.answer(slow), b"slow")


def test_an_answer_may_have_trailers(server: Running) -> None:
    """As gRPC ends every answer."""
    with calling(server.port) as caller:
        answer = caller.answer(caller.ask("/trailers"))
        assert (answer.status, answer.body, answer.trailers) == (200, b"one", [(b"grpc-status", b"0")])


def test_the_application_sees_of_a_request_what_it_sees_over_http_1(server: Running) -> None:
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


def test_who_is_refused_early_is_told_to_stop_sending(server: Running) -> None:
    """RFC 9113, 8.1: by a reset without an error, behind the whole answer."""
    with calling(server.port) as caller:
        stream = caller.ask("/unread", b"x" * (LIMITS.body + 1), end=False)
        answer = caller.answer(stream)
        assert answer.status == 413
        caller.until(lambda: answer.reset is not None)
        assert answer.reset == 0
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")


def test_who_is_refused_early_has_time_to_read_why(server: Running) -> None:
    """The client curl takes a reset that it reads together with the answer for an error."""
    with calling(server.port) as caller:
        answer = caller.answers[caller.ask("/unread", b"x", end=False, fields=[("content-length", str(2**30))])]
        caller.until(lambda: answer.status == 413 and answer.ended)
        answered_at = time.monotonic()
        caller.until(lambda: answer.reset is not None)
        assert time.monotonic() - answered_at > 0.05


def test_who_reads_a_refusal_late_is_told_to_stop_sending_all_the_same(server: Running) -> None:
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
        (b"\0\0\x04\x03\0\0\0\0\0" + bytes(4), 1),  # a reset of the connection itself: PROTOCOL_ERROR
        (b"\0\0\x04\x01\x05\0\0\1\1\xff\xff\xff\xff", 9),  # a head that is none: COMPRESSION_ERROR
    ],
)
def test_who_breaks_the_rules_is_told_and_left_and_nobody_else(
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
    assert caplog.text == "", "the application that had not answered yet must not notice"


def test_callers_that_leave_in_the_middle_leave_the_server_well(server: Running) -> None:
    for path in ("/slow", "/stream", "/never_ends_until_left", "/big"):
        with calling(server.port, credit=False) as caller:
            caller.ask(path, b"x")
    with calling(server.port) as caller:
        assert answered(caller.answer(caller.ask("/unread")), b"did not look")
