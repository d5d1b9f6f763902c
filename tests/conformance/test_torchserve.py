"""Tests of TorchServe with the real grpcio stubs, requests and torch-model-archiver."""

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import orjson
import pytest

from runtime.protocols.protos import open_inference_pb2 as oip
from tests import models
from tests.clients import Call, ClientError, client, interpreter
from tests.runtime.frontends.conftest import Served, counts, serving
from tests.runtime.protocols.torchserve.requests import npy
from tests.waiting import DEADLINE

PINS = ("grpcio-tools==1.85.1", "requests==2.32.5", "torch-model-archiver==0.12.0")
ROWS = [[1.0, 2.0], [3.0, 4.0]]
DOUBLED = [[2.0, 4.0], [6.0, 8.0]]
FLOATS = np.array(ROWS, np.float32)


VALUES = [orjson.dumps(ROWS), orjson.dumps({"inputs": ROWS}), npy(FLOATS), FLOATS.tobytes()]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def call() -> Iterator[Call]:
    with client("torchserve.py", *PINS) as call:
        yield call


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx"), SCALEZERO_MODEL_VERSION="2.0") as served:
        yield served


def predict(call: Call, served: Served, *, name: str = "m", **arguments: object) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(call("predict", target=f"127.0.0.1:{served.port}", model_name=name, **arguments))


def test_a_ping_answers_json(call: Call, served: Served) -> None:
    assert json.loads(call("ping", target=f"127.0.0.1:{served.port}")) == {"status": "Healthy"}


@pytest.mark.parametrize("name", ["data", "body", "x"])
@pytest.mark.parametrize("value", VALUES, ids=["rows", "inputs", "npy", "bytes"])
@pytest.mark.parametrize("gzip", [False, True])
def test_a_prediction_over_grpc(call: Call, served: Served, name: str, value: bytes, *, gzip: bool) -> None:
    answer = predict(call, served, input={name: text(value)}, gzip=gzip, model_version="2.0")
    assert answer == DOUBLED


def test_a_stream_of_one_prediction(call: Call, served: Served) -> None:
    target, request = f"127.0.0.1:{served.port}", {"model_name": "m", "data": text(orjson.dumps(ROWS))}
    [answer] = call("stream", target=target, requests=[request], method="StreamPredictions")
    assert (json.loads(answer["prediction"]), answer["code"]) == (DOUBLED, 0)
    with pytest.raises(ClientError) as raised:
        call("stream", target=target, requests=[{**request, "model_name": "no"}], method="StreamPredictions")
    assert (raised.value.status, raised.value.text) == ("NOT_FOUND", "Model not found: no")


def test_a_stream_of_predictions_is_answered_in_order_and_stays_open_after_an_error(call: Call, served: Served) -> None:
    requests = [{"model_name": "m", "data": text(b"[%d, 0]" % number), "sequence_id": "s"} for number in range(100)]
    requests[50]["model_name"] = "no"
    answers = call("stream", target=f"127.0.0.1:{served.port}", requests=requests)
    assert {each["sequence_id"] for each in answers} == {"s"}
    failed = answers.pop(50)
    assert (failed["code"], failed["message"], failed["prediction"]) == (5, "Model not found: no", "")
    assert [json.loads(each["prediction"])[0] / 2 for each in answers] == [*range(50), *range(51, 100)]


def test_a_large_answer_in_a_stream(call: Call, served: Served) -> None:
    many = np.arange(50_000, dtype=np.float32).reshape(-1, 2)
    [answer] = call(
        "stream", target=f"127.0.0.1:{served.port}", requests=[{"model_name": "m", "data": text(npy(many))}]
    )
    assert np.array_equal(np.array(json.loads(answer["prediction"]), np.float32), many * 2)


def test_several_inputs_over_grpc(call: Call, tmp_path: Path) -> None:
    with serving(tmp_path, models.two_in_two_out(tmp_path / "two.onnx")) as served:
        answer = predict(call, served, name="two", input={"a": text(npy(FLOATS)), "b": text(b"[[1,1],[1,1]]")})
    rows = [{"total": [2, 3], "rest": [0, 1]}, {"total": [4, 5], "rest": [2, 3]}]
    assert answer == rows


@pytest.mark.parametrize(
    ("arguments", "code", "details"),
    [
        ({"name": "no", "input": {"data": text(b"[1, 2]")}}, "NOT_FOUND", "Model not found: no"),
        (
            {"model_version": "9.9", "input": {"data": text(b"[1, 2]")}},
            "NOT_FOUND",
            "Model version: 9.9 does not exist for model: m",
        ),
        ({"name": "", "input": {"data": text(b"[1, 2]")}}, "INVALID_ARGUMENT", "model_name: got nothing"),
        ({"input": {}}, "INVALID_ARGUMENT", "input: got no value"),
        ({"input": {"data": text(b"[1, 2, 3]")}}, "INVALID_ARGUMENT", "inputs.x: got shape [1, 3]"),
        ({"input": {str(n): "" for n in range(257)}}, "RESOURCE_EXHAUSTED", "input: got 257 values"),
    ],
)
def test_a_failed_call_has_torchserves_text(
    call: Call, served: Served, arguments: dict[str, Any], code: str, details: str
) -> None:
    with pytest.raises(ClientError) as raised:
        predict(call, served, **arguments)
    assert raised.value.status == code
    assert raised.value.text.startswith(details)


@pytest.mark.parametrize("gzip", [False, True])
def test_a_large_call_and_a_large_answer_over_grpc(call: Call, served: Served, *, gzip: bool) -> None:
    many = np.arange(300_000, dtype=np.float32).reshape(-1, 2)
    for value in (orjson.dumps(many.tolist()), npy(many)):
        answer = predict(call, served, input={"data": text(value)}, gzip=gzip)
        assert np.array_equal(np.array(answer, np.float32), many * 2)


def test_open_inference_is_also_served_under_torchserves_package(served: Served) -> None:
    service = "/org.pytorch.serve.grpc.openinference.GRPCInferenceService"
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2]}
    request = oip.ModelInferRequest(model_name="m", inputs=[tensor], raw_input_contents=[FLOATS.tobytes()])
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{served.port}", options=options) as channel:
        infer, ready = (
            channel.unary_unary(
                f"{service}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            for method, answer in (("ModelInfer", oip.ModelInferResponse), ("ModelReady", oip.ModelReadyResponse))
        )
        assert np.frombuffer(infer(request, timeout=DEADLINE).raw_output_contents[0], np.float32).tolist() == [
            2,
            4,
            6,
            8,
        ]
        assert ready(oip.ModelReadyRequest(name="m"), timeout=DEADLINE).ready


def test_calls_are_counted_as_calls_of_torchserve(call: Call, served: Served) -> None:
    before = counts(served).get(("torchserve", "ok", "none"), 0)
    predict(call, served, input={"data": text(b"[1, 2]")})
    assert counts(served)["torchserve", "ok", "none"] == before + 1


@pytest.mark.parametrize("value", VALUES, ids=["rows", "inputs", "npy", "bytes"])
def test_a_prediction_by_requests(call: Call, served: Served, value: bytes) -> None:
    url = f"{served.url}/predictions/m"
    for arguments in ({"data": text(value)}, {"files": {"data": text(value)}}, {"files": {"x": text(value)}}):
        assert call("post", url=url, **arguments) == {"status": 200, "body": DOUBLED}


def test_json_and_fields_by_requests(call: Call, served: Served) -> None:
    url = f"{served.url}/predictions/m/2.0"
    for arguments in ({"document": ROWS}, {"document": {"instances": ROWS}}, {"fields": {"data": json.dumps(ROWS)}}):
        assert call("post", url=url, **arguments) == {"status": 200, "body": DOUBLED}


def test_rest_and_grpc_return_the_same_output(call: Call, tmp_path: Path) -> None:
    rows = np.random.default_rng(7).normal(size=(64, 2)).astype(np.float32)
    with serving(tmp_path, models.heavy(tmp_path / "h.onnx", size=8)) as served:
        called = predict(call, served, name="h", input={"data": text(npy(rows))})
        posted = call("post", url=f"{served.url}/predictions/h", data=text(npy(rows)))["body"]
        ours = served.predict(rows.tolist(), model="h").json()["outputs"]
    assert called == posted == ours


@pytest.mark.parametrize(
    ("archive_format", "name"),
    [("default", "lin.mar"), ("tgz", "lin.tar.gz"), ("zip-store", "lin.mar"), ("no-archive", "lin")],
)
def test_archives_of_torch_model_archiver_are_served(
    call: Call, tmp_path: Path, archive_format: str, name: str
) -> None:
    handler = tmp_path / "handler.py"
    handler.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    model = models.doubling(tmp_path / "linear.onnx")
    arguments = {
        "model-name": "lin",
        "version": "1.5",
        "serialized-file": model,
        "handler": handler,
        "archive-format": archive_format,
        "export-path": tmp_path,
    }
    options = [part for key, value in arguments.items() for part in (f"--{key}", str(value))]
    program = interpreter("torchserve", *PINS).with_name("torch-model-archiver")
    subprocess.run([program, *options], check=True, timeout=DEADLINE, capture_output=True)
    with serving(tmp_path, tmp_path / name) as served:
        answer = predict(call, served, name="lin", model_version="1.5", input={"data": text(b"[[1, 2]]")})
        assert answer == [[2, 4]]
    assert not (tmp_path / "ran").exists()
