"""A real server with the log: over every path to an answer, into a real sink or a file, until it ends."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.protocols.cloudevents import Event
from tests import models
from tests.runtime.frontends.conftest import COMMAND, Served, environment, serving
from tests.runtime.prediction_log.event_sink import EventSink, closed_port, event_sink
from tests.waiting import DEADLINE, eventually

SINK = {"SCALEZERO_PREDICTION_LOG": "sink"}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def counts(served: Served) -> dict[str, float]:
    """Return the counters of the log."""
    text = served.get("/metrics").text
    families = {each.name: each for each in text_string_to_metric_families(text)}
    names = ("emitted", "dropped", "failed")
    return {name: families[f"scalezero_prediction_log_{name}"].samples[0].value for name in names}


class Logged:
    def __init__(self, served: Served, sink: EventSink) -> None:
        self.served = served
        self.sink = sink

    def after(self, path: str, body: object, **headers: str) -> tuple[Event, dict[str, Any]]:
        """Post one request, and return the event of its prediction and the event's data."""
        before = len(self.sink.events)
        with self.served.client() as client:
            response = client.post(path, json=body, headers=headers)
        assert response.status_code == 200, response.text
        event = self.sink.wait_for(before + 1)[before]
        return event, json.loads(event.body())


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("logged")
    path = models.doubling(folder / "m.onnx")
    (folder / "main.py").write_text(
        "from runtime.author import model\n"
        "def handle(request):\n"
        "    answer = model('m').predict([[1.0, 2.0]])\n"
        "    for each in answer.outputs.values():\n"
        "        each *= 0\n"  # the author may change what it gets
        "    return 'ok'\n"
    )
    overrides = json.dumps({"extensions": {"team": "risk"}})
    settings = SINK | {
        "K_CE_OVERRIDES": overrides,
        "K_SERVICE": "fraud",
        "K_REVISION": "fraud-00001",
        "SCALEZERO_MODEL_VERSION": "7",
        "FUNCTION_SOURCE": str(folder / "main.py"),
    }
    with event_sink() as sink, serving(folder, path, env={**settings, "K_SINK": sink.url}) as served:
        yield Logged(served, sink)


def test_an_event_says_what_predicted_what_and_how_long_it_took(logged: Logged) -> None:
    event, data = logged.after(
        "/api/v1/models/m/predict", {"inputs": [[1, 2]]}, **{"x-request-id": "r 1", "traceparent": TRACE}
    )
    assert (event.source, event.type) == ("/fraud/models/m", "ml.prediction.logged.v1")
    assert event.attributes["subject"] == "m/7"
    assert event.attributes["team"] == "risk"
    assert event.attributes["traceparent"] == TRACE
    assert (data["model_name"], data["model_version"]) == ("m", "7")
    facts = data["parameters"]
    assert (facts["service"], facts["revision"], facts["variant"]) == ("fraud", "fraud-00001", "original")
    assert (facts["protocol"], facts["request_id"]) == ("predict", "r 1")
    assert 0 < facts["run_ms"] <= facts["total_ms"]
    [given], [answered] = data["inputs"], data["outputs"]
    assert (given["datatype"], given["shape"], given["data"]) == ("FP32", [1, 2], [1.0, 2.0])
    assert (answered["shape"], answered["data"]) == ([1, 2], [2.0, 4.0])


def test_a_logged_prediction_can_be_repeated_as_it_is(logged: Logged) -> None:
    _, data = logged.after("/api/v1/models/m/predict", {"inputs": [[3, 4], [5, 6]]})
    _, repeated = logged.after("/v2/models/m/infer", data)
    assert repeated["inputs"] == data["inputs"]
    assert repeated["outputs"] == data["outputs"]


def test_the_id_of_the_protocol_is_in_the_event(logged: Logged) -> None:
    body = {"id": "42", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    body["inputs"][0]["name"] = logged.served.get("/v2/models/m").json()["inputs"][0]["name"]  # type: ignore[index]
    event, data = logged.after("/v2/models/m/infer", body)
    assert data["id"] == "42"
    assert data["parameters"]["protocol"] == "open_inference"
    assert "traceparent" not in event.attributes


def test_the_predictions_of_the_authors_function_are_logged_before_it_can_change_them(logged: Logged) -> None:
    _, data = logged.after("/", {}, **{"x-request-id": "call"})
    assert data["parameters"]["protocol"] == "function"
    assert data["parameters"]["request_id"] == "call"
    assert data["outputs"][0]["data"] == [2.0, 4.0]


def test_errors_are_not_logged(logged: Logged) -> None:
    with logged.served.client() as client:
        assert client.post("/api/v1/models/m/predict", json={"inputs": [["a"]]}).status_code == 400
    _, data = logged.after("/api/v1/models/m/predict", {"inputs": [[7, 8]]})
    assert data["inputs"][0]["data"] == [7.0, 8.0]


def test_every_prediction_of_concurrent_requests_is_logged_once(logged: Logged) -> None:
    before = len(logged.sink.events)

    def post(caller: int) -> None:
        with logged.served.client() as client:
            for number in range(50):
                body = {"inputs": [[caller, number]]}
                assert client.post("/api/v1/models/m/predict", json=body).status_code == 200

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(post, range(8)))
    events = logged.sink.wait_for(before + 400)[before:]
    inputs = sorted(json.loads(each.body())["inputs"][0]["data"] for each in events)
    assert inputs == [[caller, number] for caller in range(8) for number in range(50)]
    assert len({each.key for each in events}) == 400


def test_the_metrics_count_what_was_emitted(logged: Logged) -> None:
    logged.after("/api/v1/models/m/predict", {"inputs": [[1, 2]]})
    eventually(lambda: counts(logged.served)["emitted"] == len(logged.sink.events))
    assert counts(logged.served)["failed"] == 0


def test_a_process_that_ends_sends_what_is_in_the_queue_first(tmp_path: Path) -> None:
    with event_sink() as sink:
        sink.gate.clear()
        with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), env={**SINK, "K_SINK": sink.url}) as served:
            with served.client() as client:
                for number in range(50):
                    client.post("/api/v1/models/m/predict", json={"inputs": [[number, 0]]})
            served.process.terminate()
            sink.gate.set()
            served.process.wait(DEADLINE)
        assert len(sink.events) == 50


def test_while_the_sink_is_down_requests_are_answered_and_the_rest_is_dropped(tmp_path: Path) -> None:
    settings = SINK | {"SCALEZERO_PREDICTION_LOG_QUEUE": "10", "SCALEZERO_GRACE_PERIOD": "1s"}
    with (
        closed_port() as port,
        serving(
            tmp_path, models.doubling(tmp_path / "m.onnx"), env={**settings, "K_SINK": f"http://127.0.0.1:{port}"}
        ) as served,
    ):
        with served.client() as client:
            for number in range(100):
                response = client.post("/api/v1/models/m/predict", json={"inputs": [[number, 0]]})
                assert response.status_code == 200
        assert counts(served) == {"emitted": 0, "dropped": 90, "failed": 0}


def test_the_file_has_one_structured_event_per_line_and_all_of_them_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    path = models.doubling(tmp_path / "m.onnx")
    for _ in range(2):  # a second process appends
        with serving(tmp_path, path, "--log-predictions", file) as served, served.client() as client:
            for number in range(50):
                client.post("/api/v1/models/m/predict", json={"inputs": [[number, 0]]})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["data"]["inputs"][0]["data"][0] for each in lines] == [*range(50), *range(50)]
    assert {(each["specversion"], each["datacontenttype"]) for each in lines} == {("1.0", "application/json")}
    assert len({each["id"] for each in lines}) == 100
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SCALEZERO_PREDICTION_LOG": "sink"}, "K_SINK: not set"),
        (
            {"SCALEZERO_PREDICTION_LOG": "/missing/log.jsonl"},
            "SCALEZERO_PREDICTION_LOG='/missing/log.jsonl': expected sink, or a file",
        ),
    ],
)
def test_a_log_that_cannot_work_stops_the_start(tmp_path: Path, settings: dict[str, str], expected: str) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    env = environment(tmp_path, **settings)
    done = subprocess.run(
        [COMMAND, "serve", path, "--port", "0"], env=env, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 2
    assert expected in done.stderr
