"""Streams that answer each message: in order, concurrently, within limits."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput, ScalezeroError
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.framing import frame
from runtime.frontends.grpc.messages import Message, Messages
from runtime.frontends.grpc.pipeline import MAX_IN_FLIGHT, PerMessage, in_order
from runtime.frontends.grpc.streams import StreamCall
from runtime.http.messages import Answer, Buffer, Request
from tests.runtime.frontends.grpc.stream_server import LIMIT, streaming
from tests.runtime.frontends.grpc.test_streams import called, connected, ended, raw, status
from tests.runtime.http.asgi_server import LIMITS
from tests.runtime.http.h2_client import calling
from tests.waiting import eventually

Answers = AsyncGenerator[bytes, None]


class Unary:
    """The handler of a unary method."""

    async def answer(self, request: Request) -> Answer:
        """Return the message, or raise an error for some messages."""
        message = bytes(framing.message(request))
        if message == b"bad":
            raise InvalidInput("x", got="bad", expected="good")
        if message == b"bug":
            raise ValueError("a secret")
        return framing.answer(message)


def failed(error: ScalezeroError, message: Buffer) -> bytes:
    return b"%b failed with %b" % (bytes(message), error.code.encode())


class Gate:
    """Holds responses back until it opens, and counts the messages in flight."""

    def __init__(self) -> None:
        self.begun = 0
        self.most = 0
        self.now = 0
        self.cancelled = 0
        self.open = threading.Event()

    async def answer(self, message: Message) -> bytes:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            while not self.open.is_set():  # noqa: ASYNC110 - the test opens it on another thread
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        return message.frame[5:]

    def method(self, messages: Messages, _: StreamCall) -> Answers:
        return in_order(messages, self.answer, limit=LIMIT)


def each(messages: Messages, call: StreamCall) -> Answers:
    return PerMessage(Unary(), Edge(), LIMIT, wrap=lambda answer: b"<%b>" % bytes(answer), fail=failed)(messages, call)


class Edge:
    """The edge, to which errors are passed."""

    def answer_error(self, error: Exception, _: Request) -> Answer:
        return Answer(200, str(error).encode())

    def reply(self, exchange: Any, answer: Answer) -> None:  # noqa: ANN401 - not called
        raise NotImplementedError

    def complete(self, request: Request, answer: Answer) -> None:
        raise NotImplementedError


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=150))
def test_responses_have_the_order_of_their_messages_whatever_their_durations(delays: list[int]) -> None:
    async def answer(message: Message) -> bytes:
        await asyncio.sleep(int(message.frame[5:]) / 10_000)
        return message.frame[5:]

    def method(messages: Messages, _: StreamCall) -> Answers:
        return in_order(messages, answer, limit=LIMIT)

    with streaming({"method": method}) as server, connected(server) as channel:
        messages = [b"%d" % delay for delay in delays]
        assert list(called(channel, "method", *messages)) == messages
        eventually(lambda: server.server.budget.used == 0)


def test_the_number_of_messages_in_flight_is_limited() -> None:
    gate = Gate()
    with streaming({"method": gate.method}) as server, calling(server.port) as caller:
        stream = raw(caller, "method", frame(b"x", gzip=False) * 200)
        eventually(lambda: gate.now == MAX_IN_FLIGHT)
        assert server.alive()
        gate.open.set()
        assert caller.answer(stream).body == frame(b"x", gzip=False) * 200
    assert (gate.begun, gate.most) == (200, MAX_IN_FLIGHT)


def test_the_bytes_of_messages_in_flight_are_limited() -> None:
    gate = Gate()
    with streaming({"method": gate.method}) as server, connected(server) as channel:
        call = called(channel, "method", *[bytes(40_000)] * 10)
        eventually(lambda: gate.now == 3)  # the third message reaches the limit of bytes
        assert server.alive()
        gate.open.set()
        assert len(list(call)) == 10
    assert gate.most == 3


def test_a_client_that_never_reads_stops_the_stream() -> None:
    """Responses fill the window and the buffers; then the server stops reading messages."""
    gate = Gate()
    gate.open.set()
    message = frame(bytes(1000), gzip=False)
    with (
        streaming({"method": gate.method}, LIMITS._replace(write_time=60)) as server,
        calling(server.port, credit=False) as caller,
    ):
        stream = raw(caller, "method", b"", end=False)
        sent = 0
        caller.socket.settimeout(1)  # no flow-control credit for this time: the server has stopped reading
        with suppress(TimeoutError):
            while sent < 20_000:
                caller.send(stream, message, end=False)
                sent += 1
        assert gate.begun < sent < 20_000
        assert server.server.budget.used < 2**20


def test_a_disconnected_client_cancels_its_messages_in_flight() -> None:
    gate = Gate()
    with streaming({"method": gate.method}) as server, connected(server) as channel:
        call = called(channel, "method", *[b"x"] * 10)
        eventually(lambda: gate.now == 10)
        call.cancel()
        eventually(lambda: gate.cancelled == 10)
        eventually(lambda: server.server.budget.used == 0)


def test_messages_in_flight_are_answered_before_a_shutdown_ends_the_stream() -> None:
    gate = Gate()
    with streaming({"method": gate.method}) as server, calling(server.port) as caller:
        stream = raw(caller, "method", frame(b"x", gzip=False) * 3, end=False)
        eventually(lambda: gate.now == 3)
        server.shut_down(grace=20)
        caller.until(lambda: bool(caller.goaway))
        time.sleep(1.2)  # longer than the time after which an idle stream ends
        gate.open.set()
        answer = caller.answer(stream)
        assert answer.body == frame(b"x", gzip=False) * 3
        assert status(answer)[0] == b"14"
        eventually(server.ended)


def test_the_error_of_the_stream_follows_the_responses_before_it() -> None:
    gate = Gate()
    with streaming({"method": gate.method}) as server, calling(server.port) as caller:
        stream = raw(caller, "method", frame(b"x", gzip=False) * 3 + b"\0\0")
        eventually(lambda: gate.now == 3)
        gate.open.set()
        answer = caller.answer(stream)
        assert answer.body == frame(b"x", gzip=False) * 3
        assert status(answer)[0] == b"3"


@pytest.mark.parametrize("coding", [None, grpc.Compression.Gzip])
def test_an_error_of_one_message_is_its_response_and_the_stream_continues(coding: grpc.Compression | None) -> None:
    with streaming({"each": each}) as server, connected(server) as channel:
        found = list(called(channel, "each", b"1", b"bad", b"bug", b"2"))
    assert found == [b"<1>", b"bad failed with invalid_input", b"bug failed with internal", b"<2>"]


def test_an_error_may_end_the_stream_instead() -> None:
    def fail(error: ScalezeroError, _: Buffer) -> bytes:
        raise error

    method = PerMessage(Unary(), Edge(), LIMIT, wrap=bytes, fail=fail)
    with streaming({"method": method}) as server, connected(server) as channel:
        found, error = ended(called(channel, "method", b"1", b"bad", b"2"))
    assert (found, error.code()) == ([b"1"], grpc.StatusCode.INVALID_ARGUMENT)
