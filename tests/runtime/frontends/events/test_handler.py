"""Events over a real socket: their modes, the attributes of a reply, and the status of each fault."""

import base64
import gzip
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.http import from_http

from tests import models
from tests.runtime import independence_models
from tests.runtime.frontends.conftest import Served, counts, error_of, serving, until_running
from tests.runtime.frontends.events.conftest import (
    BATCH,
    STRUCTURED,
    TRACE,
    document,
    event_headers,
    headers,
    new_id,
    post,
    post_document,
)
from tests.runtime.http.h2_client import calling

PATHS = pytest.mark.parametrize("path", ["/", "/events"])


@PATHS
def test_an_event_in_binary_mode_gets_a_reply_in_binary_mode(served: Served, path: str) -> None:
    before = datetime.now(UTC)
    event_id = f"%C3%A9%20{new_id()}"
    answer = post(served, [1, 2], path=path, head=headers(of=event_id, traceparent=TRACE, tracestate="a=b"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().pop("latency_ms") > 0
    assert answer.json()["outputs"] == [2, 4]
    found = event_headers(answer)
    assert datetime.fromisoformat(found.pop("time")).timestamp() >= int(before.timestamp())
    assert found.pop("id")
    assert found == {
        "specversion": "1.0",
        "type": "ml.prediction.v1",
        "source": "doubler",
        "subject": "m/1",
        "causationid": event_id,
        "traceparent": TRACE,
        "tracestate": "a=b",
    }


@PATHS
def test_an_event_in_structured_mode_gets_a_reply_in_structured_mode(served: Served, path: str) -> None:
    event = document(data={"inputs": [[1, 2], [3, 4]]}, traceparent=TRACE)
    answer = post_document(served, event, path=path)
    assert answer.headers["content-type"] == STRUCTURED
    assert event_headers(answer) == {}
    reply = answer.json()
    assert reply["data"]["outputs"] == [[2, 4], [6, 8]]
    assert (reply["causationid"], reply["traceparent"], reply["type"]) == (event["id"], TRACE, "ml.prediction.v1")


def test_a_reply_is_an_event_for_the_package_cloudevents(served: Served) -> None:
    for answer in (post(served), post_document(served, document(data=[1, 2]))):
        event = from_http(dict(answer.headers), answer.content)
        assert event["source"] == "doubler"
        assert event.data["outputs"] == [2, 4]


@pytest.mark.parametrize(
    "data",
    [
        {"data": {"instances": [[1, 2]]}},
        {"data": {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}},
        {"data": {"x": [[1, 2]]}},
        {"data": [[1, 2]]},
        {"data_base64": base64.b64encode(b'{"inputs": [[1, 2]]}').decode()},
    ],
    ids=["KServe V1", "Open Inference", "by name", "alone", "base64"],
)
def test_the_data_may_have_any_json_form_and_the_reply_has_that_of_the_predict_api(
    served: Served, data: dict[str, Any]
) -> None:
    outputs = post_document(served, document(**data)).json()["data"]["outputs"]
    assert outputs in ([[2, 4]], {"y": [[2, 4]]})


def test_the_data_may_be_the_bytes_of_the_input(served: Served) -> None:
    head = {**headers(), "content-type": "application/octet-stream"}
    assert post(served, body=struct.pack("<2f", 1, 2), head=head).json()["outputs"] == [[2, 4]]


@pytest.mark.parametrize("structured", [False, True])
def test_a_large_event_is_answered_like_a_small_one(served: Served, structured: bool) -> None:  # noqa: FBT001 - a table
    rows = [[float(row), 1.0] for row in range(30_000)]
    expected = [[2 * row, 2.0] for row, _ in rows]
    if structured:
        outputs = post_document(served, document(data={"inputs": rows})).json()["data"]["outputs"]
    else:
        outputs = post(served, rows).json()["outputs"]
    assert outputs == expected


def test_a_body_in_chunks_and_a_compressed_body_are_read(served: Served) -> None:
    body = b'{"inputs": [1, 2]}'
    with served.client() as client:
        chunked = client.post("/", content=iter([body[:5], body[5:]]), headers=headers())
        compressed = client.post("/", content=gzip.compress(body), headers={**headers(), "content-encoding": "gzip"})
    assert chunked.request.headers["transfer-encoding"] == "chunked"
    assert chunked.json()["outputs"] == compressed.json()["outputs"] == [2, 4]


@PATHS
def test_events_are_answered_over_http2(served: Served, path: str) -> None:
    with calling(served.port) as caller:
        fields = list(headers(of=(event_id := new_id())).items())
        answer = caller.answer(caller.ask(path, b'{"inputs": [1, 2]}', fields=fields))
    assert answer.status == 200
    assert (b"ce-causationid", event_id.encode()) in answer.headers
    assert json.loads(answer.body)["outputs"] == [2, 4]


def test_the_events_of_a_batch_get_their_replies_in_order_and_the_error_of_each(served: Served) -> None:
    events = [document(data=[1, 2]), document(data=[1]), document(data=[3, 4])]
    answer = post_document(served, events, kind=BATCH)
    assert answer.headers["content-type"] == BATCH
    replies = answer.json()
    assert [each["causationid"] for each in replies] == [each["id"] for each in events]
    assert [each["type"] for each in replies] == ["ml.prediction.v1", "ml.error.v1", "ml.prediction.v1"]
    assert [replies[0]["data"]["outputs"], replies[2]["data"]["outputs"]] == [[2, 4], [6, 8]]
    assert [each["source"] for each in replies] == ["doubler"] * 3
    assert replies[1]["data"]["error"]["code"] == "invalid_input"
    assert post_document(served, events, kind=BATCH).json() == replies


def test_an_empty_batch_is_answered_without_a_reply_and_an_invalid_event_refuses_its_batch(served: Served) -> None:
    assert post_document(served, [], kind=BATCH).status_code == 204
    error = error_of(post_document(served, [document(data=[1, 2]), {"id": "1"}], kind=BATCH), 400)
    assert error["code"] == "bad_event"
    error = error_of(post_document(served, [document(data=[1, 2])] * 1001, kind=BATCH), 413)
    assert error["details"]["limit"] == 1000


@pytest.mark.parametrize(
    ("head", "body", "code", "status"),
    [
        ({"ce-id": ""}, b"[1, 2]", "bad_event", 400),
        ({"ce-specversion": "0.3"}, b"[1, 2]", "bad_event", 400),
        ({"ce-source": "%C0%A0"}, b"[1, 2]", "bad_event", 400),
        ({}, b"[1, 2", "invalid_input", 400),
        ({}, b"[1, 2, 3]", "invalid_input", 400),
        ({}, b"", "bad_event", 400),
        ({"content-type": "image/png"}, b"x", "unsupported_content_type", 415),
        ({"ce-mlmodel": "other"}, b"[1, 2]", "model_not_found", 400),
        ({"ce-mlmodelversion": "7"}, b"[1, 2]", "model_version_not_found", 400),
    ],
)
def test_an_event_that_cannot_succeed_is_refused_with_a_status_that_is_not_retried(
    served: Served, head: dict[str, str], body: bytes, code: str, status: int
) -> None:
    answer = post(served, body=body, head={**headers(), **head})
    assert error_of(answer, status)["code"] == code
    assert event_headers(answer) == {}


def test_an_event_selects_a_model_by_its_extension(served: Served) -> None:
    assert post(served, head=headers(mlmodel="m", mlmodelversion="1")).json()["outputs"] == [2, 4]


def test_only_post_is_allowed_and_anything_but_an_event_is_refused(served: Served) -> None:
    with served.client() as client:
        assert client.get("/events").status_code == 405
        assert client.get("/events").headers["allow"] == "POST"
        for content_type in ({}, {"content-type": "text/plain"}, {"content-type": "application/json"}):
            error = error_of(client.post("/events", content=b"{}", headers=content_type), 400)
            assert "ce-specversion" in error["message"]
        assert client.post("/events/other", content=b"{}", headers=headers()).status_code == 404
        assert client.get("/", headers=headers()).json() == {"status": "alive"}  # KServe's
        assert client.post("/", content=b"{}").status_code == 405


def test_events_are_counted_described_and_logged_as_cloudevents(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_ACCESS_LOG="true") as served:
        post(served)
        post(served, head={**headers(), "ce-id": ""})
        found = counts(served)
        assert found["cloudevents", "ok", "none"] == 1
        assert found["cloudevents", "bad_event", "client"] == 1
        described = served.get("/openapi.json").json()["paths"]["/events"]["post"]
        assert {"200", "204", "400", "429", "503"} <= set(described["responses"])
        lines = [json.loads(line) for line in served.log.read_text().splitlines()]
        assert [each["protocol"] for each in lines if each["message"] == "request" and each["path"] == "/"] == (
            ["cloudevents", "cloudevents"]
        )


def test_batches_are_refused_unless_they_are_enabled_and_a_reply_may_be_unwanted(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_EVENT_REPLY_TYPE="none") as served:
        error = error_of(post_document(served, [document(data=[1, 2])], kind=BATCH), 415)
        assert "SCALEZERO_EVENT_BATCHES=true" in error["message"]
        for answer in (post(served), post_document(served, document(data=[1, 2]))):
            assert (answer.status_code, answer.content) == (204, b"")
            assert event_headers(answer) == {}
            assert "content-type" not in answer.headers


def test_the_source_and_the_type_of_a_reply_are_those_of_the_settings(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_EVENT_REPLY_TYPE="com.example.x") as served:
        found = event_headers(post(served))
        assert (found["source"], found["type"]) == ("m", "com.example.x")  # without a Service, the model's name


def test_the_event_of_an_error_has_the_source_of_a_reply(tmp_path: Path) -> None:
    events = [document(data=[1, 2]), document(data=[1]), document(data=[1], mlmodel="other")]
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_EVENT_BATCHES="true") as served:
        found = post_document(served, events, kind=BATCH).json()
        assert [each["type"] for each in found] == ["ml.prediction.v1", "ml.error.v1", "ml.error.v1"]
        assert [each["source"] for each in found] == ["m", "m", "m"]  # "other" is no model of this process


def test_a_full_queue_and_a_deadline_are_retried(tmp_path: Path) -> None:
    endless = independence_models.countdown(tmp_path / "m.onnx")
    settings = {"SCALEZERO_RUN_TIMEOUT": "5s", "SCALEZERO_QUEUE_SIZE": "1", "SCALEZERO_TIMEOUT": "1s"}
    with serving(tmp_path, endless, env=settings) as served, ThreadPoolExecutor(3) as callers:
        post(served, [1])  # imports the handler
        running = callers.submit(post, served, [2**62])
        until_running(served)
        others = sorted(callers.map(lambda _: post(served, [3]), range(2)), key=lambda answer: answer.status_code)
        assert error_of(others[0], 429)["code"] == "queue_full"
        assert int(others[0].headers["retry-after"]) >= 1
        assert error_of(others[1], 504)["code"] == "deadline_exceeded"
        assert error_of(running.result(), 504)["code"] == "run_timeout"


def test_a_model_that_cannot_be_loaded_is_503_with_retry_after(tmp_path: Path) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, ready=False, env={"SCALEZERO_LOAD": "lazy"}) as served:
        model.write_bytes(b"no model")
        answer = post(served)
        assert error_of(answer, 503)["code"] == "invalid_model"
        assert int(answer.headers["retry-after"]) >= 1
        assert event_headers(answer) == {}


def test_a_server_that_does_not_serve_the_protocol_has_no_events(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_PROTOCOLS="ml.v1") as served:
        assert post(served, path="/events").status_code == 404
        assert post(served).status_code == 404
        assert served.predict([1, 2]).status_code == 200
