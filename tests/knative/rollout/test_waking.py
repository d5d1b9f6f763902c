"""A revision is woken by its URL where that can be reached, and it is told where it cannot."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from knative.rollout.waking import wake


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [200, 404, 503])
def test_any_answer_is_one(status: int) -> None:
    with answering(status) as (url, asked):
        assert wake(url, timeout=5)
    assert asked == ["/healthz/ready"]


def test_a_pod_that_takes_longer_is_on_its_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        assert wake(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.1)


def test_where_nothing_listens_nothing_is_woken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert not wake(url, timeout=1)
    assert not wake("http://v2-m.default.invalid", timeout=1)
