"""A client that floods a connection does not delay other clients, and uses little memory."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from tests.runtime.http.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    PRIORITY_UPDATE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ask,
    frame,
)
from tests.runtime.http.process import Process, serving_process
from tests.waiting import eventually

HELD = 900  # open streams of a flood; a connection may have 1000
MEMORY = 96 * 2**20  # bytes that an attack may use; without limits it uses a multiple of what is sent
RESPONSES = 20
# Seconds of the server's CPU for a response: less than 0.05, and 0.65 to 1.25 without a limit for a turn of the loop.
# A client may wait for a CPU, and the server handles the flood in the meantime; so a quarter must be fast.
TIME = 0.35
CANCEL = (8).to_bytes(4, "big")
ONE_BYTE = (1).to_bytes(4, "big")
FIELD = b"\x00\x01x\x40" + b"y" * 64  # a header without an entry in HPACK's table
OPENED = b"".join(ask("/until_disconnect", stream=2 * number + 1) for number in range(HELD))

# The bytes that open a connection, and the bytes that are then sent repeatedly.
FLOODS = {
    "CONTINUATION": (PREFACE + frame(HEADERS, b"\x83\x86", stream=1), frame(CONTINUATION, FIELD * 100, stream=1)),
    "empty CONTINUATION": (PREFACE + frame(HEADERS, b"\x83\x86", stream=1), frame(CONTINUATION, stream=1) * 500),
    "PING": (PREFACE + OPENED, frame(PING, bytes(8)) * 500),
    "PING with ACK": (PREFACE + OPENED, frame(PING, bytes(8), flags=ACK) * 500),
    "SETTINGS": (PREFACE + OPENED, frame(SETTINGS) * 500),
    "SETTINGS of the window": (PREFACE + OPENED, frame(SETTINGS, b"\0\4\0\0\0\0" + b"\0\4\0\1\0\0") * 200),
    "SETTINGS with ACK": (PREFACE + OPENED, frame(SETTINGS, flags=ACK) * 500),
    "WINDOW_UPDATE of the connection": (PREFACE + OPENED, frame(WINDOW_UPDATE, ONE_BYTE) * 500),
    "WINDOW_UPDATE of each stream": (
        PREFACE + OPENED,
        b"".join(frame(WINDOW_UPDATE, ONE_BYTE, stream=2 * number + 1) for number in range(HELD)),
    ),
    "PRIORITY": (PREFACE + OPENED, frame(PRIORITY, b"\0\0\0\1\x10", stream=2 * HELD - 1) * 500),
    "PRIORITY of streams that are not open": (
        PREFACE + OPENED,
        b"".join(frame(PRIORITY, bytes(4) + b"\x10", stream=2 * number + 1) for number in range(HELD, 2 * HELD)),
    ),
    "PRIORITY_UPDATE": (
        PREFACE + OPENED,
        b"".join(
            frame(PRIORITY_UPDATE, (2 * number + 1).to_bytes(4, "big") + b"u=1") for number in range(HELD, 2 * HELD)
        ),
    ),
    "frames of an unknown type": (PREFACE + OPENED, frame(200, bytes(64)) * 200),
    "empty DATA": (PREFACE + ask("/echo", stream=1, flags=END_HEADERS), frame(DATA, stream=1) * 500),
    "DATA beyond the window": (
        PREFACE + ask("/echo", stream=1, flags=END_HEADERS),
        frame(DATA, bytes(16_384), stream=1) * 20,
    ),
    "DATA of an unknown stream": (PREFACE, frame(DATA, bytes(1000), stream=2 * HELD + 1) * 20),
    "several heads of one stream": (PREFACE, ask("/direct", stream=1) * 100),
    "chunks of one byte": (
        b"POST /direct HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
        b"1\r\nx\r\n" * 20_000,
    ),
    "pipelined requests": (b"", b"GET /direct HTTP/1.1\r\nhost: x\r\n\r\n" * 100),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with serving_process() as process:
        for _ in range(20):
            assert process.alive()
        yield process


@contextmanager
def flooding(server: Process, opening: bytes, again: bytes) -> Iterator[list[int]]:
    """Send the flood until the block ends, on a new connection each time the server closes. Yield the sizes sent."""
    enough = threading.Event()
    sent: list[int] = []
    flood = threading.Thread(target=lambda: _flood(server, opening, again, enough, sent))
    flood.start()
    try:
        yield sent
    finally:
        enough.set()
        flood.join()


def _flood(server: Process, opening: bytes, again: bytes, enough: threading.Event, sent: list[int]) -> None:
    while not enough.is_set():
        with closing(server.connect()) as connection, suppress(OSError):
            connection.settimeout(0.5)
            _send(connection, opening, enough)
            while not enough.is_set():
                _send(connection, again, enough)
                sent.append(len(again))


def _send(connection: socket.socket, data: bytes, enough: threading.Event) -> None:
    """Send the data, for as long as it takes: the server may have no CPU, or may not read, as the flood does not.

    On a slow machine, a flood that opened another connection instead would become one of many connections.
    """
    left = memoryview(data)
    while left and not enough.is_set():
        with suppress(TimeoutError):
            left = left[connection.send(left) :]


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_does_not_delay_others_and_uses_little_memory(server: Process, name: str) -> None:
    opening, again = FLOODS[name]
    before, most = server.memory(), 0
    with flooding(server, opening, again) as sent:
        eventually(lambda: len(sent) > 0)
        seconds = []
        for _ in range(RESPONSES):
            began = server.cpu()
            assert server.alive()
            seconds.append(server.cpu() - began)
            most = max(most, server.memory())
    assert sorted(seconds)[RESPONSES // 4] < TIME
    assert most - before < MEMORY
    assert server.alive()


def test_a_flood_of_resets_closes_only_its_own_connection(server: Process) -> None:
    """Thousands of clients of a proxy may cancel requests, but only at a limited rate."""
    with closing(server.connect()) as connection, suppress(ConnectionError):
        connection.sendall(PREFACE)
        for start in range(0, 60_000, 100):
            connection.sendall(
                b"".join(
                    ask("/until_disconnect", stream=2 * number + 1) + frame(RST_STREAM, CANCEL, stream=2 * number + 1)
                    for number in range(start, start + 100)
                )
            )
            if start % 10_000 == 0:
                assert server.alive()
        while connection.recv(65536):
            pass
    assert server.alive()
    assert server.memory() < 2**29


def test_1100_incomplete_requests_do_not_block_a_new_connection_with_1024_open_files() -> None:
    incomplete = [
        b"",
        b"GET /direct HT",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx",
        PREFACE[:10],
        PREFACE,
        PREFACE + ask("/echo", stream=1, flags=END_HEADERS),
        PREFACE + frame(HEADERS, b"\x83", stream=1),
    ]
    with serving_process(files=1024) as server, open_connections(server, 1100, incomplete):
        for _ in range(5):
            assert server.alive()


@contextmanager
def open_connections(server: Process, number: int, incomplete: list[bytes]) -> Iterator[None]:
    """Open `number` connections. Each sends one of the incomplete requests."""
    connections = []
    try:
        for each in range(number):
            connections.append(server.connect())
            with suppress(ConnectionError):  # it was evicted already
                connections[-1].sendall(incomplete[each % len(incomplete)])
        yield
    finally:
        for connection in connections:
            connection.close()
