"""The requests of a rollout to the pods: reading their metrics, and starting one."""

# ruff: noqa: ARG002 - the signatures of the base class

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
from tests.knative.rollout.cluster import OneServiceCluster
from tests.waiting import DEADLINE


@contextmanager
def http_server(status: int) -> Iterator[tuple[str, list[str]]]:
    """Run a server on loopback that responds with this status; yield its URL and the requested paths."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Suppress the log."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", paths
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [200, 404, 503])
def test_any_status_means_that_the_pod_was_reached(status: int) -> None:
    with http_server(status) as (url, paths):
        assert wake(url, timeout=DEADLINE)
    assert paths == ["/healthz/ready"]


def test_a_request_that_times_out_may_start_a_pod() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert wake(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)


def test_a_refused_connection_or_an_unknown_host_starts_no_pod() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    assert not wake(url, timeout=1)
    assert not wake("http://v2-m.default.invalid", timeout=1)


class ConcurrentPods(OneServiceCluster):
    """Pods that respond only when `together` requests are in flight."""

    def __init__(self, *, together: int, pods: int) -> None:
        super().__init__(pods=pods)
        self.barrier = Barrier(together)
        self.lock, self.in_flight, self.max_in_flight = Lock(), 0, 0

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
        with self.lock:
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self.barrier.wait(timeout=DEADLINE)
        with self.lock:
            self.in_flight -= 1
        return Answer(503, b"")


def test_pods_are_scraped_concurrently_up_to_a_limit() -> None:
    cluster = ConcurrentPods(together=SCRAPES, pods=2 * SCRAPES)
    watch = Watch(cluster)
    watch.scrape(
        State(target="m-v2", stable=(Share("m-v1", 100),), steps=(100,)), [pod_of(each) for each in cluster.pods]
    )
    assert cluster.max_in_flight == SCRAPES
    assert watch.lacks_metrics
