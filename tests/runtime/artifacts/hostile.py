"""A server that sends the bytes of a test's script as the response to each request. It does not implement HTTP."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Script = Callable[[socket.socket], None]  # sends the response to one request


class HostileServer:
    """The server, on a free port of the loopback interface."""

    def __init__(self, script: Script) -> None:
        self.heads: list[str] = []  # of the requests
        self.closing = threading.Event()  # ends a script that sends forever
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def url(self) -> str:
        """The URL of the server."""
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


def send_and_close(*pieces: bytes) -> Script:
    """Return a script that sends these bytes as the response, and closes the connection."""

    def script(connection: socket.socket) -> None:
        connection.sendall(b"".join(pieces))
        connection.shutdown(socket.SHUT_WR)

    return script


def send_forever(start: bytes, piece: bytes, *, pause: Callable[[], object] = lambda: None) -> Script:
    """Return a script that sends `start`, then `piece` repeatedly until the client disconnects."""

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
