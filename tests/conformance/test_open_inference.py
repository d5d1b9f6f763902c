"""Tests of the Open Inference Protocol with its real clients: tritonclient and KServe's, each over REST and gRPC."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from onnx import TensorProto, helper

from runtime.protocols.open_inference import datatypes
from tests import models
from tests.clients import Call, ClientError, client
from tests.runtime.frontends.conftest import Served, serving
from tests.runtime.protocols.open_inference.signatures import DATATYPES

TRITON = ("tritonclient[http,grpc]==2.73.0", "ml-dtypes<=0.5.4", "protobuf<7")
KSERVE = ("kserve==0.21.0", "psutil<6", "protobuf<7")
ELEMENTS = {
    "BF16": TensorProto.BFLOAT16,
    "BOOL": TensorProto.BOOL,
    "BYTES": TensorProto.STRING,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    **{f"{sign}INT{bits}": getattr(TensorProto, f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
TYPED = [name for name in ELEMENTS if name not in {"BF16", "FP16"}]  # also as JSON and as typed contents
Caller: TypeAlias = tuple[str, str]  # the client, and its transport
CALLERS: list[Caller] = [("triton", "http"), ("triton", "grpc"), ("kserve", "rest"), ("kserve", "grpc")]
Send: TypeAlias = Callable[..., Any]


def echoing(path: Path, *names: str) -> Path:
    """For each datatype NAME, the output `NAME_` is the input `NAME`, [batch, 3]."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_"]) for name in names]
    inputs = [models.value(name, ELEMENTS[name], ["batch", 3]) for name in names]
    outputs = [models.value(f"{name}_", ELEMENTS[name], ["batch", 3]) for name in names]
    return models.save(path, nodes, inputs, outputs)


@contextmanager
def echo_server(make: pytest.TempPathFactory, *names: str) -> Iterator[Served]:
    folder = make.mktemp("served")
    with serving(folder, echoing(folder / "m.onnx", *names), SCALEZERO_MODEL_VERSION="3") as served:
        yield served


@pytest.fixture(scope="module")
def typed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for every datatype that also has a typed form."""
    with echo_server(tmp_path_factory, *TYPED) as served:
        yield served


@pytest.fixture(scope="module")
def fp16_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for FP16."""
    with echo_server(tmp_path_factory, "FP16") as served:
        yield served


@pytest.fixture(scope="module")
def bf16_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server only for BF16: in Python, ONNX Runtime cannot run it together with strings."""
    with echo_server(tmp_path_factory, "BF16") as served:
        yield served


@pytest.fixture(scope="module")
def triton() -> Iterator[Call]:
    with client("triton_client.py", *TRITON) as call:
        yield call


@pytest.fixture(scope="module")
def kserve() -> Iterator[Call]:
    with client("kserve_client.py", *KSERVE) as call:
        yield call


@pytest.fixture(params=CALLERS, ids="-".join)
def send(request: pytest.FixtureRequest) -> Send:
    """A client, called as `send(CALL, SERVED, ...)`."""
    name, form = request.param
    client_call = request.getfixturevalue(name)
    return lambda call, served, **arguments: client_call(call, form=form, url=f"127.0.0.1:{served.port}", **arguments)


def tensor(name: str, array: np.ndarray, datatype: str) -> dict[str, Any]:
    data = base64.b64encode(datatypes.write(array)).decode()
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}


def example(datatype: str, rows: int = 2) -> np.ndarray:
    """Return rows with the smallest and the largest number of the datatype, and others."""
    dtype = DATATYPES[datatype]
    if datatype == "BYTES":
        values: list[Any] = ["", "größe", "a" * 300]
    elif dtype.kind in "iu":
        values = [np.iinfo(dtype).min, np.iinfo(dtype).max, 1]
    elif datatype == "BF16":
        values = [1.5, -0.0, float("inf")]
    elif dtype.kind == "f":
        values = [np.finfo(dtype).max, -np.finfo(dtype).tiny, 0.1]
    else:
        values = [True, False, True]
    return np.array([values] * rows, dtype)


def tensors(*names: str, rows: int = 2) -> list[dict[str, Any]]:
    return [tensor(name, example(name, rows), name) for name in names]


def check_echo(send: Send, served: Served, *names: str, binary: bool, rows: int = 2) -> None:
    """Check that the answer has the same bytes as the request."""
    given = tensors(*names, rows=rows)
    answer = send("infer", served, model="m", id="7", inputs=given, binary=binary)
    assert (answer["id"], answer["model_name"]) == ("7", "m")
    assert answer["outputs"] == [each | {"name": each["name"] + "_"} for each in given]


@pytest.mark.parametrize("rows", [1, 2, 3000])
@pytest.mark.parametrize("binary", [True, False], ids=["bytes", "typed"])
def test_every_datatype_is_returned_exactly(send: Send, typed_server: Served, rows: int, *, binary: bool) -> None:
    check_echo(send, typed_server, *TYPED, binary=binary, rows=rows)


def test_fp16_is_returned_as_bytes(send: Send, fp16_server: Served) -> None:
    check_echo(send, fp16_server, "FP16", binary=True)


@pytest.mark.parametrize("form", ["http", "grpc"])
def test_bf16_is_returned_as_bytes(triton: Call, bf16_server: Served, form: str) -> None:
    """KServe's clients do not support the datatype."""
    given = tensors("BF16")
    answer = triton("infer", form=form, url=f"127.0.0.1:{bf16_server.port}", model="m", inputs=given)
    assert answer["outputs"] == [given[0] | {"name": "BF16_"}]


def test_only_the_requested_outputs_are_returned_in_their_order(send: Send, typed_server: Served) -> None:
    answer = send("infer", typed_server, model="m", inputs=tensors(*TYPED), outputs=["INT8_", "BOOL_"])
    assert [each["name"] for each in answer["outputs"]] == ["INT8_", "BOOL_"]


def test_a_large_tensor_is_returned_completely(send: Send, fp16_server: Served) -> None:
    array = np.arange(3 * 10**6, dtype="f2").reshape(-1, 3)
    given = [tensor("FP16", array, "FP16")]
    assert send("infer", fp16_server, model="m", inputs=given)["outputs"] == [given[0] | {"name": "FP16_"}]


def test_live_and_ready(send: Send, typed_server: Served) -> None:
    assert send("is_server_live", typed_server) is True
    assert send("is_server_ready", typed_server) is True
    assert send("is_model_ready", typed_server, model_name="m") is True
    assert send("is_model_ready", typed_server, model_name="z") is False


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"model": "z"}, {"404", "StatusCode.NOT_FOUND", "NOT_FOUND"}, "model 'z' is not served; served: m"),
        ({"outputs": ["nope"]}, {"400", "StatusCode.INVALID_ARGUMENT", "INVALID_ARGUMENT"}, "outputs[0].name"),
        ({"inputs": []}, {"400", "StatusCode.INVALID_ARGUMENT", "INVALID_ARGUMENT"}, "expected FP16[batch, 3]"),
        (
            {"inputs": [tensor("FP16", np.zeros((1, 3), "f4"), "FP32")]},
            {"400", "StatusCode.INVALID_ARGUMENT", "INVALID_ARGUMENT"},
            'inputs.FP16.datatype: got "FP32"; expected FP16',
        ),
        (
            {"inputs": [tensor("FP16", np.zeros((1, 4), "f2"), "FP16")]},
            {"400", "StatusCode.INVALID_ARGUMENT", "INVALID_ARGUMENT"},
            "inputs.FP16.shape: got [1, 4]; expected FP16[batch, 3]",
        ),
    ],
)
def test_an_error_reaches_the_client_with_its_status_and_text(
    send: Send, fp16_server: Served, change: dict[str, Any], status: set[str], text: str
) -> None:
    with pytest.raises(ClientError) as raised:
        send("infer", fp16_server, **{"model": "m", "inputs": tensors("FP16"), **change})
    assert raised.value.status in status
    assert text in raised.value.text


class TestTriton:
    """Calls that only Triton's clients have."""

    @pytest.fixture(params=["http", "grpc"])
    def call(self, request: pytest.FixtureRequest, triton: Call, fp16_server: Served) -> Send:
        form = request.param

        def call(name: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
            answer = triton(name, form=form, url=f"127.0.0.1:{fp16_server.port}", **arguments)
            inner = {"get_model_config": "config", "get_model_repository_index": "models"}.get(name)
            return answer[inner] if form == "grpc" and inner else answer

        return call

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_a_compressed_request_is_read_and_answered(self, call: Send, coding: str) -> None:
        given = tensors("FP16", rows=3000)
        answer = call("infer", model="m", inputs=given, coding=coding)
        assert answer["outputs"] == [given[0] | {"name": "FP16_"}]

    def test_metadata(self, call: Send) -> None:
        assert call("get_server_metadata")["extensions"] == ["binary_tensor_data", "model_configuration", "statistics"]
        described = call("get_model_metadata", model_name="m")
        assert (described["name"], described["versions"]) == ("m", ["3"])
        assert described["platform"] == "onnxruntime_onnx"
        [given] = described["inputs"]
        assert (given["name"], given["datatype"]) == ("FP16", "FP16")
        assert [int(size) for size in given["shape"]] == [-1, 3]

    def test_an_unknown_version_is_not_found(self, call: Send) -> None:
        assert call("is_model_ready", model_name="m", model_version="3") is True
        assert call("is_model_ready", model_name="m", model_version="9") is False
        with pytest.raises(ClientError) as raised:
            call("infer", model="m", inputs=tensors("FP16"), version="9")
        assert raised.value.status in {"404", "StatusCode.NOT_FOUND"}
        assert call("infer", model="m", inputs=tensors("FP16"), version="3")["model_version"] == "3"

    def test_the_configuration_has_the_largest_batch(self, call: Send) -> None:
        config = call("get_model_config", model_name="m")
        assert (config["backend"], config["max_batch_size"]) == ("onnxruntime", 32)
        [given] = config["input"]
        assert (given["data_type"], [int(size) for size in given["dims"]]) == ("TYPE_FP16", [3])

    def test_statistics_count_rows_and_runs(self, call: Send) -> None:
        def counted() -> tuple[int, int, int]:
            [total] = call("get_inference_statistics")["model_stats"]
            [one] = call("get_inference_statistics", model_name="m", model_version="3")["model_stats"]
            assert one == total
            succeeded = one["inference_stats"]["success"]
            return int(one.get("inference_count", 0)), int(one["execution_count"]), int(succeeded["count"])

        call("infer", model="m", inputs=tensors("FP16"))
        rows, runs, succeeded = counted()
        call("infer", model="m", inputs=tensors("FP16", rows=5))
        assert counted() == (rows + 5, runs + 1, succeeded + 1)

    def test_the_index_lists_the_model(self, call: Send) -> None:
        [entry] = call("get_model_repository_index")
        assert (entry["name"], entry["version"], entry["state"]) == ("m", "3", "READY")

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("load_model", {"model_name": "m"}),
            ("unload_model", {"model_name": "m"}),
            ("get_system_shared_memory_status", {}),
            ("get_cuda_shared_memory_status", {}),
            ("unregister_system_shared_memory", {}),
            ("get_trace_settings", {}),
            ("get_log_settings", {}),
        ],
    )
    def test_an_unsupported_call_is_refused_with_its_reason(
        self, call: Send, name: str, arguments: dict[str, str]
    ) -> None:
        with pytest.raises(ClientError) as raised:
            call(name, **arguments)
        assert raised.value.status in {"404", "StatusCode.UNIMPLEMENTED"}
        assert "is not supported: " in raised.value.text

    def test_a_stream_gets_an_answer_for_each_request_in_order_and_continues_after_errors(
        self, triton: Call, fp16_server: Served
    ) -> None:
        """The largest request exceeds all flow-control windows."""
        requests: list[dict[str, Any]] = []
        for number in range(40):
            rows = 200_000 if number == 7 else number + 1
            array = np.full((rows, 4 if number % 10 == 3 else 3), number, "f2")
            model = "z" if number % 10 == 5 else "m"
            requests.append({"model": model, "inputs": [tensor("FP16", array, "FP16")], "id": f"r{number}"})
        outcomes = triton("stream", form="grpc", url=f"127.0.0.1:{fp16_server.port}", requests=requests)
        for number, (request, outcome) in enumerate(zip(requests, outcomes, strict=True)):
            if number % 10 == 3:
                assert outcome["error"].startswith(f"inputs.FP16.shape: got [{number + 1}, 4]")
            elif number % 10 == 5:
                assert outcome["error"] == "model 'z' is not served; served: m"
            else:
                assert outcome == {"id": f"r{number}", "final": True, "data": request["inputs"][0]["data"]}
