"""The server that an attack is aimed at, and what an attack is made of."""

import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

HOST: Final = "127.0.0.1"


class Aim(NamedTuple):
    """A server of this run, and the bounds of one attack."""

    port: int
    path: str  # of its predict API
    width: int  # numbers in a row of its model
    limit: int  # bytes: its largest request body
    seconds: float  # the duration of the attack

    def connect(self) -> socket.socket:
        """A new connection, whose operations end when the attack's time does. Raises OSError."""
        return socket.create_connection((HOST, self.port), timeout=self.seconds)

    def at(self, path: str) -> str:
        """A path of another protocol, for the same model."""
        return path.replace("{model}", self.path.split("/")[-2])

    def post_head(
        self, length: int, *, encoding: str | None = None, path: str | None = None, kind: str = "application/json"
    ) -> bytes:
        """The head of a request whose body has this many bytes. It asks for a compressed answer."""
        encoded = f"content-encoding: {encoding}\r\n" if encoding else ""
        return (
            f"POST {path or self.path} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\nconnection: close\r\n"
            f"content-type: {kind}\r\naccept-encoding: gzip\r\n{encoded}content-length: {length}\r\n\r\n"
        ).encode()


Outcome = Counter[str]  # what became of its requests or connections, by a word or a status
Run = Callable[[], Outcome]
Prepare = Callable[[Aim], Run]  # all that takes time happens here, before the clock runs


class Clock:
    """Tells when an attack's time is over. It starts when it is made."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def runs(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self._end
