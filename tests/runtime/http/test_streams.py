"""Streams over HTTP/2: a request that is answered while its body comes in."""

import time

import pytest

from tests.runtime.http import frames
from tests.runtime.http.asgi_server import LIMITS, eventually, running
from tests.runtime.http.frames import PREFACE, ask, frame
from tests.runtime.http.h2_client import Caller, calling
from tests.runtime.http.process import serving_process

WINDOW = 256 * 1024
PIECE = b"x" * 16_384
QUICK = LIMITS._replace(body_time=0.5, stream_idle=0.5)


def opened(caller: Caller, way: str, body: bytes = b"") -> int:
    """A stream whose client has not ended it."""
    return caller.ask(f"/streams/{way}", body, end=False)


def failed(caller: Caller, stream: int) -> bytes:
    """The error that ended a stream in order."""
    answer = caller.answer(stream)
    assert answer.status == 200
    assert answer.reset in {None, 0}
    return dict(answer.trailers)[b"x-failed"]


def test_pieces_are_answered_before_the_body_ends() -> None:
    with running() as server, calling(server.port) as caller:
        stream = opened(caller, "echo", b"one")
        caller.until(lambda: caller.answers[stream].body == b"one")
        caller.send(stream, b"two", end=False)
        caller.until(lambda: caller.answers[stream].body == b"onetwo")
        assert not caller.answers[stream].ended
        caller.send(stream, b"three")
        answer = caller.answer(stream)
        assert (answer.body, answer.trailers) == (b"onetwothree", [(b"x-end", b"1")])
        eventually(lambda: server.server.budget.used == 0)


def test_trailers_of_the_client_end_a_stream() -> None:
    with running() as server, calling(server.port) as caller:
        assert caller.answer(caller.ask("/streams/echo", b"one", trailers=True)).body == b"one"


def test_more_than_every_window_passes_through_a_stream_both_ways() -> None:
    with running() as server, calling(server.port) as caller:
        stream = opened(caller, "echo")
        for number in range(64):
            caller.send(stream, bytes([number]) * 50_000, end=number == 63)
        assert caller.answer(stream).body == b"".join(bytes([number]) * 50_000 for number in range(64))
        assert server.server.budget.used == 0


def test_a_client_is_at_most_a_window_ahead_and_holds_up_nobody() -> None:
    with running(LIMITS._replace(buffered=2**26)) as server, calling(server.port) as caller:
        assert caller.answer(caller.ask("/direct")).status == 200  # the windows are known now
        streams = [opened(caller, "untaken") for _ in range(100)]
        for stream in streams:
            while room := caller.h2.local_flow_control_window(stream):
                caller.send(stream, PIECE[: min(room, len(PIECE))], end=False)
        assert caller.answer(caller.ask("/echo", b"x" * 300_000)).status == 200
        assert all(caller.h2.local_flow_control_window(each) == 0 for each in streams)
        assert server.server.budget.used == 100 * (WINDOW + LIMITS.stream_size)
        server.streams.go.set()
        for stream in streams:
            caller.send(stream, b"")
            assert caller.answer(stream).status == 200
        assert server.streams.taken == 100 * WINDOW
        assert server.server.budget.used == 0


def test_a_reset_cancels_the_application_and_frees_what_it_held() -> None:
    with running() as server, calling(server.port) as caller:
        stream = opened(caller, "silent", b"x" * 1000)
        eventually(lambda: server.streams.taken == 1000)
        caller.reset(stream)
        assert server.streams.cancelled.wait(10)
        eventually(lambda: server.server.budget.used == 0)


def test_the_end_of_the_connection_cancels_the_application() -> None:
    with running() as server:
        with calling(server.port) as caller:
            opened(caller, "silent", b"x")
            eventually(lambda: server.streams.taken == 1)
        assert server.streams.cancelled.wait(10)
        eventually(lambda: server.server.budget.used == 0)


def test_windows_come_back_from_streams_that_were_never_read() -> None:
    """Each leaves a full window behind; without its return the connection would be stuck after a thousand."""
    with running(LIMITS._replace(buffered=2**26)) as server, calling(server.port) as caller:
        before = caller.h2.outbound_flow_control_window
        for _ in range(600):
            stream = opened(caller, "untaken", b"x" * WINDOW)
            caller.reset(stream)
        assert caller.answer(caller.ask("/echo", b"x")).status == 200
        assert before - caller.h2.outbound_flow_control_window < before / 2 + WINDOW
        server.streams.go.set()


def test_an_answer_may_end_before_the_stream_does() -> None:
    with running() as server, calling(server.port) as caller:
        stream = opened(caller, "stops_early", b"x")
        answer = caller.answer(stream)
        assert (answer.body, answer.reset) == (b"enough", None)
        caller.until(lambda: caller.answers[stream].reset == 0)  # "send no more": RFC 9113, 8.1
        eventually(lambda: server.server.budget.used == 0)


def test_a_stream_whose_application_fails_is_reset() -> None:
    with running() as server, calling(server.port) as caller:
        assert caller.answer(opened(caller, "raises", b"x")).reset == 2
        assert caller.answer(caller.ask("/direct")).status == 200


def test_a_client_that_sends_nothing_is_given_up_when_it_is_idle_for_too_long() -> None:
    with running(QUICK) as server, calling(server.port) as caller:
        assert failed(caller, opened(caller, "echo")) == b"request_timeout"
        assert caller.answer(caller.ask("/direct")).status == 200


def test_a_part_has_to_keep_the_pace_of_a_body() -> None:
    with running(QUICK._replace(stream_idle=60, body_rate=1000)) as server, calling(server.port) as caller:
        stream = opened(caller, "in_parts", b"x")
        began = time.monotonic()
        while not caller.answers[stream].ended and time.monotonic() < began + 10:
            caller.send(stream, b"x", end=False)
            caller.ask("/direct")
            caller.read()
            time.sleep(0.02)
        assert failed(caller, stream) == b"request_timeout"


def test_a_stream_that_waits_for_its_server_is_never_late() -> None:
    with running(QUICK) as server, calling(server.port) as caller:
        stream = opened(caller, "untaken", b"x")
        time.sleep(1.5)
        server.streams.go.set()
        caller.send(stream, b"y")
        answer = caller.answer(stream)
        assert (answer.status, answer.reset, server.streams.taken) == (200, None, 2)


def test_a_reader_that_takes_nothing_of_an_answer_is_given_up() -> None:
    with running(LIMITS._replace(write_time=0.5)) as server, calling(server.port, credit=False) as caller:
        stream = opened(caller, "echo")
        sent = 0
        while sent < WINDOW:
            caller.send(stream, PIECE, end=False)
            sent += len(PIECE)
        assert caller.answer(stream).reset == 2
        eventually(lambda: server.server.budget.used == 0)


def test_each_open_stream_counts_in_the_budget() -> None:
    with running(LIMITS._replace(buffered=10 * LIMITS.stream_size)) as server, calling(server.port) as caller:
        streams = [opened(caller, "echo") for _ in range(10)]
        assert caller.answer(opened(caller, "echo")).status == 503
        caller.reset(streams[0])
        assert caller.answer(caller.ask("/streams/echo", b"")).trailers
        assert server.faults == ["overloaded"]


def test_a_stream_beyond_the_budget_is_ended() -> None:
    with running(LIMITS._replace(buffered=100_000)) as server, calling(server.port) as caller:
        assert failed(caller, opened(caller, "silent", b"x" * 100_000)) == b"overloaded"
        eventually(lambda: server.server.budget.used == 0)


def test_what_is_not_whole_on_one_connection_is_bounded() -> None:
    """Streams and whole bodies together; the one that comes last is refused, and the others go on."""
    limits = LIMITS._replace(body=100_000, buffered=2**24)
    with running(limits) as server, calling(server.port) as caller:
        streams = [opened(caller, "in_parts", b"x" * 90_000) for _ in range(2)]
        assert failed(caller, opened(caller, "in_parts", b"x" * 90_000)) == b"overloaded"
        for stream in streams:
            caller.send(stream, b"")
            assert caller.answer(stream).status == 200
        assert server.server.budget.used == 0
        assert caller.answer(caller.ask("/echo", b"x" * 90_000)).status == 200


def test_an_idle_stream_ends_soon_when_the_process_does_and_one_that_is_used_does_not() -> None:
    with running() as server, calling(server.port) as caller:
        idle, used = opened(caller, "echo", b"x"), opened(caller, "echo", b"y")
        caller.until(lambda: caller.answers[used].body == b"y" and caller.answers[idle].body == b"x")
        server.shut_down()
        caller.until(lambda: bool(caller.goaway))
        for _ in range(10):
            caller.send(used, b"z", end=False)
            time.sleep(0.1)
        assert failed(caller, idle) == b"shutting_down"
        caller.send(used, b"!")
        answer = caller.answer(used)
        assert (answer.body, answer.trailers) == (b"y" + b"z" * 10 + b"!", [(b"x-end", b"1")])
        eventually(server.ended)


def test_a_stream_that_goes_on_ends_with_the_grace() -> None:
    with running() as server, calling(server.port) as caller:
        stream, bare = opened(caller, "untaken"), opened(caller, "without_last_words")
        server.shut_down(grace=0.5)
        assert failed(caller, stream) == b"shutting_down"
        assert caller.answer(bare).reset == 2
        server.streams.go.set()
        eventually(server.ended)


def test_a_flood_of_one_byte_frames_costs_its_bytes() -> None:
    """Each is an event; together they are one buffer, not a hundred thousand objects."""
    with serving_process() as server, calling(server.port) as caller:
        before = server.memory()
        streams = [opened(caller, "untaken") for _ in range(20)]
        data = b"".join(frame(frames.DATA, b"x", stream=stream) for stream in streams) * 50_000
        caller.socket.sendall(data)
        assert caller.answer(caller.ask("/direct")).status == 200
        assert server.memory() - before < 40 * 2**20


def test_a_storm_of_resets_leaves_nothing_behind() -> None:
    with running() as server:
        with server.connect() as attacker:
            attacker.sendall(PREFACE)
            for first in range(1, 8_000, 100):
                ids = range(2 * first - 1, 2 * first + 199, 2)
                storm = [
                    ask("/streams/echo", stream=each, flags=frames.END_HEADERS)
                    + frame(frames.DATA, b"x", stream=each)
                    + frame(frames.RST_STREAM, b"\0\0\0\x08", stream=each)
                    for each in ids
                ]
                attacker.sendall(b"".join(storm))
            assert server.alive()
        eventually(lambda: server.server.budget.used == 0)
        assert server.alive()


def test_a_thousand_idle_streams_are_cheap_and_leave_others_alone() -> None:
    with serving_process(buffered=2**26) as server, calling(server.port) as caller:
        before = server.memory()
        streams = [opened(caller, "echo", b"x") for _ in range(999)]
        caller.until(lambda: all(caller.answers[each].body == b"x" for each in streams))
        assert caller.answer(caller.ask("/direct")).status == 200
        assert server.alive()
        assert server.memory() - before < 30 * 2**20


@pytest.mark.parametrize("way", ["echo", "silent"])
def test_a_stream_without_a_body_needs_no_stream(way: str) -> None:
    """Its head was its end: the request is whole."""
    with running() as server, calling(server.port) as caller:
        assert caller.answer(caller.ask(f"/streams/{way}")).status == 500
