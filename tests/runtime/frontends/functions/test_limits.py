"""The time limit of a call: hanging calls are reported, and delay neither other calls nor the shutdown."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, error_of, serving, until
from tests.waiting import DEADLINE, eventually

LIMIT = 2.0  # seconds
FUNCTION = """
import flask, pathlib, threading, time

go = pathlib.Path(__file__ + ".go")
lock = threading.Lock()
lock.acquire()

def pieces(number, pause):
    for _ in range(number):
        yield b"x" * 1000
        time.sleep(pause)

def handle(request):
    if request.path == "/wait":
        while not go.exists():
            time.sleep(0.01)
    if request.path == "/deadlock":
        pathlib.Path(__file__ + ".called").touch()
        lock.acquire()
    if request.path == "/steady":
        return flask.Response(pieces(6, 0.5))
    if request.path == "/pause":
        return flask.Response(pieces(2, 600))
    if request.path == "/large":
        return flask.Response(pieces(20_000, 0))
    return "done"
"""


@contextmanager
def limited(folder: Path, code: str = FUNCTION, *, threads: int = 2, **options: Any) -> Iterator[Served]:  # noqa: ANN401 - serving's
    """Serve the function with `threads` threads and the time limit `LIMIT`."""
    (folder / "main.py").write_text(code)
    settings = {
        "FUNCTION_SOURCE": str(folder / "main.py"),
        "SCALEZERO_FUNCTION_THREADS": str(threads),
        "SCALEZERO_FUNCTION_TIMEOUT": f"{LIMIT}s",
        "SCALEZERO_GRACE_PERIOD": "1s",
    }
    with serving(folder, models.doubling(folder / "m.onnx"), env=settings, **options) as served:
        yield served


def lines(served: Served, message: str) -> list[dict[str, Any]]:
    """Return the log lines with this message."""
    return [line for line in map(json.loads, served.log.read_text().splitlines()) if line["message"] == message]


def test_a_call_above_its_limit_is_504_and_occupies_its_thread_until_it_returns(tmp_path: Path) -> None:
    with limited(tmp_path) as served, ThreadPoolExecutor(2) as callers:
        error = error_of(served.get("/wait?token=hunter2"), 504)
        assert (error["code"], error["details"]) == ("function_timed_out", {"timeout_seconds": LIMIT})
        assert "SCALEZERO_FUNCTION_TIMEOUT" in error["message"]
        assert served.get("/").text == "done"  # on the other thread
        assert served.get("/healthz/live").status_code == 200
        assert served.get("/healthz/ready").status_code == 200

        assert callers.submit(served.get, "/wait").result().status_code == 504
        for path in ("/healthz/live", "/"):
            error = error_of(served.get(path), 503)
            assert (error["code"], error["details"]["threads"]) == ("function_stuck", 2)
            assert all(call.startswith("GET for ") and " s at main.py:" in call for call in error["details"]["calls"])
        assert "hunter2" not in served.get("/healthz/live").text
        ready = served.get("/healthz/ready")
        assert (ready.status_code, ready.json()["function"]["code"]) == (503, "function_stuck")
        assert served.predict([1, 2]).status_code == 200

        (tmp_path / "main.py.go").touch()
        until(served, "/healthz/live")
        assert served.get("/healthz/ready").status_code == 200
        assert served.get("/").text == "done"
        logged = lines(served, "function call exceeds its time limit")
    assert [(line["method"], line["path"]) for line in logged] == [("GET", "/wait")] * 2
    assert "main.py" in logged[0]["stack"]


def test_a_deadlock_is_detected_after_all_clients_have_disconnected(tmp_path: Path) -> None:
    with limited(tmp_path, threads=1) as served:
        with socket.create_connection(("127.0.0.1", served.port), DEADLINE) as connection:
            connection.sendall(b"GET /deadlock HTTP/1.1\r\nhost: x\r\n\r\n")
            eventually((tmp_path / "main.py.called").exists)
        until(served, "/healthz/live", status=503)
        assert "main.py" in served.get("/healthz/live").text


def test_a_deadlock_does_not_delay_the_shutdown(tmp_path: Path) -> None:
    with limited(tmp_path, threads=1) as served:
        assert served.get("/deadlock").status_code == 504
        served.process.terminate()
        assert served.process.wait(DEADLINE) == 0


def test_a_stream_may_take_longer_than_the_limit(tmp_path: Path) -> None:
    with limited(tmp_path) as served:
        began = time.perf_counter()
        assert len(served.get("/steady").content) == 6000
        assert time.perf_counter() - began > LIMIT
        assert lines(served, "function call exceeds its time limit") == []


@pytest.mark.parametrize("http2", [False, True])
def test_a_stream_that_stalls_is_aborted(tmp_path: Path, http2: bool) -> None:  # noqa: FBT001 - a case
    with limited(tmp_path) as served, served.client(http1=not http2, http2=http2) as client:
        with client.stream("GET", "/pause") as answer:
            pieces = answer.iter_raw(1000)
            assert len(next(pieces)) == 1000
            with pytest.raises(httpx.RemoteProtocolError):
                next(pieces)
        assert client.get("/").text == "done"


def test_the_time_of_a_slow_reader_does_not_count(tmp_path: Path) -> None:
    with limited(tmp_path, threads=1) as served:
        with socket.create_connection(("127.0.0.1", served.port), DEADLINE) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            time.sleep(2 * LIMIT)
            assert served.get("/healthz/live").status_code == 200
            body = connection.makefile("rb").read().partition(b"\r\n\r\n")[2]
        assert body.count(b"x") == 20_000_000
        assert body.endswith(b"0\r\n\r\n")
        assert lines(served, "function call exceeds its time limit") == []


def test_a_client_that_stops_reading_and_disconnects_releases_the_thread(tmp_path: Path) -> None:
    with limited(tmp_path, threads=1) as served:
        with socket.create_connection(("127.0.0.1", served.port), DEADLINE) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(10)
            time.sleep(0.3)
        assert served.get("/").text == "done"


ENDLESS_IMPORT = "import time\ntime.sleep(600)\n"


def test_calls_and_liveness_are_answered_during_an_endless_import(tmp_path: Path) -> None:
    with limited(tmp_path, ENDLESS_IMPORT, ready=False) as served:
        error = error_of(served.get("/"), 504)
        assert error["code"] == "function_timed_out"
        assert error["message"].startswith("the import of the function took longer than 2 s")
        assert served.get("/healthz/live").status_code == 200
        assert served.get("/healthz/ready").json()["function"]["code"] == "loading"


def test_an_import_does_not_delay_the_shutdown(tmp_path: Path) -> None:
    with limited(tmp_path, ENDLESS_IMPORT, ready=False) as served, ThreadPoolExecutor(1) as callers:
        pending = callers.submit(served.get, "/")
        assert served.predict([1, 2]).status_code == 200
        served.process.terminate()
        assert served.process.wait(DEADLINE) == 0
        assert pending.exception() or pending.result().status_code >= 500
