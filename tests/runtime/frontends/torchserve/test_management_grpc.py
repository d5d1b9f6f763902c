"""TorchServe's ManagementAPIsService on the main port, called with grpcio."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from runtime.protocols.protos import torchserve_management_pb2 as pb
from tests import models
from tests.runtime.frontends.conftest import Served, managed, serving
from tests.waiting import DEADLINE

SERVICE = "/org.pytorch.serve.grpc.management.ManagementAPIsService"
KEY = "a key from a Secret of the cluster"
REQUESTS = {
    "DescribeModel": pb.DescribeModelRequest,
    "ListModels": pb.ListModelsRequest,
    "RegisterModel": pb.RegisterModelRequest,
    "ScaleWorker": pb.ScaleWorkerRequest,
    "SetDefault": pb.SetDefaultRequest,
    "UnregisterModel": pb.UnregisterModelRequest,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    models.doubling(folder / "m.onnx")
    models.doubling(folder / "n.onnx", width=3)
    return folder


@pytest.fixture(scope="module")
def served(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    settings = {
        "MODEL_STORE": str(store),
        "LOAD_MODELS": "m",
        "SCALEZERO_KEY_FILE": str(folder / "key_file.json"),
        "SCALEZERO_MANAGEMENT_KEY": KEY,
        "SCALEZERO_MODEL_API": "true",
    }
    with serving(folder, env=settings) as served:
        yield served


def call(served: Served, method: str, *, key: str | None = KEY, **fields: Any) -> str:  # noqa: ANN401 - any field
    metadata = [("authorization", f"Bearer {key}")] if key else []
    with grpc.insecure_channel(f"127.0.0.1:{served.port}", [("grpc.enable_http_proxy", 0)]) as channel:
        stub = channel.unary_unary(
            f"{SERVICE}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=pb.ManagementResponse.FromString,
        )
        text: str = stub(REQUESTS[method](**fields), timeout=DEADLINE, metadata=metadata).msg
        return text


def refused(served: Served, method: str, **fields: Any) -> tuple[grpc.StatusCode, str]:  # noqa: ANN401 - as above
    with pytest.raises(grpc.RpcError) as raised:
        call(served, method, **fields)
    return raised.value.code(), raised.value.details()


def test_a_model_is_registered_described_and_unregistered(served: Served) -> None:
    text = call(served, "RegisterModel", url="n.onnx", initial_workers=1, synchronous=True, batch_size=4)
    assert text == 'Model "n" Version: 1 registered with 1 initial workers'
    assert served.predict([[1, 2, 3]], model="n").json()["outputs"] == [[2, 4, 6]]
    for fields in ({}, {"model_version": "1"}, {"model_version": "all"}, {"customized": True}):
        [description] = orjson.loads(call(served, "DescribeModel", model_name="n", **fields))
        assert (description["modelName"], description["batchSize"]) == ("n", 4)
    listed = orjson.loads(call(served, "ListModels", limit=1))
    assert listed == {"nextPageToken": "1", "models": [{"modelName": "m", "modelUrl": "m.onnx"}]}
    assert call(served, "SetDefault", model_name="n", model_version="1").startswith("Default version successfully")
    assert call(served, "UnregisterModel", model_name="n") == 'Model "n" unregistered'
    assert served.predict([[1, 2, 3]], model="n").status_code == 404


def test_calls_are_counted_for_the_model_that_they_name(served: Served) -> None:
    before = managed(served)
    call(served, "RegisterModel", url="n.onnx")
    for method, fields in (
        ("DescribeModel", {}),
        ("ScaleWorker", {}),
        ("SetDefault", {"model_version": "1"}),
    ):
        call(served, method, model_name="n", **fields)
    refused(served, "SetDefault", model_name="n", model_version="9")
    assert managed(served) - before == {("n", "1", "ok"): 4, ("n", "1", "model_version_not_found"): 1}
    call(served, "UnregisterModel", model_name="n")
    refused(served, "ListModels", key=None)
    assert managed(served) - before == {("m", "1", "ok"): 1, ("m", "1", "invalid_key"): 1}


def test_scaling_answers_like_torchserve(served: Served) -> None:
    assert call(served, "ScaleWorker", model_name="m", min_worker=1, synchronous=True) == (
        "Workers scaled to 1 for model: m"
    )
    assert call(served, "ScaleWorker", model_name="m") == "Processing worker updates..."


MODEL, HTTP = "org.pytorch.serve.archive.model", "org.pytorch.serve.http"


@pytest.mark.parametrize(
    ("method", "fields", "code", "text"),
    [
        ("DescribeModel", {"model_name": "z"}, "NOT_FOUND", f"Model not found: z\n{MODEL}.ModelNotFoundException"),
        (
            "DescribeModel",
            {"model_name": "m", "model_version": "9"},
            "NOT_FOUND",
            f"Model version: 9 does not exist for model: m\n{MODEL}.ModelVersionNotFoundException",
        ),
        ("ScaleWorker", {"model_name": "z"}, "NOT_FOUND", f"Model not found: z\n{MODEL}.ModelNotFoundException"),
        (
            "SetDefault",
            {"model_name": "m", "model_version": "9"},
            "NOT_FOUND",
            f"Model version: 9 does not exist for model: m\n{MODEL}.ModelVersionNotFoundException",
        ),
        ("UnregisterModel", {"model_name": "z"}, "NOT_FOUND", f"Model not found: z\n{MODEL}.ModelNotFoundException"),
        ("RegisterModel", {}, "INVALID_ARGUMENT", f"Parameter url is required.\n{HTTP}.BadRequestException"),
        (
            "RegisterModel",
            {"url": "../m.onnx"},
            "NOT_FOUND",
            f"Relative path is not allowed in url: ../m.onnx\n{MODEL}.ModelNotFoundException",
        ),
        (
            "RegisterModel",
            {"url": "n.onnx", "model_name": "m"},
            "UNKNOWN",
            f"Model version 1 is already registered for model m\n{HTTP}.ConflictStatusException",
        ),
    ],
)
def test_an_error_has_torchserves_code_and_text(
    served: Served, method: str, fields: dict[str, str], code: str, text: str
) -> None:
    assert refused(served, method, **fields) == (grpc.StatusCode[code], text)


@pytest.mark.parametrize("method", REQUESTS)
def test_every_method_requires_the_key(served: Served, method: str) -> None:
    for key in (None, "wrong"):
        code, text = refused(served, method, key=key)
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert text.startswith("Token Authorization failed. Token either incorrect, expired, or not provided correctly")


def test_the_size_of_a_message_is_limited(served: Served) -> None:
    code, text = refused(served, "DescribeModel", model_name="m" * 70_000)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert text.startswith("message: got 70004 bytes; expected at most 65536 bytes")


def test_models_are_not_registered_unless_enabled(store: Path, tmp_path: Path) -> None:
    settings = {
        "MODEL_STORE": str(store),
        "LOAD_MODELS": "m",
        "SCALEZERO_KEY_FILE": str(tmp_path / "key_file.json"),
        "SCALEZERO_MANAGEMENT_KEY": KEY,
        "SCALEZERO_PROTOCOLS": "torchserve_management",
    }
    with serving(tmp_path, env=settings) as served:
        for method in ("RegisterModel", "UnregisterModel"):
            code, text = refused(served, method, model_name="m")
            assert code is grpc.StatusCode.PERMISSION_DENIED
            assert text.startswith("Model API disabled")
        assert call(served, "DescribeModel", model_name="m")
