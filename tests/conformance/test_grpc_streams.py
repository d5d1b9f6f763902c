"""Tests of gRPC streams with grpcio, the reference client: health watching and reflection.

The tests of `frontends/grpc` cover invalid streams and test methods.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from runtime.protocols.protos import open_inference_pb2 as pb
from tests import models
from tests.conformance.test_grpc import call_error, open_channel
from tests.runtime.frontends.conftest import Served, serving
from tests.waiting import DEADLINE

Status = health_pb2.HealthCheckResponse
BAD_MODEL = b"no onnx"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx")) as served:
        yield served


@pytest.fixture
def channel(served: Served) -> Iterator[grpc.Channel]:
    with open_channel(served) as channel:
        yield channel


def watch_health(channel: grpc.Channel, service: str, **options: object) -> Any:  # noqa: ANN401 - grpcio has no types
    return health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service), **options)


def reflect(channel: grpc.Channel, *requests: reflection_pb2.ServerReflectionRequest) -> list[Any]:
    """Return the answers to these reflection requests on one stream."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    return list(stub.ServerReflectionInfo(iter(requests), timeout=DEADLINE))


@pytest.mark.parametrize("service", ["", "m", "grpc.health.v1.Health"])
def test_a_watcher_gets_the_state_immediately_and_the_stream_stays_open(channel: grpc.Channel, service: str) -> None:
    watch = watch_health(channel, service, timeout=3)
    assert next(watch).status == Status.SERVING
    with pytest.raises(grpc.RpcError) as ended:
        next(watch)
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # nothing changed


def test_a_watch_of_an_unknown_service_stays_open(channel: grpc.Channel) -> None:
    watch = watch_health(channel, "nobody", timeout=3)
    assert next(watch).status == Status.SERVICE_UNKNOWN
    with pytest.raises(grpc.RpcError) as ended:
        next(watch)
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_watcher_sees_the_model_become_ready_and_the_shutdown(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(BAD_MODEL)
    settings = {"SCALEZERO_LOAD_FAILURE": "stay", "SCALEZERO_GRACE_PERIOD": "600s"}  # no stream may wait for its end
    with (
        serving(tmp_path, model, ready=False, env=settings) as served,
        open_channel(served) as channel,
    ):
        watches = [watch_health(channel, name) for name in ("", "m")]
        assert [next(each).status for each in watches] == [Status.NOT_SERVING] * 2
        models.doubling(model)
        assert [next(each).status for each in watches] == [Status.SERVING] * 2
        served.process.terminate()
        assert [next(each).status for each in watches] == [Status.NOT_SERVING] * 2
        for each in watches:
            with pytest.raises(grpc.RpcError) as ended:
                next(each)
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "shutting down" in ended.value.details()
        assert served.process.wait(DEADLINE) == 0


def test_every_service_and_model_is_listed_with_its_state(channel: grpc.Channel) -> None:
    found = health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest(), timeout=DEADLINE)
    assert {"", "m", "grpc.health.v1.Health", "ml.v1.InferenceService"} <= set(found.statuses)
    assert {each.status for each in found.statuses.values()} == {Status.SERVING}


def test_a_client_can_build_its_stub_only_from_reflection(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    services = database.get_services()
    assert {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "ml.v1.InferenceService"} <= set(services)
    pool = DescriptorPool(database)
    for name in services:  # every served service is described
        assert pool.FindServiceByName(name).methods
    method = pool.FindServiceByName("ml.v1.InferenceService").FindMethodByName("Predict")
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = channel.unary_unary(
        "/ml.v1.InferenceService/Predict",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )
    assert list(call(request(model_name="m", inputs=[1, 2]), timeout=DEADLINE).outputs) == [2, 4]


def test_both_versions_of_reflection_give_the_same_answers(channel: grpc.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(host="h", file_containing_symbol="ml.v1.PredictRequest")
    answers = []
    for version in ("v1", "v1alpha"):
        call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        answers += list(call(iter([request, request]), timeout=DEADLINE))
    assert len(answers) == 4
    assert {each.SerializeToString() for each in answers} == {answers[0].SerializeToString()}
    assert (answers[0].valid_host, answers[0].original_request) == ("h", request)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"file_containing_symbol": "ml.v1.Nothing"}, 5),
        ({"file_by_filename": "nothing.proto"}, 5),
        ({"file_containing_extension": {"containing_type": "ml.v1.PredictRequest", "extension_number": 1}}, 5),
        ({"file_containing_extension": {"containing_type": "ml.v1.Nothing", "extension_number": 1}}, 5),
        ({"all_extension_numbers_of_type": "ml.v1.Nothing"}, 5),
        ({}, 3),
    ],
)
def test_an_unknown_name_gets_an_error_and_the_stream_continues(
    channel: grpc.Channel, fields: dict[str, Any], code: int
) -> None:
    after = reflection_pb2.ServerReflectionRequest(list_services="*")
    answers = reflect(channel, reflection_pb2.ServerReflectionRequest(**fields), after)
    assert [each.WhichOneof("message_response") for each in answers] == ["error_response", "list_services_response"]
    assert answers[0].error_response.error_code == code
    assert "expected" in answers[0].error_response.error_message


def test_our_messages_have_no_extensions(channel: grpc.Channel) -> None:
    [answer] = reflect(
        channel, reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="ml.v1.PredictRequest")
    )
    assert answer.all_extension_numbers_response.base_type_name == "ml.v1.PredictRequest"
    assert list(answer.all_extension_numbers_response.extension_number) == []


def test_an_invalid_request_ends_the_stream(channel: grpc.Channel) -> None:
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    error = call_error(lambda message, timeout: list(call(iter([message]), timeout=timeout)), b"\xff")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "expected a ServerReflectionRequest" in error.details()


def test_the_requests_of_a_stream_share_runs_and_keep_their_order(tmp_path: Path) -> None:
    """During a slow run, later requests wait for the next one."""
    model = models.heavy(tmp_path / "m.onnx", size=1600)
    with (
        serving(tmp_path, model, SCALEZERO_BATCHING="always", SCALEZERO_TIMEOUT="20s") as served,
        open_channel(served) as channel,
    ):
        before = _runs(served)
        call = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=pb.ModelStreamInferResponse.FromString,
        )
        answers = list(call((_infer(number) for number in range(20)), timeout=DEADLINE))
        assert [each.infer_response.id for each in answers] == [str(number) for number in range(20)]
        outputs = [np.frombuffer(each.infer_response.raw_output_contents[0], np.float32) for each in answers]
        assert [each.tolist() for each in outputs] == [[number, 1] for number in range(20)]
        assert _runs(served) - before < 15  # separate runs would be 20


def _infer(number: int) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="m", id=str(number))
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.array([number, 1], np.float32).tobytes())
    return request


def _runs(served: Served) -> float:
    lines = served.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("scalezero_batch_rows_count"))
