"""Sends requests to a server: the first one after its start, many at once, or many over one connection."""

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
READY: Final = "/healthz/ready"
CALLERS: Final = 32  # at once, so that their rows share a batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response. The names of its headers are in lower case."""

    status: int
    text: bytes
    headers: Mapping[str, str]


JSON: Final[Mapping[str, str]] = MappingProxyType({"content-type": "application/json"})


def send_request(
    server: Server, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str] = JSON
) -> Reply:
    """Send one request over a new connection. Raises OSError or HTTPException if there is no answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_SECONDS)) as connection:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Reply(status=response.status, text=response.read(), headers=names)


def wait_for_first_answer(server: Server, subject: Subject) -> float:
    """Wait for the first correct answer to a row; return the seconds since the start. See `wait_until_correct`."""
    return wait_until_correct(server, lambda: _error(server, subject, 0))


def wait_until_correct(server: Server, error: Callable[[], str | None]) -> float:
    """Wait for the first correct answer of a server. Return the seconds since its start.

    `error` sends a request over a new connection, every 4 ms, and returns what is wrong with the answer, or None.
    Raises CannotMeasure if the server exits, or gives no correct answer within a minute.
    """
    found: str | None = "no answer"
    while time.perf_counter() - server.started < FIRST_ANSWER_SECONDS:
        try:
            found = error()
        except (OSError, http.client.HTTPException):
            server.raise_if_exited()
        else:
            if found is None:
                return time.perf_counter() - server.started
        time.sleep(POLL_SECONDS)
    raise CannotMeasure(f"{server.launch.label}: no correct answer within {FIRST_ANSWER_SECONDS:.0f} s; last: {found}")


def not_ready(server: Server) -> str | None:
    """Return why our server is not ready, or None. Raises as `send_request`."""
    reply = send_request(server, "GET", READY)
    return None if reply.status == http.HTTPStatus.OK else f"{READY} answered {reply.status} {reply.text[:200]!r}"


def check_answers(server: Server, subject: Subject) -> None:
    """Send all rows at once and check each answer. Raises CannotMeasure if one is not the answer to its row."""
    with ThreadPoolExecutor(CALLERS) as pool:
        errors = [
            found for found in pool.map(lambda row: _error(server, subject, row), range(len(subject.rows))) if found
        ]
    if errors:
        raise CannotMeasure(f"{server.launch.label} answered {len(errors)} of {len(subject.rows)} wrongly: {errors[0]}")


def _error(server: Server, subject: Subject, index: int) -> str | None:
    """Return what is wrong with the answer to a row, or None."""
    reply = send_request(server, "POST", server.launch.path, subject.body(index))
    right = reply.status == http.HTTPStatus.OK and subject.accepts(index, reply.text)
    return None if right else f"row {index}: {reply.status} {reply.text[:200]!r}"


class KeepAliveConnection:
    """A keep-alive connection that sends the same request repeatedly, with as little work as possible."""

    def __init__(self, connection: socket.socket, request: bytes) -> None:
        self._connection = connection
        self._request = request

    def send(self) -> bytes:
        """Send the request and return the body of the answer. Raises CannotMeasure for any status except 200."""
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
    """Return the content-length of a response's head, in bytes. Raises CannotMeasure if it has none."""
    _, name, rest = head.lower().partition(b"\r\ncontent-length:")
    if not name:
        raise CannotMeasure(f"the answer has no content-length: {head[:200]!r}")
    return int(rest.partition(b"\r\n")[0])


@contextmanager
def keep_alive(server: Server, subject: Subject, index: int) -> Iterator[KeepAliveConnection]:
    """Open a keep-alive connection for requests for one row."""
    body = subject.body(index)
    head = (
        f"POST {server.launch.path} HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield KeepAliveConnection(connection, head.encode() + body)
