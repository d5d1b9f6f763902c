"""gRPC as grpcio, the reference client, speaks it; what no client does is sent as raw HTTP/2."""

import gzip
import socket
import time
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

PREDICT, BATCH = "/ml.v1.InferenceService/Predict", "/ml.v1.InferenceService/BatchPredict"
CALL = {"content-type": "application/grpc", "te": "trailers"}
LIMIT = 200_000  # bytes of a message


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx"), SCALEZERO_MAX_BODY_BYTES=str(LIMIT)) as served:
        yield served


@pytest.fixture
def channel(served: Served) -> Iterator[grpc.Channel]:
    with connected(served) as channel:
        yield channel


def connected(served: Served, **options: object) -> grpc.Channel:
    """A channel with a connection of its own."""
    return served.channel(**options)


def predicting(channel: grpc.Channel, path: str = PREDICT) -> Any:  # noqa: ANN401 - grpcio has no types
    batch = path == BATCH
    return channel.unary_unary(
        path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=(pb.BatchPredictResponse if batch else pb.PredictResponse).FromString,
    )


def asked(*numbers: float, model: str = "m") -> pb.PredictRequest:
    return pb.PredictRequest(model_name=model, inputs=numbers)


def refused(call: Any, message: object, **options: Any) -> grpc.RpcError:  # noqa: ANN401 - as above
    with pytest.raises(grpc.RpcError) as raised:
        call(message, timeout=options.pop("timeout", 20), **options)
    return raised.value


def details(error: Any, kind: Any) -> Any:  # noqa: ANN401 - as above
    """The one detail of that kind."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    [packed] = [each for each in status.details if each.Is(kind.DESCRIPTOR)]
    message = kind()
    packed.Unpack(message)
    return message


def raw(served: Served, body: bytes, path: str = PREDICT, *, http2: bool = True, **headers: str) -> httpx.Response:
    """Send a body as it is."""
    given = {**CALL, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with served.client(http1=not http2, http2=http2) as client:
        return client.post(path, content=body, headers=given)


def frame(content: bytes, *, flag: int = 0) -> bytes:
    return bytes([flag]) + len(content).to_bytes(4, "big") + content


def test_a_call_gets_its_outputs_and_the_time_it_took(channel: grpc.Channel) -> None:
    answer, call = predicting(channel).with_call(asked(1, 2, 3, 4), timeout=20)
    assert list(answer.outputs) == [2, 4, 6, 8]
    assert answer.latency_ms > 0
    assert call.code() is grpc.StatusCode.OK
    assert "run;dur=" in dict(call.initial_metadata())["server-timing"]


def test_a_tensor_gets_the_same_bits_by_grpc_as_by_the_predict_api(tmp_path: Path) -> None:
    with serving(tmp_path, models.scaled(tmp_path / "s.onnx")) as several, connected(several) as channel:
        error = refused(predicting(channel), asked(1, model="s"))  # it has two inputs
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    rows = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    with serving(tmp_path, models.heavy(tmp_path / "m.onnx", size=8)) as served, connected(served) as channel:
        ours = predicting(channel)(asked(*rows.ravel().tolist()), timeout=20).outputs
        theirs = served.predict(rows.tolist()).json()["outputs"]
    assert np.array(ours, np.float32).tobytes() == np.array(theirs, np.float32).tobytes()


def test_calls_and_predict_requests_share_runs(tmp_path: Path) -> None:
    """While a slow run is under way, those of both protocols gather for the next one; each gets its own answer."""
    model = models.heavy(tmp_path / "m.onnx", size=1600)
    with (
        serving(tmp_path, model, SCALEZERO_BATCHING="always", SCALEZERO_TIMEOUT="20s") as served,
        connected(served) as channel,
        ThreadPoolExecutor(10) as callers,
    ):
        before = _count(served.get("/metrics").text, "scalezero_batch_rows_count")
        calls = [predicting(channel).future(asked(number, -1), timeout=20) for number in range(10)]
        requests = [callers.submit(served.predict, [number, 1]) for number in range(10)]
        assert [list(each.result().outputs) for each in calls] == [[number, -1] for number in range(10)]
        assert [each.result().json()["outputs"] for each in requests] == [[number, 1] for number in range(10)]
        runs = _count(served.get("/metrics").text, "scalezero_batch_rows_count") - before
    assert runs < 10  # 20, did each have one of its own


def test_a_thousand_calls_at_once_on_one_connection_are_all_answered(tmp_path: Path) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, SCALEZERO_QUEUE_SIZE="2000", SCALEZERO_TIMEOUT="20s") as served:
        with connected(served) as channel:
            call = predicting(channel)
            futures = [call.future(asked(number, 0), timeout=60) for number in range(1000)]
            assert [each.result().outputs[0] for each in futures] == [2 * number for number in range(1000)]
        counted = served.get("/metrics").text
        assert _count(counted, "scalezero_request_seconds_count", 'protocol="ml.v1"', 'code="ok"') == 1000


def test_protobuf_is_imported_by_the_first_message_that_needs_it_and_not_before(tmp_path: Path) -> None:
    """A cold start pays for nothing that its caller does not use; neither does a probe, nor the usual message."""
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx")) as served, connected(served) as channel:
        assert served.predict([1, 2]).status_code == 200
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="m"), timeout=20)
        assert not _has_protobuf(served)
        predicting(channel)(asked(1, 2), timeout=20)
        assert not _has_protobuf(served)
        predicting(channel, BATCH)(pb.BatchPredictRequest(requests=[asked(1, 2)]), timeout=20)
        assert _has_protobuf(served)


def test_an_error_names_the_field_and_carries_its_code(channel: grpc.Channel) -> None:
    error = refused(predicting(channel), asked(1, 2, 3))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith("inputs: got 3 numbers; expected a multiple of 2")
    [violation] = details(error, error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.description) == ("inputs", error.details())
    assert details(error, error_details_pb2.ErrorInfo).reason == "INVALID_INPUT"


def test_a_model_that_is_not_here_is_not_found_whatever_its_name(channel: grpc.Channel) -> None:
    error = refused(predicting(channel), asked(1, 2, model="größe 100%\n"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "größe 100%" in error.details()
    assert error.details().endswith("served: m")


def test_a_bad_item_of_a_batch_does_not_fail_the_others(channel: grpc.Channel) -> None:
    batch = pb.BatchPredictRequest(requests=[asked(1, 2), asked(1), asked(1, 2, model="x"), asked(3, 4, 5, 6)])
    first, second, third, fourth = predicting(channel, BATCH)(batch, timeout=20).items
    assert list(first.response.outputs) == [2, 4]
    assert first.response.latency_ms > 0
    assert second.error.code == "invalid_input"
    assert third.error.code == "model_not_found"
    assert list(fourth.response.outputs) == [6, 8, 10, 12]


def test_an_empty_batch_has_an_empty_answer(channel: grpc.Channel) -> None:
    assert not predicting(channel, BATCH)(pb.BatchPredictRequest(), timeout=20).items


def test_a_batch_of_more_items_than_may_wait_is_refused_whole(channel: grpc.Channel) -> None:
    error = refused(predicting(channel, BATCH), pb.BatchPredictRequest(requests=[asked(1, 2)] * 5000))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details().startswith("requests: got 5000 requests; expected at most")


def test_each_item_of_a_batch_counts_as_a_request_of_its_model(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx")) as served, connected(served) as channel:
        predicting(channel, BATCH)(pb.BatchPredictRequest(requests=[asked(1, 2), asked(3, 4), asked(5)]), timeout=20)
        counted = served.get("/metrics").text
    assert _count(counted, "scalezero_request_seconds_count", 'protocol="ml.v1"', 'code="ok"') == 2
    assert _count(counted, "scalezero_request_seconds_count", 'protocol="ml.v1"', 'code="invalid_input"') == 1


@pytest.mark.parametrize("coding", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("path", [PREDICT, BATCH])
def test_a_compressed_call_is_answered_compressed(channel: grpc.Channel, coding: object, path: str) -> None:
    many = asked(*[1.0] * 20_000)
    message = pb.BatchPredictRequest(requests=[many]) if path == BATCH else many
    answer, call = predicting(channel, path).with_call(message, timeout=20, compression=coding)
    outputs = answer.items[0].response.outputs if path == BATCH else answer.outputs
    assert list(outputs) == [2.0] * 20_000
    assert dict(call.initial_metadata()).get("grpc-encoding", "gzip") == "gzip"  # grpcio keeps it to itself


def test_the_answer_on_the_wire_is_gzip_where_the_message_was(served: Served) -> None:
    content = gzip.compress(asked(*[1.0] * 2000).SerializeToString())
    answer = raw(served, frame(content, flag=1), grpc_encoding="gzip", grpc_accept_encoding="identity,gzip")
    assert answer.headers["grpc-encoding"] == "gzip"
    assert "content-encoding" not in answer.headers
    assert answer.content[0] == 1
    assert list(pb.PredictResponse.FromString(gzip.decompress(answer.content[5:])).outputs) == [2.0] * 2000


@pytest.mark.parametrize("coding", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
@pytest.mark.parametrize("path", [PREDICT, BATCH])
def test_a_message_beyond_the_limit_is_refused_compressed_or_not(
    channel: grpc.Channel, coding: object, path: str
) -> None:
    many = asked(*[1.0] * (LIMIT // 4 + 2))
    message = pb.BatchPredictRequest(requests=[many]) if path == BATCH else many
    error = refused(predicting(channel, path), message, compression=coding)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"at most {LIMIT} bytes" in error.details()
    assert details(error, error_details_pb2.ErrorInfo).reason == "PAYLOAD_TOO_LARGE"


def test_an_unknown_coding_is_refused_with_the_known_ones(served: Served) -> None:
    answer = raw(served, frame(b"x", flag=1), grpc_encoding="snappy")
    assert answer.headers["grpc-status"] == "12"
    assert answer.headers["grpc-accept-encoding"] == "identity,deflate,gzip"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model whose runs take a while, one call at a time."""
    folder = tmp_path_factory.mktemp("busy")
    with serving(
        folder, models.heavy(folder / "m.onnx", size=1600), SCALEZERO_BATCH_SIZE="1", SCALEZERO_TIMEOUT="20s"
    ) as served:
        yield served


def test_a_deadline_that_passes_in_the_queue_is_told_and_the_model_never_sees_the_call(busy: Served) -> None:
    runs = _runs(busy)
    message = frame(asked(1, 2).SerializeToString())
    with ThreadPoolExecutor(3) as callers:
        others = [callers.submit(raw, busy, message) for _ in range(3)]
        late = raw(busy, message, grpc_timeout="1u")
        assert [_status(each.result()) for each in others] == [0, 0, 0]
    assert _status(late) == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert late.headers["grpc-message"].endswith("the model did not run")
    assert _runs(busy) - runs == 3


def test_a_deadline_that_is_far_is_kept(busy: Served) -> None:
    with connected(busy) as channel:
        assert list(predicting(channel)(asked(1, 2), timeout=20).outputs) == [1, 2]


@pytest.mark.parametrize("value", ["", "5", "1s", "-1S", "123456789S"])
def test_a_timeout_that_is_none_is_refused(served: Served, value: str) -> None:
    answer = raw(served, frame(asked(1, 2).SerializeToString()), grpc_timeout=value)
    assert _status(answer) == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_a_deadline_bounds_the_wait_for_a_model_that_is_not_loaded(tmp_path: Path) -> None:
    """The pull comes from a store that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "AWS_ACCESS_KEY_ID": "a"}
        env = {**store, "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
        with (
            serving(tmp_path, "s3://bucket/m.onnx", ready=False, env=env) as served,
            connected(served) as channel,
        ):
            answer = raw(served, frame(asked(1, 2).SerializeToString()), grpc_timeout="50m")
            assert _status(answer) == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
            health = health_pb2_grpc.HealthStub(channel)
            for name in ("", "m", "ml.v1.InferenceService"):
                checked = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=20)
                assert checked.status == health_pb2.HealthCheckResponse.NOT_SERVING
            batch = pb.BatchPredictRequest(requests=[asked(1, 2)])
            late = raw(served, frame(batch.SerializeToString()), BATCH, grpc_timeout="50m")
            [item] = pb.BatchPredictResponse.FromString(late.content[5:]).items
            assert item.error.code == "deadline_exceeded"


def test_a_cancelled_call_that_is_still_queued_never_runs(busy: Served) -> None:
    runs = _runs(busy)
    with connected(busy) as channel:
        call = predicting(channel)
        first = call.future(asked(1, 2), timeout=20)
        waiting = [call.future(asked(1, 2), timeout=20) for _ in range(20)]
        last = call.future(asked(3, 4), timeout=60)
        time.sleep(0.02)
        for each in waiting:
            each.cancel()
        assert list(first.result().outputs) == [1, 2]
        assert list(last.result().outputs) == [3, 4]
    counted = busy.get("/metrics").text
    assert _count(counted, "scalezero_request_seconds_count", 'protocol="ml.v1"', 'code="client_left"') > 15
    assert _runs(busy) - runs < 7  # 22, did they all run


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    model = models.heavy(tmp_path / "m.onnx", size=1600)
    with (
        serving(tmp_path, model, SCALEZERO_BATCH_SIZE="1", SCALEZERO_QUEUE_SIZE="2", SCALEZERO_TIMEOUT="20s") as served,
        connected(served) as channel,
    ):
        futures = [predicting(channel).future(asked(1, 2), timeout=30) for _ in range(20)]
        codes = [each.code() for each in futures]
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        error = futures[codes.index(grpc.StatusCode.RESOURCE_EXHAUSTED)].exception()
        assert details(error, error_details_pb2.ErrorInfo).reason == "QUEUE_FULL"
        assert details(error, error_details_pb2.RetryInfo).retry_delay.seconds >= 1


@pytest.mark.parametrize("name", ["", "m", "ml.v1.InferenceService", "grpc.health.v1.Health"])
@pytest.mark.parametrize("coding", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_what_is_ready_serves(channel: grpc.Channel, name: str, coding: grpc.Compression) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=20, compression=coding)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_what_is_not_here_is_not_found(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    assert refused(health.Check, health_pb2.HealthCheckRequest(service="x")).code() is grpc.StatusCode.NOT_FOUND


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
def test_a_method_that_is_not_here_is_unimplemented_wherever_its_path_leads(channel: grpc.Channel, path: str) -> None:
    error = refused(predicting(channel, path), asked(1, 2))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert PREDICT in error.details()


def test_a_stream_of_a_method_that_is_not_here_is_refused_before_it_ends(channel: grpc.Channel) -> None:
    """As a reflection client would wait: it sends one message, keeps its side open, and wants the answer."""
    answered = Event()

    def messages() -> Iterator[bytes]:
        yield b""
        answered.wait(20)

    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/Other")(messages(), timeout=15)
    with pytest.raises(grpc.RpcError) as raised:
        next(call)
    answered.set()
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stream_to_a_unary_method_is_refused(channel: grpc.Channel) -> None:
    call = channel.stream_unary(PREDICT, request_serializer=lambda each: each.SerializeToString())
    error = refused(call, iter([asked(1, 2), asked(3, 4)]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "takes no stream" in error.details()
    error = refused(call, iter([]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_call_is_never_the_authors_functions(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def handle(request):\n    return 'mine'\n")
    source = str(tmp_path / "main.py")
    with (
        serving(tmp_path, models.doubling(tmp_path / "m.onnx"), FUNCTION_SOURCE=source) as served,
        connected(served) as channel,
    ):
        assert refused(predicting(channel, "/x.Y/Z"), asked(1)).code() is grpc.StatusCode.UNIMPLEMENTED
        assert raw(served, b"", "/x.Y/Z", content_type="text/plain").text == "mine"
        assert list(predicting(channel)(asked(1, 2), timeout=20).outputs) == [2, 4]


@pytest.mark.parametrize("kind", ["application/json", "application/grpc-web", "application/grpc+json", ""])
@pytest.mark.parametrize("http2", [True, False])
def test_another_content_type_on_a_grpc_path_is_415(served: Served, kind: str, *, http2: bool) -> None:
    error = error_of(raw(served, b"{}", http2=http2, content_type=kind), 415)
    assert error["code"] == "unsupported_content_type"
    assert error["details"]["supported"] == ["application/grpc", "application/grpc+proto"]


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/grpc;x=y", "application/grpc+proto ; x"])
def test_each_form_of_the_content_type_is_a_call(served: Served, kind: str) -> None:
    answer = raw(served, frame(asked(1, 2).SerializeToString()), content_type=kind)
    assert list(pb.PredictResponse.FromString(answer.content[5:]).outputs) == [2, 4]


@pytest.mark.parametrize("path", [PREDICT, "/x.Y/Z"])
def test_a_call_over_http_1_is_refused_with_what_to_use(served: Served, path: str) -> None:
    error = error_of(raw(served, frame(b""), path, http2=False), 400)
    assert error["code"] == "http2_required"
    assert error["message"].startswith("HTTP version: got a gRPC call over HTTP/1.1; expected HTTP/2")


@pytest.mark.parametrize("path", [PREDICT, "/healthz/live"])
def test_a_call_that_is_no_post_is_refused_as_a_call(served: Served, path: str) -> None:
    with served.client(http1=False, http2=True) as client:
        answer = client.get(path, headers=CALL)
    assert (answer.status_code, _status(answer)) == (200, grpc.StatusCode.UNIMPLEMENTED.value[0])


def test_a_get_of_a_grpc_path_is_405(served: Served) -> None:
    assert served.get(PREDICT).status_code == 405


@given(body=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(frame)))
def test_garbage_is_the_clients_fault(served: Served, body: bytes) -> None:
    answer = raw(served, body)
    assert answer.status_code == 200
    assert _status(answer) in {grpc.StatusCode.INVALID_ARGUMENT.value[0], grpc.StatusCode.NOT_FOUND.value[0]}


def test_a_call_whose_head_is_too_large_is_refused_as_a_call(served: Served) -> None:
    answer = raw(served, frame(b""), x="y" * 70_000)
    assert (answer.status_code, _status(answer)) == (200, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


def _status(answer: httpx.Response) -> int:
    """The status in the head; an answer that succeeded has it in its trailers, which httpx does not give."""
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
