"""The target of an attack, and the types that attacks share."""

import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

HOST: Final = "127.0.0.1"


class AttackTarget(NamedTuple):
    """A server of this run, and the limits of one attack."""

    port: int
    path: str  # of its predict API
    width: int  # numbers per row of its model
    limit: int  # bytes; its largest request body
    seconds: float  # duration of the attack

    def connect(self) -> socket.socket:
        """Open a new connection with the duration of the attack as its timeout. Raises OSError."""
        return socket.create_connection((HOST, self.port), timeout=self.seconds)

    def at(self, path: str) -> str:
        """Return a path of another protocol for the same model."""
        return path.replace("{model}", self.path.split("/")[-2])

    def post_head(
        self, length: int, *, encoding: str | None = None, path: str | None = None, kind: str = "application/json"
    ) -> bytes:
        """Return the head of a request with a body of `length` bytes. It accepts a compressed answer."""
        encoded = f"content-encoding: {encoding}\r\n" if encoding else ""
        return (
            f"POST {path or self.path} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\nconnection: close\r\n"
            f"content-type: {kind}\r\naccept-encoding: gzip\r\n{encoded}content-length: {length}\r\n\r\n"
        ).encode()


Outcome = Counter[str]  # the number of requests or connections by result: a status or a word
Run = Callable[[], Outcome]
Prepare = Callable[[AttackTarget], Run]  # does the slow work before the timer starts


class Timer:
    """The timer of an attack. It starts when it is created."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def is_running(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self._end
