"""Streaming calls: messages, ends and errors, with grpcio, and with raw HTTP/2 for what clients do not send."""

import asyncio
import gzip
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import pairwise
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.frontends.grpc.framing import frame
from runtime.frontends.grpc.messages import Messages
from runtime.frontends.grpc.streams import StreamCall
from tests.runtime.frontends.grpc.stream_server import LIMIT, StreamServer, streaming
from tests.runtime.http.asgi_server import LIMITS
from tests.runtime.http.h2_client import Answer, Caller, calling
from tests.waiting import DEADLINE, eventually

CALL = (("content-type", "application/grpc"), ("te", "trailers"))
Answers = AsyncGenerator[bytes, None]
ended_event = threading.Event()


async def echo(messages: Messages, _: StreamCall) -> Answers:
    """Return each message."""
    async for message in messages:
        yield message


async def twice(messages: Messages, _: StreamCall) -> Answers:
    """Return two responses to one message."""
    message = await messages.only()
    yield message
    yield message


async def silent(messages: Messages, _: StreamCall) -> Answers:
    """Return no response."""
    async for message in messages:
        if message == b"never":
            yield message


async def refusing(messages: Messages, _: StreamCall) -> Answers:
    """Refuse the call after the first message."""
    yield await anext(messages)
    raise InvalidInput("x", got="1", expected="2")


async def failing(messages: Messages, _: StreamCall) -> Answers:
    """Fail with an internal error after the first message."""
    yield await anext(messages)
    raise ValueError("a secret")


async def failing_at_once(_: Messages, __: StreamCall) -> Answers:
    """Fail before any message, with a TimeoutError that is not the call's timeout."""
    yield await raise_timeout()


async def raise_timeout() -> bytes:
    raise TimeoutError("a secret")


async def endless(_: Messages, call: StreamCall) -> Answers:
    """Return responses until the server shuts down, and signal the end to the test."""
    try:
        while not call.closing:
            yield b"tick"
            await asyncio.sleep(0.02)
    finally:
        ended_event.set()


async def large(messages: Messages, _: StreamCall) -> Answers:
    """Return a response that is larger than the client's window and than one piece."""
    yield await messages.only() * 20


METHODS = {each.__name__: each for each in (echo, twice, silent, refusing, failing, failing_at_once, endless, large)}


@pytest.fixture(scope="module")
def server() -> Iterator[StreamServer]:
    with streaming(METHODS) as server:
        yield server


@pytest.fixture
def channel(server: StreamServer) -> Iterator[grpc.Channel]:
    with connected(server) as channel:
        yield channel


def connected(server: StreamServer) -> grpc.Channel:
    fixed = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    return grpc.insecure_channel(f"127.0.0.1:{server.port}", [*fixed, ("grpc.max_receive_message_length", -1)])


def called(channel: grpc.Channel, name: str, *messages: bytes, **options: Any) -> Any:  # noqa: ANN401 - grpcio has no types
    """Send the messages, and return an iterator of the responses."""
    return channel.stream_stream(f"/t.Test/{name}")(iter(messages), timeout=options.pop("timeout", DEADLINE), **options)


def ended(answers: Any) -> tuple[list[bytes], grpc.RpcError]:  # noqa: ANN401 - as above
    """Return the responses before the error that ends the call, and the error."""
    found: list[bytes] = []
    with pytest.raises(grpc.RpcError) as raised:
        found.extend(answers)
    return found, raised.value


def raw(caller: Caller, name: str, body: bytes, *, end: bool = True, fields: tuple[tuple[str, str], ...] = ()) -> int:
    return caller.ask(f"/t.Test/{name}", body, end=end, fields=(*CALL, *fields))


def status(answer: Answer) -> tuple[bytes, bytes]:
    """Return the status in the trailers, and the message."""
    trailers = dict(answer.trailers)
    return trailers[b"grpc-status"], trailers.get(b"grpc-message", b"")


def test_each_message_is_answered_while_the_client_still_sends(channel: grpc.Channel) -> None:
    seen: list[bytes] = []
    answered = threading.Semaphore(1)

    def messages() -> Iterator[bytes]:
        for number in range(5):
            assert answered.acquire(timeout=DEADLINE)  # wait for the response to the previous message
            yield b"%d" % number

    for answer in channel.stream_stream("/t.Test/echo")(messages(), timeout=DEADLINE):
        seen.append(answer)
        answered.release()
    assert seen == [b"0", b"1", b"2", b"3", b"4"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=6), st.lists(st.integers(0, 10_000), max_size=8))
def test_grpc_frames_may_span_http2_frames(server: StreamServer, messages: list[bytes], cuts: list[int]) -> None:
    body = b"".join(frame(each, gzip=False) for each in messages)
    edges = [0, *sorted(place % (len(body) + 1) for place in cuts), len(body)]
    with calling(server.port) as caller:
        stream = raw(caller, "echo", b"", end=False)
        for start, end in pairwise(edges):
            caller.send(stream, body[start:end], end=False)
        caller.send(stream, b"")
        answer = caller.answer(stream)
    assert (answer.body, status(answer)) == (body, (b"0", b""))


def test_a_call_without_messages_succeeds(channel: grpc.Channel) -> None:
    assert list(called(channel, "echo")) == []
    assert list(called(channel, "silent", b"x", b"y")) == []


def test_a_call_that_ends_with_its_head_is_a_stream_without_messages(server: StreamServer) -> None:
    with calling(server.port) as caller:
        answer = caller.answer(caller.ask("/t.Test/echo", fields=CALL))
        assert (answer.status, status(answer)) == (200, (b"0", b""))


def test_a_stream_of_responses_requires_one_message(channel: grpc.Channel) -> None:
    assert list(called(channel, "twice", b"x")) == [b"x", b"x"]
    for messages, expected in (
        ((), "got no message; expected one"),
        ((b"x", b"y"), "got a second message; expected one"),
    ):
        found, error = ended(called(channel, "twice", *messages))
        assert (found, error.code()) == ([], grpc.StatusCode.INVALID_ARGUMENT)
        assert expected in error.details()


def test_an_error_after_messages_is_in_the_trailers(channel: grpc.Channel) -> None:
    found, error = ended(called(channel, "refusing", b"x", b"y"))
    assert (found, error.code()) == ([b"x"], grpc.StatusCode.INVALID_ARGUMENT)
    assert error.details() == "x: got 1; expected 2"
    assert "grpc-status-details-bin" in dict(error.trailing_metadata())


@pytest.mark.parametrize(("name", "before"), [("failing", [b"x"]), ("failing_at_once", [])])
def test_an_internal_error_is_internal_and_hides_its_text(
    channel: grpc.Channel, name: str, before: list[bytes]
) -> None:
    found, error = ended(called(channel, name, b"x"))
    assert (found, error.code()) == (before, grpc.StatusCode.INTERNAL)
    assert "secret" not in error.details()


def test_an_error_before_any_message_is_trailers_only(server: StreamServer) -> None:
    with calling(server.port) as caller:
        answer = caller.answer(raw(caller, "twice", b""))
        assert (answer.status, answer.body, answer.trailers) == (200, b"", [])


def test_a_response_larger_than_the_window_is_complete(channel: grpc.Channel) -> None:
    [answer] = called(channel, "large", bytes(range(256)) * 300)
    assert answer == bytes(range(256)) * 300 * 20


@pytest.mark.parametrize("coding", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages_get_compressed_responses(server: StreamServer, coding: grpc.Compression) -> None:
    with connected(server) as channel:
        messages = [b"x" * 50_000, b"short", bytes(90_000)]
        assert list(called(channel, "echo", *messages, compression=coding)) == messages


@pytest.mark.parametrize(("accepted", "flag"), [("identity,gzip", 1), ("identity", 0)])
def test_responses_are_compressed_if_the_client_accepts_gzip_and_they_get_smaller(
    server: StreamServer, accepted: str, flag: int
) -> None:
    packed = gzip.compress(b"x" * 5000)
    body = b"\1" + len(packed).to_bytes(4, "big") + packed + frame(b"short", gzip=False)
    fields = (("grpc-encoding", "gzip"), ("grpc-accept-encoding", accepted))
    with calling(server.port) as caller:
        answer = caller.answer(raw(caller, "echo", body, fields=fields))
    size = int.from_bytes(answer.body[1:5], "big")
    first = answer.body[5 : 5 + size]
    assert (answer.body[0], gzip.decompress(first) if flag else first) == (flag, b"x" * 5000)
    assert answer.body[5 + size :] == frame(b"short", gzip=False)


@pytest.mark.parametrize(
    ("body", "code", "expected"),
    [
        (frame(b"x", gzip=False) + b"\0\0\0\0\5ab", b"3", b"got 7 bytes of an incomplete message"),
        (frame(b"x", gzip=False) + b"\0\0", b"3", b"got 2 bytes of an incomplete message"),
        (frame(b"x", gzip=False) + b"\7\0\0\0\0", b"3", b"got flag 7"),
        (frame(b"x", gzip=False) + b"\0\xff\xff\xff\xff", b"8", b"got 4294967295 bytes"),
        (frame(b"x", gzip=False) + b"\1\0\0\0\1x", b"3", b"got no coding for a compressed message"),
    ],
)
def test_a_malformed_message_ends_the_call_after_the_responses_before_it(
    server: StreamServer, body: bytes, code: bytes, expected: bytes
) -> None:
    with calling(server.port) as caller:
        answer = caller.answer(raw(caller, "echo", body))
    assert answer.body == frame(b"x", gzip=False)
    assert status(answer)[0] == code
    assert expected in status(answer)[1]


def test_a_decompression_bomb_is_stopped_at_the_limit(channel: grpc.Channel) -> None:
    """The compressed message is a thousand times smaller, and is below the limit."""
    found, error = ended(called(channel, "silent", bytes(LIMIT * 50), compression=grpc.Compression.Gzip))
    assert (found, error.code()) == ([], grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_a_timeout_limits_the_whole_call(channel: grpc.Channel, server: StreamServer) -> None:
    ended_event.clear()
    with calling(server.port) as caller:
        answer = caller.answer(raw(caller, "endless", b"", end=False, fields=(("grpc-timeout", "200m"),)))
        assert answer.body.startswith(frame(b"tick", gzip=False))
        assert status(answer)[0] == b"4"
        assert b"longer than its grpc-timeout of 0.2 s" in status(answer)[1]
    assert ended_event.wait(DEADLINE)
    assert list(called(channel, "echo", b"x")) == [b"x"]  # connects, which takes a part of the first call's timeout
    found, error = ended(called(channel, "endless", timeout=1))
    assert found
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert list(called(channel, "echo", b"x", timeout=DEADLINE)) == [b"x"]


def test_an_invalid_timeout_is_refused(server: StreamServer) -> None:
    with calling(server.port) as caller:
        stream = raw(caller, "echo", b"", end=False, fields=(("grpc-timeout", "soon"),))
        caller.until(lambda: caller.answers[stream].ended)
        assert (caller.answers[stream].status, caller.answers[stream].body) == (200, b"")


@pytest.mark.parametrize("leave", [lambda call: call.cancel(), None], ids=["cancel", "disconnect"])
def test_a_disconnected_client_ends_the_method(server: StreamServer, leave: Callable[[Any], object] | None) -> None:
    ended_event.clear()
    channel = connected(server)
    call = called(channel, "endless")
    next(call)
    if leave:
        leave(call)
    else:
        channel.close()
    assert ended_event.wait(DEADLINE)
    channel.close()
    eventually(lambda: server.server.budget.used == 0)


def test_an_idle_stream_gets_unavailable_when_the_process_ends() -> None:
    with streaming(METHODS) as server, connected(server) as channel:
        waits = threading.Event()

        def messages() -> Iterator[bytes]:
            yield b"x"
            waits.wait(DEADLINE)

        call = channel.stream_stream("/t.Test/echo")(messages(), timeout=DEADLINE)
        assert next(call) == b"x"
        server.shut_down(grace=2 * DEADLINE)
        _, error = ended(call)
        waits.set()
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "shutting down" in error.details()
        eventually(server.ended)


def test_a_busy_stream_gets_unavailable_after_the_grace_period() -> None:
    async def busy(_: Messages, __: StreamCall) -> Answers:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    with streaming({"busy": busy}) as server, connected(server) as channel:
        call = called(channel, "busy")
        next(call)
        server.shut_down(grace=0.5)
        _, error = ended(call)
        assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_a_client_that_sends_half_a_message_times_out() -> None:
    with streaming(METHODS, LIMITS._replace(body_time=0.5)) as server, calling(server.port) as caller:
        stream = raw(caller, "echo", frame(b"whole", gzip=False) + b"\0\0\0\0\5ab", end=False)
        answer = caller.answer(stream)
        assert answer.body == frame(b"whole", gzip=False)
        assert status(answer)[0] == b"4"
        eventually(lambda: server.server.budget.used == 0)


def test_a_stream_that_is_always_within_a_message_does_not_time_out() -> None:
    """The timeout of a message starts with the message, not with the stream."""
    quick = LIMITS._replace(body_time=2, stream_idle=30)
    one = frame(b"x" * 100, gzip=False)
    with streaming(METHODS, quick) as server, calling(server.port) as caller:
        stream = raw(caller, "echo", one[:50], end=False)
        for _ in range(25):
            time.sleep(0.1)
            caller.send(stream, one[50:] + one[:50], end=False)  # one ends, the next one begins
        caller.send(stream, one[50:])
        answer = caller.answer(stream)
    assert (answer.body, status(answer)) == (one * 26, (b"0", b""))


def test_memory_is_released_after_each_message() -> None:
    """A stream transfers more than the memory budget of the process."""
    with streaming(METHODS, LIMITS._replace(buffered=800_000)) as server, connected(server) as channel:
        assert sum(map(len, called(channel, "echo", *[bytes(90_000)] * 40))) == 40 * 90_000
        eventually(lambda: server.server.budget.used == 0)


def test_a_flood_of_empty_messages_does_not_block_others(server: StreamServer) -> None:
    with calling(server.port) as caller:
        stream = raw(caller, "silent", b"", end=False)
        room = caller.h2.local_flow_control_window(stream)
        caller.send(stream, b"\0\0\0\0\0" * (room // 5), end=False)
        assert server.alive()
        caller.send(stream, b"")
        assert status(caller.answer(stream)) == (b"0", b"")


def test_a_thousand_concurrent_streams_are_answered() -> None:
    with streaming(METHODS, LIMITS._replace(buffered=2**26)) as server, calling(server.port) as caller:
        streams = [raw(caller, "echo", frame(b"a", gzip=False), end=False) for _ in range(1000)]
        for stream in streams:
            caller.send(stream, frame(b"b", gzip=False))
        for stream in streams:
            assert caller.answer(stream).body == frame(b"a", gzip=False) + frame(b"b", gzip=False)
        assert server.server.budget.used == 0
