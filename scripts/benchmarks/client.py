"""Ask a server: once and for the first time, all at once, or in a row over one connection."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.servers import Server
from scripts.benchmarks.subjects import Subject

POLL_SECONDS: Final = 0.004
FIRST_ANSWER_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 60.0
CALLERS: Final = 32  # at once, so that their rows meet in one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back; the names of its headers are in lower case."""

    status: int
    text: bytes
    headers: Mapping[str, str]


JSON: Final[Mapping[str, str]] = MappingProxyType({"content-type": "application/json"})


def ask(
    server: Server, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str] = JSON
) -> Reply:
    """One request over a new connection. Raises OSError or HTTPException where nobody answers."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_SECONDS)) as connection:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Reply(status=response.status, text=response.read(), headers=names)


def first_right_answer(server: Server, subject: Subject) -> float:
    """Seconds from the start of the server to its first right answer to a row; see `first_right`."""
    return first_right(server, lambda: _fault(server, subject, 0))


def first_right(server: Server, fault: Callable[[], str | None]) -> float:
    """Seconds from the start of the server to its first right answer, asked for every 4 ms over a new connection.

    `fault` asks, and says what is wrong with the answer. Raises CannotMeasure where the server ends, or answers wrongly
    or not at all for a minute.
    """
    heard: str | None = "nothing"
    while time.perf_counter() - server.started < FIRST_ANSWER_SECONDS:
        try:
            heard = fault()
        except (OSError, http.client.HTTPException):
            server.must_run()
        else:
            if heard is None:
                return time.perf_counter() - server.started
        time.sleep(POLL_SECONDS)
    raise CannotMeasure(f"{server.launch.label}: no right answer in {FIRST_ANSWER_SECONDS:.0f} s, heard {heard}")


def check(server: Server, subject: Subject) -> None:
    """All rows at once: each caller must get the answer to its own. Raises CannotMeasure where one does not."""
    with ThreadPoolExecutor(CALLERS) as pool:
        faults = [
            found for found in pool.map(lambda row: _fault(server, subject, row), range(len(subject.rows))) if found
        ]
    if faults:
        raise CannotMeasure(f"{server.launch.label} answered {len(faults)} of {len(subject.rows)} wrongly: {faults[0]}")


def _fault(server: Server, subject: Subject, index: int) -> str | None:
    """What is wrong with the answer to a row; None: nothing."""
    reply = ask(server, "POST", server.launch.path, subject.body(index))
    right = reply.status == http.HTTPStatus.OK and subject.accepts(index, reply.text)
    return None if right else f"row {index}: {reply.status} {reply.text[:200]!r}"


class Line:
    """One keep-alive connection that sends the same request over and over, with as little work as possible."""

    def __init__(self, connection: socket.socket, request: bytes) -> None:
        self._connection = connection
        self._request = request

    def ask(self) -> bytes:
        """Send the request, return the answer's body. Raises CannotMeasure on any status but 200."""
        self._connection.sendall(self._request)
        received = self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        length = content_length(head)
        while len(body) < length:
            body += self._receive()
        if not head.startswith(b"HTTP/1.1 200"):
            raise CannotMeasure(f"answered {head.splitlines()[0]!r} {body[:200]!r}")
        return body

    def _receive(self) -> bytes:
        received = self._connection.recv(65536)
        if not received:
            raise CannotMeasure("the server closed a keep-alive connection")
        return received


def content_length(head: bytes) -> int:
    """The length that a response's head announces, in bytes. Raises CannotMeasure where it announces none."""
    _, name, rest = head.lower().partition(b"\r\ncontent-length:")
    if not name:
        raise CannotMeasure(f"an answer without content-length: {head[:200]!r}")
    return int(rest.partition(b"\r\n")[0])


@contextmanager
def line(server: Server, subject: Subject, index: int) -> Iterator[Line]:
    """An open keep-alive connection that asks for one row."""
    body = subject.body(index)
    head = (
        f"POST {server.launch.path} HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Line(connection, head.encode() + body)
