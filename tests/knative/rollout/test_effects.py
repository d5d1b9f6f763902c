"""How a rollout reads the pods and starts one."""

# ruff: noqa: ARG002 - a fake takes what a Cluster takes

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Barrier, Lock, Thread

import pytest

from knative.api.client import Answer
from knative.rollout.effects import SCRAPES, Watch, wake
from knative.rollout.machine import State
from knative.rollout.reading import pod_of
from knative.rollout.split import Share
from tests.knative.rollout.cluster import Small


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


class Busy(Small):
    """Pods that answer only when several of them have been asked."""

    def __init__(self, *, together: int, pods: int) -> None:
        super().__init__(pods=pods)
        self.barrier = Barrier(together)
        self.lock, self.under_way, self.most = Lock(), 0, 0

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        self.barrier.wait(timeout=5)
        with self.lock:
            self.under_way -= 1
        return Answer(503, b"")


def test_pods_are_scraped_side_by_side_up_to_a_bound() -> None:
    cluster = Busy(together=SCRAPES, pods=2 * SCRAPES)
    watch = Watch(cluster)
    watch.scrape(
        State(target="m-v2", stable=(Share("m-v1", 100),), steps=(100,)), [pod_of(each) for each in cluster.pods]
    )
    assert cluster.most == SCRAPES
    assert watch.lacks_metrics
