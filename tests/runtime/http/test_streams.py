"""Streams over HTTP/2: requests that are answered while their bodies are being received."""

import time

import pytest

from tests.runtime.http import frames
from tests.runtime.http.asgi_server import LIMITS, running
from tests.runtime.http.frames import PREFACE, ask, frame
from tests.runtime.http.h2_client import Caller, calling
from tests.runtime.http.process import serving_process
from tests.waiting import DEADLINE, eventually

WINDOW = 256 * 1024
PIECE = b"x" * 16_384
QUICK = LIMITS._replace(body_time=1, stream_idle=1)


def opened(caller: Caller, way: str, body: bytes = b"") -> int:
    """Open a stream and leave it open. Return its number."""
    return caller.ask(f"/streams/{way}", body, end=False)


def failed(caller: Caller, stream: int) -> bytes:
    """Return the error code in the trailers of a stream that ended normally."""
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


def test_trailers_of_the_client_end_its_body() -> None:
    with running() as server, calling(server.port) as caller:
        assert caller.answer(caller.ask("/streams/echo", b"one", trailers=True)).body == b"one"


def test_more_data_than_every_window_passes_in_both_directions() -> None:
    with running() as server, calling(server.port) as caller:
        stream = opened(caller, "echo")
        for number in range(64):
            caller.send(stream, bytes([number]) * 50_000, end=number == 63)
        assert caller.answer(stream).body == b"".join(bytes([number]) * 50_000 for number in range(64))
        assert server.server.budget.used == 0


def test_a_client_can_send_one_window_ahead_and_does_not_block_others() -> None:
    with running(LIMITS._replace(buffered=2**26)) as server, calling(server.port) as caller:
        assert caller.answer(caller.ask("/direct")).status == 200  # the client has the server's settings now
        streams = [opened(caller, "paused") for _ in range(100)]
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
        assert server.streams.received == 100 * WINDOW
        assert server.server.budget.used == 0


def test_a_reset_cancels_the_application_and_releases_its_budget() -> None:
    with running() as server, calling(server.port) as caller:
        stream = opened(caller, "silent", b"x" * 1000)
        eventually(lambda: server.streams.received == 1000)
        caller.reset(stream)
        assert server.streams.cancelled.wait(DEADLINE)
        eventually(lambda: server.server.budget.used == 0)


def test_a_disconnect_cancels_the_application() -> None:
    with running() as server:
        with calling(server.port) as caller:
            opened(caller, "silent", b"x")
            eventually(lambda: server.streams.received == 1)
        assert server.streams.cancelled.wait(DEADLINE)
        eventually(lambda: server.server.budget.used == 0)


def test_the_connection_window_is_restored_from_unread_streams() -> None:
    """Each stream leaves a full window. Without restoring them, the connection would block after 1000 streams."""
    with running(LIMITS._replace(buffered=2**26)) as server, calling(server.port) as caller:
        before = caller.h2.outbound_flow_control_window
        for _ in range(600):
            stream = opened(caller, "paused", b"x" * WINDOW)
            caller.reset(stream)
        assert caller.answer(caller.ask("/echo", b"x")).status == 200
        assert before - caller.h2.outbound_flow_control_window < before / 2 + WINDOW
        server.streams.go.set()


def test_a_response_can_end_before_the_body() -> None:
    with running() as server, calling(server.port) as caller:
        stream = opened(caller, "stops_early", b"x")
        answer = caller.answer(stream)
        assert (answer.body, answer.reset) == (b"enough", None)
        caller.until(lambda: caller.answers[stream].reset == 0)  # NO_ERROR: RFC 9113, 8.1
        eventually(lambda: server.server.budget.used == 0)


def test_a_stream_whose_application_fails_is_reset() -> None:
    with running() as server, calling(server.port) as caller:
        assert caller.answer(opened(caller, "raises", b"x")).reset == 2
        assert caller.answer(caller.ask("/direct")).status == 200


def test_an_idle_stream_ends_with_a_timeout() -> None:
    with running(QUICK) as server, calling(server.port) as caller:
        assert failed(caller, opened(caller, "echo")) == b"request_timeout"
        assert caller.answer(caller.ask("/direct")).status == 200


def test_a_message_must_reach_the_rate_of_a_body() -> None:
    with running(QUICK._replace(stream_idle=60, body_rate=1000)) as server, calling(server.port) as caller:
        stream = opened(caller, "in_parts", b"x")
        ends = time.monotonic() + 30
        while not caller.answers[stream].ended and time.monotonic() < ends:
            caller.send(stream, b"x", end=False)
            caller.ask("/direct")
            caller.read()
            time.sleep(0.02)
        assert failed(caller, stream) == b"request_timeout"


def test_the_timeout_does_not_run_while_the_application_does_not_receive() -> None:
    with running(QUICK) as server, calling(server.port) as caller:
        stream = opened(caller, "paused", b"x")
        time.sleep(2.5)
        caller.send(stream, b"y")  # before the application receives, because the timeout runs from then on
        server.streams.go.set()
        answer = caller.answer(stream)
        assert (answer.status, answer.reset, server.streams.received) == (200, None, 2)


def test_a_stream_whose_response_is_not_read_is_reset() -> None:
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


def test_a_stream_above_the_budget_ends_with_an_error() -> None:
    with running(LIMITS._replace(buffered=100_000)) as server, calling(server.port) as caller:
        assert failed(caller, opened(caller, "silent", b"x" * 100_000)) == b"overloaded"
        eventually(lambda: server.server.budget.used == 0)


def test_incomplete_messages_of_one_connection_are_limited() -> None:
    """Streams and other bodies share the limit. The last one is refused, and the others continue."""
    limits = LIMITS._replace(body=100_000, buffered=2**24)
    with running(limits) as server, calling(server.port) as caller:
        streams = [opened(caller, "in_parts", b"x" * 90_000) for _ in range(2)]
        assert failed(caller, opened(caller, "in_parts", b"x" * 90_000)) == b"overloaded"
        for stream in streams:
            caller.send(stream, b"")
            assert caller.answer(stream).status == 200
        assert server.server.budget.used == 0
        assert caller.answer(caller.ask("/echo", b"x" * 90_000)).status == 200


def test_in_shutdown_an_idle_stream_ends_and_an_active_one_continues() -> None:
    with running(LIMITS._replace(shutdown_idle=3.0)) as server, calling(server.port) as caller:
        idle, used, sent = opened(caller, "echo", b"x"), opened(caller, "echo", b"y"), 0
        caller.until(lambda: caller.answers[used].body == b"y" and caller.answers[idle].body == b"x")
        server.shut_down()
        caller.until(lambda: bool(caller.goaway))
        while not caller.answers[idle].ended:
            caller.send(used, b"z", end=False)
            sent += 1
            caller.read()  # the same piece, or the end of the idle stream
            time.sleep(0.05)
        assert failed(caller, idle) == b"shutting_down"
        caller.send(used, b"!")
        answer = caller.answer(used)
        assert (answer.body, answer.trailers) == (b"y" + b"z" * sent + b"!", [(b"x-end", b"1")])
        eventually(server.ended)


def test_an_open_stream_ends_with_the_grace_period() -> None:
    with running() as server, calling(server.port) as caller:
        stream, bare = opened(caller, "paused"), opened(caller, "without_on_error")
        server.shut_down(grace=0.5)
        assert failed(caller, stream) == b"shutting_down"
        assert caller.answer(bare).reset == 2
        server.streams.go.set()
        eventually(server.ended)


def test_a_flood_of_one_byte_frames_uses_only_the_memory_of_its_bytes() -> None:
    """Each frame is an event, but the bytes are in one buffer, not in 100,000 objects."""
    with serving_process() as server, calling(server.port) as caller:
        before = server.memory()
        streams = [opened(caller, "paused") for _ in range(20)]
        data = b"".join(frame(frames.DATA, b"x", stream=stream) for stream in streams) * 50_000
        caller.socket.sendall(data)
        assert caller.answer(caller.ask("/direct")).status == 200
        assert server.memory() - before < 40 * 2**20


def test_a_flood_of_reset_streams_releases_the_budget() -> None:
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


def test_1000_idle_streams_use_little_memory_and_do_not_block_others() -> None:
    with serving_process(buffered=2**26) as server, calling(server.port) as caller:
        before = server.memory()
        streams = [opened(caller, "echo", b"x") for _ in range(999)]
        caller.until(lambda: all(caller.answers[each].body == b"x" for each in streams))
        assert caller.answer(caller.ask("/direct")).status == 200
        assert server.alive()
        assert server.memory() - before < 30 * 2**20


@pytest.mark.parametrize("way", ["echo", "silent"])
def test_a_stream_request_without_a_body_has_no_incoming_body(way: str) -> None:
    """The request is complete with its head."""
    with running() as server, calling(server.port) as caller:
        assert caller.answer(caller.ask(f"/streams/{way}")).status == 500
