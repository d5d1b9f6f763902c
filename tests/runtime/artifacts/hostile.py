"""A server that sends what a test says, byte by byte, to whoever asks; it knows no HTTP of its own."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Script = Callable[[socket.socket], None]  # sends the answer to one request


class Hostile:
    """The server, on a port of its own of the loopback interface."""

    def __init__(self, script: Script) -> None:
        self.heads: list[str] = []  # of the requests that came
        self.closing = threading.Event()  # a script that goes on for ever looks at it
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return "http://{}:{}".format(*self._listening.getsockname()[:2])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while head := _head(connection):
                self.heads.append(head)
                self._script(connection)


def sending(*pieces: bytes) -> Script:
    """Send these bytes as the answer, and close."""

    def script(connection: socket.socket) -> None:
        connection.sendall(b"".join(pieces))
        connection.shutdown(socket.SHUT_WR)

    return script


def endless(start: bytes, piece: bytes, *, pause: Callable[[], object] = lambda: None) -> Script:
    """Send `start`, then `piece` again and again until the client leaves."""

    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            pause()

    return script


def _head(connection: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            return ""
        head += piece
    return head.decode("latin-1")
