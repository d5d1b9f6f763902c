"""A real server in its own process, reached over a real socket."""

import errno
import os
import random
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import DEADLINE, eventually

COMMAND = Path(sys.executable).with_name("scalezero")
RUN_SECONDS = 0.1  # of the CPU: more than the server uses for a request without its run
CHANCE = random.SystemRandom()
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without it, each client loads certificates, for 20 ms
HEADERS = {"content-type": "application/json"}
Answered = Callable[[], tuple[int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server, its process and its log."""

    url: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, **options: Any) -> httpx.Client:  # noqa: ANN401 - httpx's own options
        """Return a client of this server, without the proxies of the environment."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=DEADLINE, verify=NO_TLS, **options)

    def channel(self, **options: object) -> grpc.Channel:
        """Return a gRPC channel with its own connection; `options` are grpcio's, by name."""
        return grpc_channel(f"127.0.0.1:{self.port}", **options)

    def predict(self, inputs: object, *, model: str = "m", **headers: str) -> httpx.Response:
        """Send one prediction request over its own connection."""
        with self.client() as client:
            return client.post(f"/api/v1/models/{model}/predict", json={"inputs": inputs}, headers=headers)

    def get(self, path: str) -> httpx.Response:
        """Send one GET request over its own connection."""
        with self.client() as client:
            return client.get(path)


def grpc_channel(target: str, **options: object) -> grpc.Channel:
    """Return a channel with its own connection, without the proxies of the environment."""
    fixed = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    return grpc.insecure_channel(target, [*fixed, *options.items()])


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is not in use. Raises `OSError` if this machine does not have the address `host`.

    It is below the range from which systems choose the ports of clients: a client of another test could take it before
    the server does.
    """
    while True:
        port = CHANCE.randrange(10_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise
            return port


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a process: no settings of this process, and its own cache."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "SCALEZERO_CACHE_DIR": str(folder / "cache"), "SCALEZERO_THREADS": "1", **settings}


@contextmanager
def serving(
    folder: Path, *arguments: str | Path, ready: bool = True, env: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Served]:
    """Run `scalezero serve ARGUMENTS` until the block ends; its log is in `folder`. `ready`: wait for readiness."""
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
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait()


def until(served: Served, path: str, *, status: int = 200) -> None:
    """Wait until the path answers with the status."""
    last: list[object] = ["no response"]

    def answered() -> bool:
        assert served.process.poll() is None, served.log.read_text()
        try:
            answer = served.get(path)
        except httpx.TransportError as error:
            last[0] = error
            return False
        last[0] = answer
        return answer.status_code == status

    eventually(answered, lambda: f"{path}: {last[0]}; {served.log.read_text()}")


@contextmanager
def sent(served: Served, path: str, content: bytes) -> Iterator[Answered]:
    """Send a POST request on its own connection. Calling the yielded function waits for its status and body."""
    with closing(HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE)) as connection:
        connection.request("POST", path, content, HEADERS)

        def answer() -> tuple[int, bytes]:
            response = connection.getresponse()
            return response.status, response.read()

        yield answer


def until_read(served: Served) -> None:
    """Wait until the server has read what was sent before, on any connection."""
    for _ in range(3):
        assert served.get("/healthz/live").status_code == 200


def until_running(served: Served) -> None:
    """Wait until the server computes: a long run that a caller asked for before has begun. Sends no request."""
    process = psutil.Process(served.process.pid)

    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before = used()
    eventually(lambda: used() >= before + RUN_SECONDS, served.log.read_text)


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """Check the form of an error response, and return the error."""
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
    """Return the numbers of requests by protocol, code and fault."""
    return {(labels["protocol"], labels["code"], labels["fault"]): value for labels, value in _request_counts(served)}


def managed(served: Served) -> Counter[tuple[str, str, str]]:
    """Count the requests of TorchServe's management API by model, version and code."""
    return Counter(
        {
            (labels["model"], labels["version"], labels["code"]): int(value)
            for labels, value in _request_counts(served)
            if labels["protocol"] == "torchserve_management"
        }
    )


def _request_counts(served: Served) -> list[tuple[dict[str, str], float]]:
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(served.get("/metrics").text)
        for sample in family.samples
        if sample.name == "scalezero_request_seconds_count"
    ]
