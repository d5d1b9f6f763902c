"""The server under test. At the end of the tests it must still be live and have released all resources."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, serving
from tests.waiting import DEADLINE, eventually

LIMIT = 100_000  # bytes; the largest body
BUFFERED_BODIES = 8  # bodies that the process may buffer
EXTRA_DESCRIPTORS = 4  # descriptors that the process may open for itself


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of numbers, served over every protocol."""
    folder = tmp_path_factory.mktemp("served")
    settings: dict[str, Any] = {
        "SCALEZERO_MAX_BODY_BYTES": str(LIMIT),
        "SCALEZERO_MAX_BUFFERED_BYTES": str(LIMIT * BUFFERED_BODIES),
        "SCALEZERO_EVENT_WINDOW": "0",  # so that each event is read, although its id is known
    }
    with serving(folder, models.doubling(folder / "m.onnx"), **settings) as served:
        process = psutil.Process(served.process.pid)
        before = process.num_fds()
        yield served
        assert served.get("/healthz/live").status_code == 200
        eventually(lambda: process.num_fds() <= before + EXTRA_DESCRIPTORS)
        assert "internal error" not in served.log.read_text()
        check_released(served)


def check_released(served: Served) -> None:
    """Check that the server has released all buffers: it accepts as many bodies at once as the limit allows."""
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {LIMIT}\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(BUFFERED_BODIES):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE))
            connection.sendall(head.encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b" " * (LIMIT - 1))
