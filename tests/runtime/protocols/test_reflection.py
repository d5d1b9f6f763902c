"""Server reflection: every mounted service is described completely, and no other."""

from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from runtime.errors import InvalidInput
from runtime.frontends import catalogue
from runtime.protocols.protos import grpc_reflection_v1_pb2 as pb
from runtime.protocols.reflection import Descriptions

SERVICES = [each.service for each in catalogue.grpc_services(catalogue.PROTOCOLS)]


def response_to(
    services: list[str],
    sent: set[str] | None = None,
    /,
    **request: Any,  # noqa: ANN401 - a field of any type
) -> pb.ServerReflectionResponse:
    message = pb.ServerReflectionRequest(host="h", **request)
    answer = Descriptions(services).answer(
        message.SerializeToString(), version="v1", sent=set() if sent is None else sent
    )
    response = pb.ServerReflectionResponse.FromString(answer)
    assert (response.valid_host, response.original_request) == ("h", message)
    return response


def files(response: pb.ServerReflectionResponse) -> list[descriptor_pb2.FileDescriptorProto]:
    return [
        descriptor_pb2.FileDescriptorProto.FromString(each)
        for each in response.file_descriptor_response.file_descriptor_proto
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_the_files_of_a_service_are_complete(service: str) -> None:
    """An empty pool can load them, imports first, and then contains the service."""
    found = {each.name: each for each in files(response_to(SERVICES, file_containing_symbol=service))}
    pool = DescriptorPool()

    def add(name: str) -> None:
        for each in found[name].dependency:
            if each in found:
                add(each)
        pool.Add(found.pop(name)) if name in found else None

    add(next(iter(found)))
    catalogued = next(each for each in catalogue.grpc_services(catalogue.PROTOCOLS) if each.service == service)
    described = {each.name for each in pool.FindServiceByName(service).methods}
    assert {*catalogued.methods, *catalogued.streams} <= described


def test_the_services_are_listed() -> None:
    listed = [each.name for each in response_to(SERVICES, list_services="*").list_services_response.service]
    assert listed == sorted(SERVICES)


@pytest.mark.parametrize(
    "symbol",
    [
        "ml.v1.InferenceService",
        "ml.v1.InferenceService.Predict",
        "ml.v1.PredictRequest",
        "ml.v1.PredictRequest.inputs",
    ],
)
def test_a_symbol_of_any_kind_is_found(symbol: str) -> None:
    [file] = files(response_to(["ml.v1.InferenceService"], file_containing_symbol=symbol))
    assert file.package == "ml.v1"


def test_the_details_of_errors_are_always_described() -> None:
    assert files(response_to([], file_containing_symbol="google.rpc.ErrorInfo"))


def test_a_stream_receives_an_import_once_and_a_requested_file_each_time() -> None:
    services, sent = ["grpc.health.v1.Health", "inference.GRPCInferenceService"], set[str]()
    counts = [
        len(files(response_to(services, sent, file_by_filename=name)))
        for name in ("open_inference.proto", "open_inference.proto", "open_inference_config.proto")
    ]
    assert counts == [2, 1, 1]


@pytest.mark.parametrize(
    "request_",
    [
        {"file_containing_symbol": "ml.v1.PredictRequest"},
        {"file_containing_symbol": "ml.v1.InferenceService.Predict"},
        {"file_by_filename": "ml_v1.proto"},
        {"all_extension_numbers_of_type": "ml.v1.PredictRequest"},
    ],
)
def test_a_service_that_is_not_mounted_is_not_described(request_: dict[str, str]) -> None:
    assert response_to(["ml.v1.InferenceService"], **request_).WhichOneof("message_response") != "error_response"
    assert response_to(["grpc.health.v1.Health"], **request_).error_response.error_code == 5


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ({"file_containing_symbol": ".x"}, 5, "symbol: got '.x'; expected a full name in one of the files of"),
        ({"file_containing_symbol": "ml.v1.InferenceService.No"}, 5, "symbol: got 'ml.v1.InferenceService.No'"),
        ({"file_containing_symbol": "x" * 5000}, 5, f"got '{'x' * 200}';"),
        ({"file_by_filename": "x.proto"}, 5, "file: got 'x.proto'; expected one of google_rpc.proto"),
        ({"all_extension_numbers_of_type": "ml.v1.InferenceService"}, 5, "expected the full name of a message"),
        (
            {"file_containing_extension": pb.ExtensionRequest(containing_type="ml.v1.PredictRequest")},
            5,
            "extension: got '0 of ml.v1.PredictRequest'; expected none",
        ),
        ({}, 3, "message_request: got ''; expected one of its fields"),
    ],
)
def test_an_unknown_name_is_answered_with_an_error_response(request_: dict[str, Any], code: int, message: str) -> None:
    error = response_to(SERVICES, **request_).error_response
    assert error.error_code == code
    assert message in error.error_message


def test_a_message_has_no_extensions() -> None:
    answer = response_to(SERVICES, all_extension_numbers_of_type="ml.v1.PredictRequest").all_extension_numbers_response
    assert (answer.base_type_name, list(answer.extension_number)) == ("ml.v1.PredictRequest", [])


def test_a_message_that_is_not_a_request_is_refused() -> None:
    with pytest.raises(InvalidInput, match="expected a ServerReflectionRequest"):
        Descriptions([]).answer(b"\xff", version="v1alpha", sent=set())
