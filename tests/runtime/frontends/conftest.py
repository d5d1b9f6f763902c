"""A real server in a process of its own, reached over a real socket."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

COMMAND = Path(sys.executable).with_name("scalezero")
START_DEADLINE, STOP_DEADLINE = 20.0, 20.0  # seconds
HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that answers, and what its process has said so far."""

    url: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, **options: Any) -> httpx.Client:  # noqa: ANN401 - httpx's own options
        """A client of this server alone, whatever proxies the environment names."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=20, **options)

    def channel(self, **options: object) -> grpc.Channel:
        """A channel of gRPC with a connection of its own; grpcio's own options by name."""
        return grpc_channel(f"127.0.0.1:{self.port}", **options)

    def predict(self, inputs: object, *, model: str = "m", **headers: str) -> httpx.Response:
        """Ask once, over a connection of its own."""
        with self.client() as client:
            return client.post(f"/api/v1/models/{model}/predict", json={"inputs": inputs}, headers=headers)

    def get(self, path: str) -> httpx.Response:
        """Ask once, over a connection of its own."""
        with self.client() as client:
            return client.get(path)


def grpc_channel(target: str, **options: object) -> grpc.Channel:
    """A channel that shares its connection with no other one, whatever proxies the environment names."""
    fixed = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    return grpc.insecure_channel(target, [*fixed, *options.items()])


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """What a process starts with: nothing of this one's settings, and a cache of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "SCALEZERO_CACHE_DIR": str(folder / "cache"), "SCALEZERO_THREADS": "1", **settings}


@contextmanager
def serving(
    folder: Path, *arguments: str | Path, ready: bool = True, env: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Served]:
    """`scalezero serve ARGUMENTS` until the block ends; its log is in `folder`. `ready`: not before its model is."""
    port = free_port()
    log = folder / f"serve-{port}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [COMMAND, "serve", *map(str, arguments), "--host", "127.0.0.1", "--port", str(port)],
            env={**environment(folder, **settings), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    served = Served(url=f"http://127.0.0.1:{port}", port=port, process=process, log=log)
    try:
        until(served, "/healthz/ready" if ready else "/healthz/live")
        yield served
    finally:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE)
        finally:
            process.kill()
            process.wait()


def until(served: Served, path: str, *, status: int = 200, seconds: float = START_DEADLINE) -> None:
    """Wait until the path answers with the status."""
    last: object = "no answer"
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        assert served.process.poll() is None, served.log.read_text()
        try:
            last = served.get(path)
        except httpx.TransportError as error:
            last = error
        else:
            if last.status_code == status:
                return
        time.sleep(0.02)
    pytest.fail(f"{path}: {last}; {served.log.read_text()}")


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error document of a refused request, its form checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert set(document) == {"error"}
    error: dict[str, Any] = document["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    assert isinstance(error["details"], dict)
    return error


def counts(served: Served) -> dict[tuple[str, str, str], float]:
    """Requests by protocol, code and fault."""
    return {
        (sample.labels["protocol"], sample.labels["code"], sample.labels["fault"]): sample.value
        for family in text_string_to_metric_families(served.get("/metrics").text)
        for sample in family.samples
        if sample.name == "scalezero_request_seconds_count"
    }
