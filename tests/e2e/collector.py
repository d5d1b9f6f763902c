"""A server in the test process that keeps each event that it gets: the end of a trigger, a dead letter sink, a webhook.

Pods reach it at the address of the S3 server, if that is on this machine.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.namespace import Namespace, wait_until


@dataclass(frozen=True, slots=True)
class Received:
    """A request, with lower-case names of headers."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of an event in binary mode, without the prefix of their headers."""
        return {name[3:]: value for name, value in self.headers.items() if name.startswith("ce-")}

    @property
    def data(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Collector:
    """What arrived, in its order. Each path is a sink of its own."""

    url: str
    received: list[Received] = field(default_factory=list)

    def at(self, path: str) -> list[Received]:
        """Return what arrived at a path."""
        return [each for each in list(self.received) if each.path == path]

    def wait(self, path: str, count: int = 1, *, seconds: float = 60) -> list[Received]:
        """Wait until `count` requests have arrived at a path, and return all of them."""
        wait_until(f"{count} requests at {path}", lambda: len(self.at(path)) >= count, seconds=seconds)
        return self.at(path)


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """Read a body by its length, or in chunks, as Knative sends them."""
    if "chunked" not in request.headers.get("transfer-encoding", ""):
        return request.rfile.read(int(request.headers.get("content-length", 0)))
    parts = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(parts)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def collecting(own: Namespace) -> Iterator[Collector]:
    """Start the server, and stop it at the end of the block. Skips the test if pods cannot reach this machine."""
    host = str(urlsplit(own.s3.endpoint_url).hostname)
    try:
        socket.create_server((host, 0)).close()
    except OSError as error:
        pytest.skip(f"the S3 server is on another machine than these tests: {error}")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            collector.received.append(Received(self.path, headers, _body(self)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = _Server((host, 0), Handler)
    collector = Collector(f"http://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
