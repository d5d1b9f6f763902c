"""A run that does not end: what waits behind it, who leaves, and what happens to it."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.runtime import independence_models
from tests.runtime.frontends.conftest import counts, error_of, serving, until
from tests.runtime.http.h2_client import calling

PATH = "/api/v1/models/m/predict"
BOTH_PATHS = pytest.mark.parametrize("direct", [True, False], ids=["direct", "in a task"])


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    return independence_models.countdown(tmp_path / "m.onnx")


def test_a_run_beyond_its_limit_is_504_and_what_waits_behind_it_is_answered(tmp_path: Path, endless: Path) -> None:
    with serving(tmp_path, endless, SCALEZERO_RUN_TIMEOUT="500ms") as served, ThreadPoolExecutor(2) as callers:
        late = callers.submit(served.predict, [2**62])
        time.sleep(0.15)
        behind = callers.submit(served.predict, [3])
        assert served.get("/healthz/live").status_code == 200
        error = error_of(late.result(), 504)
        assert (error["code"], error["details"]) == ("run_timeout", {"model": "m", "limit_seconds": 0.5})
        assert behind.result().json()["outputs"] == [3]
        assert counts(served)["predict", "run_timeout", "server"] == 1
        assert served.get("/healthz/live").status_code == 200
        assert served.get("/healthz/ready").status_code == 200


@BOTH_PATHS
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_the_queued_request_of_a_client_that_leaves_never_runs(
    tmp_path: Path,
    endless: Path,
    direct: bool,  # noqa: FBT001 - a parameter of the table
    http2: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    body = b'{"inputs":[2]}' if direct else b'{"inputs":[2]}' + b" " * 70_000
    with (
        serving(tmp_path, endless, SCALEZERO_RUN_TIMEOUT="1s") as served,
        ThreadPoolExecutor(1) as callers,
    ):
        late = callers.submit(served.predict, [2**62])
        time.sleep(0.2)
        for _ in range(3):
            if http2:
                with calling(served.port) as caller:
                    stream = caller.ask(PATH, body)
                    time.sleep(0.05)
                    caller.reset(stream)
            else:
                with socket.create_connection(("127.0.0.1", served.port), 5) as raw:
                    raw.sendall(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode())
                    raw.sendall(body)
                    time.sleep(0.05)
        assert late.result().status_code == 504
        assert served.predict([1]).json()["outputs"] == [1]
        counted = counts(served)
        runs = next(
            sample.value
            for family in text_string_to_metric_families(served.get("/metrics").text)
            for sample in family.samples
            if sample.name == "scalezero_run_seconds_count"
        )
    assert counted["predict", "client_left", "client"] == 3
    assert counted["predict", "ok", "none"] == 1
    assert runs <= 2  # the one that was stopped, and the last


def test_who_waits_for_longer_than_the_timeout_gets_504_and_is_counted(tmp_path: Path, endless: Path) -> None:
    settings = {"SCALEZERO_RUN_TIMEOUT": "1s", "SCALEZERO_TIMEOUT": "100ms"}
    with serving(tmp_path, endless, env=settings) as served, ThreadPoolExecutor(1) as callers:
        late = callers.submit(served.predict, [2**62])
        time.sleep(0.2)
        error = error_of(served.predict([2]), 504)
        assert (error["code"], error["details"]["timeout_seconds"]) == ("deadline_exceeded", 0.1)
        assert not late.done()
        assert late.result().status_code == 504
        assert counts(served)["predict", "deadline_exceeded", "overload"] == 1
        until(served, "/healthz/live")


def test_the_waiting_caller_of_a_full_queue_is_told_when_to_come_again_and_counted(
    tmp_path: Path, endless: Path
) -> None:
    settings = {"SCALEZERO_RUN_TIMEOUT": "1s", "SCALEZERO_QUEUE_SIZE": "1"}
    with serving(tmp_path, endless, env=settings) as served, ThreadPoolExecutor(2) as callers:
        callers.submit(served.predict, [2**62])
        time.sleep(0.2)
        waiting = callers.submit(served.predict, [4])
        time.sleep(0.2)
        response = served.predict([2])
        assert error_of(response, 429)["code"] == "queue_full"
        assert int(response.headers["retry-after"]) >= 1
        assert waiting.result().json()["outputs"] == [4]
        assert counts(served)["predict", "queue_full", "overload"] == 1
