"""Tests of gRPC with grpcio, the reference client. Invalid calls are sent as raw HTTP/2."""

import gzip
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import httpx
import numpy as np
import psutil
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.protos import ml_v1_pb2 as pb
from tests import models
from tests.runtime.frontends.conftest import Served, error_of, serving, until
from tests.waiting import DEADLINE

PREDICT, BATCH = "/ml.v1.InferenceService/Predict", "/ml.v1.InferenceService/BatchPredict"
CALL = {"content-type": "application/grpc", "te": "trailers"}
LIMIT = 200_000  # bytes; the largest message


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx"), SCALEZERO_MAX_BODY_BYTES=str(LIMIT)) as served:
        yield served


@pytest.fixture
def channel(served: Served) -> Iterator[grpc.Channel]:
    with open_channel(served) as channel:
        yield channel


def open_channel(served: Served, **options: object) -> grpc.Channel:
    """Open a channel with its own connection."""
    return served.channel(**options)


def predict_method(channel: grpc.Channel, path: str = PREDICT) -> Any:  # noqa: ANN401 - grpcio has no types
    batch = path == BATCH
    return channel.unary_unary(
        path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=(pb.BatchPredictResponse if batch else pb.PredictResponse).FromString,
    )


def predict_request(*numbers: float, model: str = "m") -> pb.PredictRequest:
    return pb.PredictRequest(model_name=model, inputs=numbers)


def call_error(call: Any, message: object, **options: Any) -> grpc.RpcError:  # noqa: ANN401 - as above
    with pytest.raises(grpc.RpcError) as raised:
        call(message, timeout=options.pop("timeout", DEADLINE), **options)
    return raised.value


def details(error: Any, kind: Any) -> Any:  # noqa: ANN401 - as above
    """Return the only detail of this kind."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    [packed] = [each for each in status.details if each.Is(kind.DESCRIPTOR)]
    message = kind()
    packed.Unpack(message)
    return message


def send_raw(served: Served, body: bytes, path: str = PREDICT, *, http2: bool = True, **headers: str) -> httpx.Response:
    """Send a body unchanged."""
    fields = {**CALL, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with served.client(http1=not http2, http2=http2) as client:
        return client.post(path, content=body, headers=fields)


def frame(content: bytes, *, flag: int = 0) -> bytes:
    return bytes([flag]) + len(content).to_bytes(4, "big") + content


def test_a_call_gets_its_outputs_and_its_duration(channel: grpc.Channel) -> None:
    answer, call = predict_method(channel).with_call(predict_request(1, 2, 3, 4), timeout=DEADLINE)
    assert list(answer.outputs) == [2, 4, 6, 8]
    assert answer.latency_ms > 0
    assert call.code() is grpc.StatusCode.OK
    assert "run;dur=" in dict(call.initial_metadata())["server-timing"]


def test_grpc_and_the_predict_api_return_the_same_output(tmp_path: Path) -> None:
    with serving(tmp_path, models.scaled(tmp_path / "s.onnx")) as several, open_channel(several) as channel:
        error = call_error(predict_method(channel), predict_request(1, model="s"))  # it has two inputs
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    rows = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    with serving(tmp_path, models.heavy(tmp_path / "m.onnx", size=8)) as served, open_channel(served) as channel:
        ours = predict_method(channel)(predict_request(*rows.ravel().tolist()), timeout=DEADLINE).outputs
        theirs = served.predict(rows.tolist()).json()["outputs"]
    assert np.array(ours, np.float32).tobytes() == np.array(theirs, np.float32).tobytes()


def test_calls_and_predict_requests_share_runs(tmp_path: Path) -> None:
    """During a slow run, requests of both protocols wait for the next one. Each gets its own answer."""
    model = models.heavy(tmp_path / "m.onnx", size=1600)
    with (
        serving(tmp_path, model, SCALEZERO_BATCHING="always", SCALEZERO_TIMEOUT="20s") as served,
        open_channel(served) as channel,
        ThreadPoolExecutor(10) as callers,
    ):
        before = _count(served.get("/metrics").text, "scalezero_batch_rows_count")
        calls = [predict_method(channel).future(predict_request(number, -1), timeout=DEADLINE) for number in range(10)]
        requests = [callers.submit(served.predict, [number, 1]) for number in range(10)]
        assert [list(each.result().outputs) for each in calls] == [[number, -1] for number in range(10)]
        assert [each.result().json()["outputs"] for each in requests] == [[number, 1] for number in range(10)]
        runs = _count(served.get("/metrics").text, "scalezero_batch_rows_count") - before
    assert runs < 10  # separate runs would be 20


def test_a_thousand_concurrent_calls_on_one_connection_are_answered(tmp_path: Path) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, SCALEZERO_QUEUE_SIZE="2000", SCALEZERO_TIMEOUT="20s") as served:
        with open_channel(served) as channel:
            call = predict_method(channel)
            futures = [call.future(predict_request(number, 0), timeout=DEADLINE) for number in range(1000)]
            assert [each.result().outputs[0] for each in futures] == [2 * number for number in range(1000)]
        counted = served.get("/metrics").text
        assert _count(counted, "scalezero_request_seconds_count", 'protocol="ml.v1"', 'code="ok"') == 1000


def test_protobuf_is_imported_only_by_the_first_message_that_needs_it(tmp_path: Path) -> None:
    """Neither a cold start, nor a probe, nor a usual message imports it."""
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx")) as served, open_channel(served) as channel:
        assert served.predict([1, 2]).status_code == 200
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="m"), timeout=DEADLINE)
        assert not _has_protobuf(served)
        predict_method(channel)(predict_request(1, 2), timeout=DEADLINE)
        assert not _has_protobuf(served)
        predict_method(channel, BATCH)(pb.BatchPredictRequest(requests=[predict_request(1, 2)]), timeout=DEADLINE)
        assert _has_protobuf(served)


def test_an_error_has_the_field_and_its_code(channel: grpc.Channel) -> None:
    error = call_error(predict_method(channel), predict_request(1, 2, 3))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith("inputs: got 3 numbers; expected a multiple of 2")
    [violation] = details(error, error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.description) == ("inputs", error.details())
    assert details(error, error_details_pb2.ErrorInfo).reason == "INVALID_INPUT"


def test_an_unknown_model_with_any_name_is_not_found(channel: grpc.Channel) -> None:
    error = call_error(predict_method(channel), predict_request(1, 2, model="größe 100%\n"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "größe 100%" in error.details()
    assert error.details().endswith("served: m")


def test_an_invalid_item_of_a_batch_does_not_fail_the_others(channel: grpc.Channel) -> None:
    batch = pb.BatchPredictRequest(
        requests=[
            predict_request(1, 2),
            predict_request(1),
            predict_request(1, 2, model="x"),
            predict_request(3, 4, 5, 6),
        ]
    )
    first, second, third, fourth = predict_method(channel, BATCH)(batch, timeout=DEADLINE).items
    assert list(first.response.outputs) == [2, 4]
    assert first.response.latency_ms > 0
    assert second.error.code == "invalid_input"
    assert third.error.code == "model_not_found"
    assert list(fourth.response.outputs) == [6, 8, 10, 12]


def test_an_empty_batch_has_an_empty_answer(channel: grpc.Channel) -> None:
    assert not predict_method(channel, BATCH)(pb.BatchPredictRequest(), timeout=DEADLINE).items


def test_a_batch_with_more_items_than_the_queue_holds_is_refused(channel: grpc.Channel) -> None:
    error = call_error(predict_method(channel, BATCH), pb.BatchPredictRequest(requests=[predict_request(1, 2)] * 5000))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details().startswith("requests: got 5000 requests; expected at most")


def test_each_item_of_a_batch_is_counted_as_a_request(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx")) as served, open_channel(served) as channel:
        predict_method(channel, BATCH)(
            pb.BatchPredictRequest(requests=[predict_request(1, 2), predict_request(3, 4), predict_request(5)]),
            timeout=DEADLINE,
        )
        counted = served.get("/metrics").text
    assert _count(counted, "scalezero_request_seconds_count", 'protocol="ml.v1"', 'code="ok"') == 2
    assert _count(counted, "scalezero_request_seconds_count", 'protocol="ml.v1"', 'code="invalid_input"') == 1


@pytest.mark.parametrize("coding", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("path", [PREDICT, BATCH])
def test_a_compressed_call_gets_a_compressed_answer(channel: grpc.Channel, coding: object, path: str) -> None:
    many = predict_request(*[1.0] * 20_000)
    message = pb.BatchPredictRequest(requests=[many]) if path == BATCH else many
    answer, call = predict_method(channel, path).with_call(message, timeout=DEADLINE, compression=coding)
    outputs = answer.items[0].response.outputs if path == BATCH else answer.outputs
    assert list(outputs) == [2.0] * 20_000
    assert dict(call.initial_metadata()).get("grpc-encoding", "gzip") == "gzip"  # grpcio may hide this header


def test_the_answer_to_a_gzip_message_is_gzip_on_the_wire(served: Served) -> None:
    content = gzip.compress(predict_request(*[1.0] * 2000).SerializeToString())
    answer = send_raw(served, frame(content, flag=1), grpc_encoding="gzip", grpc_accept_encoding="identity,gzip")
    assert answer.headers["grpc-encoding"] == "gzip"
    assert "content-encoding" not in answer.headers
    assert answer.content[0] == 1
    assert list(pb.PredictResponse.FromString(gzip.decompress(answer.content[5:])).outputs) == [2.0] * 2000


@pytest.mark.parametrize("coding", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
@pytest.mark.parametrize("path", [PREDICT, BATCH])
def test_a_message_beyond_the_limit_is_refused_compressed_or_not(
    channel: grpc.Channel, coding: object, path: str
) -> None:
    many = predict_request(*[1.0] * (LIMIT // 4 + 2))
    message = pb.BatchPredictRequest(requests=[many]) if path == BATCH else many
    error = call_error(predict_method(channel, path), message, compression=coding)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"at most {LIMIT} bytes" in error.details()
    assert details(error, error_details_pb2.ErrorInfo).reason == "PAYLOAD_TOO_LARGE"


def test_the_error_for_an_unknown_encoding_lists_the_supported_ones(served: Served) -> None:
    answer = send_raw(served, frame(b"x", flag=1), grpc_encoding="snappy")
    assert answer.headers["grpc-status"] == "12"
    assert answer.headers["grpc-accept-encoding"] == "identity,deflate,gzip"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model with slow runs of one call each."""
    folder = tmp_path_factory.mktemp("busy")
    with serving(
        folder, models.heavy(folder / "m.onnx", size=1600), SCALEZERO_BATCH_SIZE="1", SCALEZERO_TIMEOUT="20s"
    ) as served:
        yield served


def test_a_call_does_not_run_if_its_deadline_passes_in_the_queue(busy: Served) -> None:
    runs = _runs(busy)
    message = frame(predict_request(1, 2).SerializeToString())
    with ThreadPoolExecutor(3) as callers:
        others = [callers.submit(send_raw, busy, message) for _ in range(3)]
        late = send_raw(busy, message, grpc_timeout="1u")
        assert [_status(each.result()) for each in others] == [0, 0, 0]
    assert _status(late) == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert late.headers["grpc-message"].endswith("the model did not run")
    assert _runs(busy) - runs == 3


def test_a_call_with_a_later_deadline_is_answered(busy: Served) -> None:
    with open_channel(busy) as channel:
        assert list(predict_method(channel)(predict_request(1, 2), timeout=DEADLINE).outputs) == [1, 2]


@pytest.mark.parametrize("value", ["", "5", "1s", "-1S", "123456789S"])
def test_an_invalid_timeout_is_refused(served: Served, value: str) -> None:
    answer = send_raw(served, frame(predict_request(1, 2).SerializeToString()), grpc_timeout=value)
    assert _status(answer) == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_a_deadline_limits_the_wait_for_a_model_that_is_not_loaded(tmp_path: Path) -> None:
    """The model is in a store that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "AWS_ACCESS_KEY_ID": "a"}
        env = {**store, "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
        with (
            serving(tmp_path, "s3://bucket/m.onnx", ready=False, env=env) as served,
            open_channel(served) as channel,
        ):
            answer = send_raw(served, frame(predict_request(1, 2).SerializeToString()), grpc_timeout="50m")
            assert _status(answer) == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
            health = health_pb2_grpc.HealthStub(channel)
            for name in ("", "m", "ml.v1.InferenceService"):
                checked = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE)
                assert checked.status == health_pb2.HealthCheckResponse.NOT_SERVING
            batch = pb.BatchPredictRequest(requests=[predict_request(1, 2)])
            late = send_raw(served, frame(batch.SerializeToString()), BATCH, grpc_timeout="50m")
            [item] = pb.BatchPredictResponse.FromString(late.content[5:]).items
            assert item.error.code == "deadline_exceeded"


def test_a_call_that_is_cancelled_in_the_queue_does_not_run(busy: Served) -> None:
    runs = _runs(busy)
    with open_channel(busy) as channel:
        call = predict_method(channel)
        first = call.future(predict_request(1, 2), timeout=DEADLINE)
        waiting = [call.future(predict_request(1, 2), timeout=DEADLINE) for _ in range(20)]
        last = call.future(predict_request(3, 4), timeout=DEADLINE)
        health = health_pb2_grpc.HealthStub(channel)
        health.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE)  # the server has read all calls before this one
        for each in waiting:
            each.cancel()
        assert list(first.result().outputs) == [1, 2]
        assert list(last.result().outputs) == [3, 4]
    counted = busy.get("/metrics").text
    assert _count(counted, "scalezero_request_seconds_count", 'protocol="ml.v1"', 'code="client_left"') > 15
    assert _runs(busy) - runs < 7  # 22, if all calls ran


def test_the_error_of_a_full_queue_has_the_retry_delay(tmp_path: Path) -> None:
    model = models.heavy(tmp_path / "m.onnx", size=1600)
    with (
        serving(tmp_path, model, SCALEZERO_BATCH_SIZE="1", SCALEZERO_QUEUE_SIZE="2", SCALEZERO_TIMEOUT="20s") as served,
        open_channel(served) as channel,
    ):
        futures = [predict_method(channel).future(predict_request(1, 2), timeout=DEADLINE) for _ in range(20)]
        codes = [each.code() for each in futures]
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        error = futures[codes.index(grpc.StatusCode.RESOURCE_EXHAUSTED)].exception()
        assert details(error, error_details_pb2.ErrorInfo).reason == "QUEUE_FULL"
        assert details(error, error_details_pb2.RetryInfo).retry_delay.seconds >= 1


@pytest.mark.parametrize("name", ["", "m", "ml.v1.InferenceService", "grpc.health.v1.Health"])
@pytest.mark.parametrize("coding", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_health_of_a_ready_service_is_serving(channel: grpc.Channel, name: str, coding: grpc.Compression) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE, compression=coding)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_an_unknown_service_is_not_found(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    assert call_error(health.Check, health_pb2.HealthCheckRequest(service="x")).code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "path",
    [
        "/x.Y/Z",
        "/ml.v1.InferenceService/X",
        "/",
        "/grpc.health.v1.Health/Other",
        "/healthz/live",
        "/api/v1/models/m/predict",
    ],
)
def test_an_unknown_method_is_unimplemented_at_any_path(channel: grpc.Channel, path: str) -> None:
    error = call_error(predict_method(channel, path), predict_request(1, 2))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert PREDICT in error.details()


def test_a_stream_of_an_unknown_method_is_refused_before_it_ends(channel: grpc.Channel) -> None:
    """The client behaves like a reflection client: it sends one message, keeps the stream open, and waits."""
    answered = Event()

    def messages() -> Iterator[bytes]:
        yield b""
        answered.wait(DEADLINE)

    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/Other")(messages(), timeout=DEADLINE)
    with pytest.raises(grpc.RpcError) as raised:
        next(call)
    answered.set()
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stream_to_a_unary_method_is_refused(channel: grpc.Channel) -> None:
    call = channel.stream_unary(PREDICT, request_serializer=lambda each: each.SerializeToString())
    error = call_error(call, iter([predict_request(1, 2), predict_request(3, 4)]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "does not accept a stream" in error.details()
    error = call_error(call, iter([]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_authors_function_never_gets_a_grpc_call(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def handle(request):\n    return 'mine'\n")
    source = str(tmp_path / "main.py")
    with (
        serving(tmp_path, models.doubling(tmp_path / "m.onnx"), FUNCTION_SOURCE=source) as served,
        open_channel(served) as channel,
    ):
        assert call_error(predict_method(channel, "/x.Y/Z"), predict_request(1)).code() is grpc.StatusCode.UNIMPLEMENTED
        assert send_raw(served, b"", "/x.Y/Z", content_type="text/plain").text == "mine"
        assert list(predict_method(channel)(predict_request(1, 2), timeout=DEADLINE).outputs) == [2, 4]


@pytest.mark.parametrize("kind", ["application/json", "application/grpc-web", "application/grpc+json", ""])
@pytest.mark.parametrize("http2", [True, False])
def test_another_content_type_on_a_grpc_path_is_415(served: Served, kind: str, *, http2: bool) -> None:
    error = error_of(send_raw(served, b"{}", http2=http2, content_type=kind), 415)
    assert error["code"] == "unsupported_content_type"
    assert error["details"]["supported"] == ["application/grpc", "application/grpc+proto"]


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/grpc;x=y", "application/grpc+proto ; x"])
def test_each_form_of_the_content_type_is_accepted(served: Served, kind: str) -> None:
    answer = send_raw(served, frame(predict_request(1, 2).SerializeToString()), content_type=kind)
    assert list(pb.PredictResponse.FromString(answer.content[5:]).outputs) == [2, 4]


@pytest.mark.parametrize("path", [PREDICT, "/x.Y/Z"])
def test_the_error_for_a_call_over_http_1_has_the_expected_version(served: Served, path: str) -> None:
    error = error_of(send_raw(served, frame(b""), path, http2=False), 400)
    assert error["code"] == "http2_required"
    assert error["message"].startswith("HTTP version: got a gRPC call over HTTP/1.1; expected HTTP/2")


@pytest.mark.parametrize("path", [PREDICT, "/healthz/live"])
def test_a_call_with_another_method_than_post_gets_a_grpc_error(served: Served, path: str) -> None:
    with served.client(http1=False, http2=True) as client:
        answer = client.get(path, headers=CALL)
    assert (answer.status_code, _status(answer)) == (200, grpc.StatusCode.UNIMPLEMENTED.value[0])


def test_a_get_of_a_grpc_path_is_405(served: Served) -> None:
    assert served.get(PREDICT).status_code == 405


@given(body=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(frame)))
def test_an_invalid_body_is_a_client_error(served: Served, body: bytes) -> None:
    answer = send_raw(served, body)
    assert answer.status_code == 200
    assert _status(answer) in {grpc.StatusCode.INVALID_ARGUMENT.value[0], grpc.StatusCode.NOT_FOUND.value[0]}


def test_a_call_with_a_head_that_is_too_large_gets_a_grpc_error(served: Served) -> None:
    answer = send_raw(served, frame(b""), x="y" * 70_000)
    assert (answer.status_code, _status(answer)) == (200, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


def _status(answer: httpx.Response) -> int:
    """Return the status in the head. A successful answer has it in its trailers, which httpx does not expose."""
    assert answer.headers["content-type"] == "application/grpc"
    return int(answer.headers.get("grpc-status", 0))


def _count(metrics: str, name: str, *labels: str) -> float:
    lines = [
        line for line in metrics.splitlines() if line.startswith(name + "{") and all(each in line for each in labels)
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _has_protobuf(served: Served) -> bool:
    """Whether the process has loaded protobuf's extension module."""
    return any("google/_upb" in each.path for each in psutil.Process(served.process.pid).memory_maps())


def _runs(served: Served) -> float:
    until(served, "/healthz/ready")
    return _count(served.get("/metrics").text, "scalezero_batch_rows_sum")
