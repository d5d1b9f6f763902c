"""A run that does not end: its timeout, and the requests that wait for it."""

from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.runtime import independence_models
from tests.runtime.frontends.conftest import counts, error_of, sent, serving, until_read, until_running
from tests.runtime.http.h2_client import calling

PATH = "/api/v1/models/m/predict"
ROUNDED = 0.001  # seconds; details of an error are rounded
BOTH_PATHS = pytest.mark.parametrize("direct", [True, False], ids=["direct", "in a task"])


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    return independence_models.countdown(tmp_path / "m.onnx")


def test_a_run_above_its_limit_is_504_and_waiting_requests_are_answered(tmp_path: Path, endless: Path) -> None:
    with serving(tmp_path, endless, SCALEZERO_RUN_TIMEOUT="1s") as served, ThreadPoolExecutor(2) as callers:
        late = callers.submit(served.predict, [2**62])
        until_running(served)
        behind = callers.submit(served.predict, [3])
        assert served.get("/healthz/live").status_code == 200
        error = error_of(late.result(), 504)
        assert (error["code"], error["details"]) == ("run_timeout", {"model": "m", "limit_seconds": 1})
        assert behind.result().json()["outputs"] == [3]
        assert counts(served)["predict", "run_timeout", "server"] == 1
        assert served.get("/healthz/live").status_code == 200
        assert served.get("/healthz/ready").status_code == 200


@BOTH_PATHS
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_queued_request_of_a_disconnected_client_never_runs(
    tmp_path: Path,
    endless: Path,
    direct: bool,  # noqa: FBT001 - a parameter of the table
    http2: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    body = b'{"inputs":[2]}' if direct else b'{"inputs":[2]}' + b" " * 70_000
    with (
        serving(tmp_path, endless, SCALEZERO_RUN_TIMEOUT="4s") as served,
        ThreadPoolExecutor(1) as callers,
    ):
        late = callers.submit(served.predict, [2**62])
        until_running(served)
        for _ in range(3):
            if http2:
                with calling(served.port) as caller:
                    stream = caller.ask(PATH, body)
                    until_read(served)
                    caller.reset(stream)
            else:
                with sent(served, PATH, body):
                    until_read(served)
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
    assert runs <= 2  # the stopped run and the last one


def test_an_exceeded_deadline_is_504_and_counted_and_probes_still_answer(tmp_path: Path, endless: Path) -> None:
    """The run of the first request lasts until the process is killed."""
    with serving(tmp_path, endless, SCALEZERO_TIMEOUT="500ms") as served, ThreadPoolExecutor(8) as callers:
        served.predict([1])  # loads the protocol
        running = callers.submit(served.predict, [2**62])
        until_running(served)
        pending = [callers.submit(served.predict, [number]) for number in range(7)]
        while not all(each.done() for each in pending):
            assert served.get("/healthz/live").status_code == 200
        for each in pending:
            answer = each.result()
            error = error_of(answer, 504)
            assert (error["code"], error["details"]["timeout_seconds"]) == ("deadline_exceeded", 0.5)
            assert 0.4 < error["details"]["waited_seconds"] <= answer.elapsed.total_seconds() + ROUNDED
        assert served.get("/healthz/live").status_code == 200
        assert counts(served)["predict", "deadline_exceeded", "overload"] == 7
        assert not running.done()
        served.process.kill()


def test_a_request_to_a_full_queue_is_429_at_once_with_retry_after_and_is_counted(
    tmp_path: Path, endless: Path
) -> None:
    settings = {"SCALEZERO_RUN_TIMEOUT": "4s", "SCALEZERO_QUEUE_SIZE": "2"}
    with serving(tmp_path, endless, env=settings) as served, ThreadPoolExecutor(9) as callers:
        running = callers.submit(served.predict, [2**62])
        until_running(served)
        asked = {callers.submit(served.predict, [number]): number for number in range(8)}
        for each in islice(as_completed(asked), 6):
            assert error_of(each.result(), 429)["code"] == "queue_full"
            assert int(each.result().headers["retry-after"]) >= 1
        assert not running.done()
        answers = {number: each.result().json() for each, number in asked.items()}
        assert counts(served)["predict", "queue_full", "overload"] == 6
    outputs = {number: answer["outputs"] for number, answer in answers.items() if "outputs" in answer}
    assert len(outputs) == 2
    assert all(output == [number] for number, output in outputs.items())
