"""The server under test. Whatever the tests have sent, it lives at the end, and holds nothing of it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, serving
from tests.runtime.http.asgi_server import eventually

LIMIT = 100_000  # bytes of a body
ROOM = 8  # bodies that the process may hold
DESCRIPTORS = 4  # that a process may open meanwhile for itself


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of numbers behind every protocol."""
    folder = tmp_path_factory.mktemp("served")
    settings: dict[str, Any] = {
        "SCALEZERO_MAX_BODY_BYTES": str(LIMIT),
        "SCALEZERO_MAX_BUFFERED_BYTES": str(LIMIT * ROOM),
    }
    with serving(folder, models.doubling(folder / "m.onnx"), **settings) as served:
        process = psutil.Process(served.process.pid)
        before = process.num_fds()
        yield served
        assert served.get("/healthz/live").status_code == 200
        eventually(lambda: process.num_fds() <= before + DESCRIPTORS)
        assert "internal error" not in served.log.read_text()
        holds_nothing(served)


def holds_nothing(served: Served) -> None:
    """Check that the budget of bodies is whole: as many bodies as fit are let in at once, none is refused."""
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {LIMIT}\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(ROOM):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10))
            connection.sendall(head.encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b" " * (LIMIT - 1))
