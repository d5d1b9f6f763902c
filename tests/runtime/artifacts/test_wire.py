"""Tests of a connection with arbitrary responses."""

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.artifacts.http1 import Head
from runtime.artifacts.transport import Client, Limits, Origin, Response
from runtime.artifacts.wire import MAX_HEAD_BYTES, BrokenExchangeError, Connection

HEADS = [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]


def read(answer: bytes) -> tuple[Head, bytes]:
    """Return the head and the body of a response that the server sends before it closes the connection."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        connection = Connection(ours, stall=1.0, until=time.monotonic() + 5)
        client = Client(Origin("http", "127.0.0.1", 80), limits=Limits(stall=1.0, deadline=1.0))
        response = Response(client, connection, connection.send(b"GET / HTTP/1.1\r\n\r\n"))
        return response.head, b"".join(response.pieces())


@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_any_bytes_are_a_response_or_a_broken_exchange(head: bytes, noise: bytes) -> None:
    try:
        found, body = read(head + noise)
    except BrokenExchangeError:
        return
    assert found.length is None or len(body) == found.length


@given(st.lists(st.binary(min_size=1, max_size=50)))
def test_the_content_of_chunks_is_joined(pieces: list[bytes]) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read(head + chunks + b"0\r\n\r\n")[1] == b"".join(pieces)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert read(b"HTTP/1.1 200 OK\r\n\r\nbody")[1] == b"body"


def test_a_head_beyond_the_limit_is_refused() -> None:
    line = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx: "
    longest = MAX_HEAD_BYTES - len(line)
    assert read(line + b"y" * longest + b"\r\n\r\n")[0].status == 200
    with pytest.raises(BrokenExchangeError, match=f"more than {MAX_HEAD_BYTES} bytes"):
        read(line + b"y" * (longest + 1) + b"\r\n\r\n")
