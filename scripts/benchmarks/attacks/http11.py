"""Many HTTP/1.1 connections that send slowly, or never read their answers."""

import socket
import time
from collections import Counter
from typing import Final

from scripts.benchmarks.attacks.aim import HOST, Aim, Clock, Outcome, Run

HALF_OPEN: Final = 1100  # more than Linux's default limit on open files
SLOW: Final = 200
UNREAD: Final = 50
SLOW_PIECE: Final = 16384  # bytes of a body, each time
PAUSE_SECONDS: Final = 0.05
LITTLE_BUFFER: Final = 4096  # of a caller that does not read
PIPELINED: Final = 100


class Crowd:
    """Connections that all send the same and never wait for the server."""

    def __init__(self, aim: Aim, *, count: int, receive_buffer: int | None = None) -> None:
        self._aim = aim
        self._open: dict[socket.socket, bytes] = {}  # each with what it could not send yet
        self._count = count
        self._receive_buffer = receive_buffer

    def connect(self, clock: Clock) -> None:
        """Connect, as many as the server lets in before the time is over."""
        while len(self._open) < self._count and clock.runs():
            try:
                self._open[self._connected()] = b""
            except OSError:
                return

    def _connected(self) -> socket.socket:
        connection = socket.socket()
        try:
            connection.settimeout(self._aim.seconds)
            if self._receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            connection.connect((HOST, self._aim.port))
        except OSError:
            connection.close()
            raise
        connection.settimeout(0)
        return connection

    def send(self, data: bytes) -> None:
        """Send what goes at once; drop the connections that the server has closed.

        Where the last data has not gone yet, its rest is sent instead: else a request would end in the middle.
        """
        after = {each: unsent(each, left or data) for each, left in self._open.items()}
        self._open = {each: left for each, left in after.items() if left is not None}

    def end(self) -> Outcome:
        """Close all. Return how many were still open, and how many the server had refused or closed."""
        outcome = Counter({"open": len(self._open), "closed": self._count - len(self._open)})
        for connection in self._open:
            connection.close()
        return outcome


def unsent(connection: socket.socket, data: bytes) -> bytes | None:
    """Send as much as goes without waiting; return the rest, or None where the server has closed the connection."""
    try:
        return data[connection.send(data) :]
    except BlockingIOError:
        return data
    except OSError:
        connection.close()
        return None


def half_open(aim: Aim) -> Run:
    """Request heads that never end: one byte of a header at a time."""
    start = f"POST {aim.path} HTTP/1.1\r\nhost: {HOST}:{aim.port}\r\nx-".encode()
    return _slowly(aim, count=HALF_OPEN, start=start, piece=b"a")


def slow_bodies(aim: Aim) -> Run:
    """Bodies of the largest size that never end."""
    return _slowly(aim, count=SLOW, start=aim.post_head(aim.limit), piece=b" " * min(SLOW_PIECE, aim.limit // 1000 + 1))


def unread_answers(aim: Aim) -> Run:
    """Requests without a pause on each connection, and no answer is read."""
    requests = f"GET /openapi.json HTTP/1.1\r\nhost: {HOST}:{aim.port}\r\n\r\n".encode() * PIPELINED
    return _slowly(aim, count=UNREAD, start=requests, piece=requests, receive_buffer=LITTLE_BUFFER)


def _slowly(aim: Aim, *, count: int, start: bytes, piece: bytes, receive_buffer: int | None = None) -> Run:
    """Connect, send `start`, then a piece every 50 ms until the time is over."""

    def run() -> Outcome:
        clock, crowd = Clock(aim.seconds), Crowd(aim, count=count, receive_buffer=receive_buffer)
        crowd.connect(clock)
        crowd.send(start)
        while clock.runs():
            time.sleep(PAUSE_SECONDS)
            crowd.send(piece)
        return crowd.end()

    return run
