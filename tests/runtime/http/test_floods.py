"""A client that floods a connection stops nobody else and holds little memory, whatever it floods with."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from tests.runtime.http.asgi_server import eventually
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

HELD = 900  # streams that a flood keeps open; a connection may have 1000
MEMORY = 96 * 2**20  # bytes that an attacker may cost; a lack of bounds costs as much as is sent, times some factor
TIME = 15  # seconds for 40 answers; they take below 2, and took 26 to 50 where a turn of the loop had no bound
CANCEL = (8).to_bytes(4, "big")
ONE_BYTE = (1).to_bytes(4, "big")
FIELD = b"\x00\x01x\x40" + b"y" * 64  # a header without an entry in HPACK's table
OPENED = b"".join(ask("/until_left", stream=2 * number + 1) for number in range(HELD))

# What opens a connection, and what is then sent again and again.
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
    "PRIORITY of streams to come": (
        PREFACE + OPENED,
        b"".join(frame(PRIORITY, bytes(4) + b"\x10", stream=2 * number + 1) for number in range(HELD, 2 * HELD)),
    ),
    "PRIORITY_UPDATE": (
        PREFACE + OPENED,
        b"".join(
            frame(PRIORITY_UPDATE, (2 * number + 1).to_bytes(4, "big") + b"u=1") for number in range(HELD, 2 * HELD)
        ),
    ),
    "frames of no kind": (PREFACE + OPENED, frame(200, bytes(64)) * 200),
    "empty DATA": (PREFACE + ask("/echo", stream=1, flags=END_HEADERS), frame(DATA, stream=1) * 500),
    "DATA beyond the window": (
        PREFACE + ask("/echo", stream=1, flags=END_HEADERS),
        frame(DATA, bytes(16_384), stream=1) * 20,
    ),
    "DATA of no stream": (PREFACE, frame(DATA, bytes(1000), stream=2 * HELD + 1) * 20),
    "heads of one stream": (PREFACE, ask("/direct", stream=1) * 100),
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
    """Send that, and do so anew where the server closes, until the block ends. The list counts the bytes sent."""
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
            connection.settimeout(0.5)  # the server may stop reading, as the flood does not read either
            connection.sendall(opening)
            while not enough.is_set():
                connection.sendall(again)
                sent.append(len(again))


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_stops_nobody_else_and_holds_little_memory(server: Process, name: str) -> None:
    opening, again = FLOODS[name]
    before, most = server.memory(), 0
    with flooding(server, opening, again) as sent:
        eventually(lambda: len(sent) > 0)
        began = time.monotonic()
        for _ in range(40):
            assert server.alive()
            most = max(most, server.memory())
        assert time.monotonic() - began < TIME
    assert most - before < MEMORY
    assert server.alive()


def test_resets_without_end_end_their_connection_and_no_other(server: Process) -> None:
    """A proxy's clients may give up by the thousand, but not faster than the rate for which there is room."""
    with closing(server.connect()) as connection, suppress(ConnectionError):
        connection.sendall(PREFACE)
        for start in range(0, 60_000, 100):
            connection.sendall(
                b"".join(
                    ask("/until_left", stream=2 * number + 1) + frame(RST_STREAM, CANCEL, stream=2 * number + 1)
                    for number in range(start, start + 100)
                )
            )
            if start % 10_000 == 0:
                assert server.alive()
        while connection.recv(65536):
            pass
    assert server.alive()
    assert server.memory() < 2**29


def test_many_half_requests_within_1024_files_do_not_lock_out_a_whole_one() -> None:
    halves = [
        b"",
        b"GET /direct HT",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx",
        PREFACE[:10],
        PREFACE,
        PREFACE + ask("/echo", stream=1, flags=END_HEADERS),
        PREFACE + frame(HEADERS, b"\x83", stream=1),
    ]
    with serving_process(files=1024) as server, held(server, 1100, halves):
        for _ in range(5):
            assert server.alive()


@contextmanager
def held(server: Process, number: int, halves: list[bytes]) -> Iterator[None]:
    """So many connections, each with one of the halves sent."""
    connections = []
    try:
        for each in range(number):
            connections.append(server.connect())
            with suppress(ConnectionError):  # it had to make room already
                connections[-1].sendall(halves[each % len(halves)])
        yield
    finally:
        for connection in connections:
            connection.close()
