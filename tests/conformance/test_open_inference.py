"""The Open Inference Protocol as its real clients speak it: tritonclient and KServe's, each over REST and gRPC."""

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
from tests.clients import Ask, ClientError, client
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
Caller: TypeAlias = tuple[str, str]  # the client, and the form that it speaks
CALLERS: list[Caller] = [("triton", "http"), ("triton", "grpc"), ("kserve", "rest"), ("kserve", "grpc")]
Speak: TypeAlias = Callable[..., Any]


def echoing(path: Path, *names: str) -> Path:
    """The output `NAME_` is the input `NAME`, [batch, 3], for the name of each datatype."""
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
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Every datatype that has a form besides its bytes."""
    with echo_server(tmp_path_factory, *TYPED) as served:
        yield served


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """FP16 alone."""
    with echo_server(tmp_path_factory, "FP16") as served:
        yield served


@pytest.fixture(scope="module")
def brains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """BF16 alone: ONNX Runtime gives it no company of strings in Python."""
    with echo_server(tmp_path_factory, "BF16") as served:
        yield served


@pytest.fixture(scope="module")
def triton() -> Iterator[Ask]:
    with client("triton_client.py", *TRITON) as ask:
        yield ask


@pytest.fixture(scope="module")
def kserve() -> Iterator[Ask]:
    with client("kserve_client.py", *KSERVE) as ask:
        yield ask


@pytest.fixture(params=CALLERS, ids="-".join)
def speak(request: pytest.FixtureRequest) -> Speak:
    """A client, as `speak(CALL, SERVED, ...)`."""
    name, form = request.param
    ask = request.getfixturevalue(name)
    return lambda call, served, **arguments: ask(call, form=form, url=f"127.0.0.1:{served.port}", **arguments)


def tensor(name: str, array: np.ndarray, datatype: str) -> dict[str, Any]:
    data = base64.b64encode(datatypes.write(array)).decode()
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}


def example(datatype: str, rows: int = 2) -> np.ndarray:
    """Rows with the least and the largest number of the datatype, and some between."""
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


def sent(*names: str, rows: int = 2) -> list[dict[str, Any]]:
    return [tensor(name, example(name, rows), name) for name in names]


def check_echo(speak: Speak, served: Served, *names: str, binary: bool, rows: int = 2) -> None:
    """What comes back is what was sent, bit for bit."""
    given = sent(*names, rows=rows)
    answer = speak("infer", served, model="m", id="7", inputs=given, binary=binary)
    assert (answer["id"], answer["model_name"]) == ("7", "m")
    assert answer["outputs"] == [each | {"name": each["name"] + "_"} for each in given]


@pytest.mark.parametrize("rows", [1, 2, 3000])
@pytest.mark.parametrize("binary", [True, False], ids=["bytes", "typed"])
def test_every_datatype_comes_back_bit_for_bit(speak: Speak, typed: Served, rows: int, *, binary: bool) -> None:
    check_echo(speak, typed, *TYPED, binary=binary, rows=rows)


def test_fp16_comes_back_as_bytes(speak: Speak, halves: Served) -> None:
    check_echo(speak, halves, "FP16", binary=True)


@pytest.mark.parametrize("form", ["http", "grpc"])
def test_bf16_comes_back_as_bytes(triton: Ask, brains: Served, form: str) -> None:
    """KServe's clients do not know the datatype."""
    given = sent("BF16")
    answer = triton("infer", form=form, url=f"127.0.0.1:{brains.port}", model="m", inputs=given)
    assert answer["outputs"] == [given[0] | {"name": "BF16_"}]


def test_the_outputs_asked_for_come_alone_and_in_that_order(speak: Speak, typed: Served) -> None:
    answer = speak("infer", typed, model="m", inputs=sent(*TYPED), outputs=["INT8_", "BOOL_"])
    assert [each["name"] for each in answer["outputs"]] == ["INT8_", "BOOL_"]


def test_a_large_tensor_comes_back_whole(speak: Speak, halves: Served) -> None:
    array = np.arange(3 * 10**6, dtype="f2").reshape(-1, 3)
    given = [tensor("FP16", array, "FP16")]
    assert speak("infer", halves, model="m", inputs=given)["outputs"] == [given[0] | {"name": "FP16_"}]


def test_live_and_ready(speak: Speak, typed: Served) -> None:
    assert speak("is_server_live", typed) is True
    assert speak("is_server_ready", typed) is True
    assert speak("is_model_ready", typed, model_name="m") is True
    assert speak("is_model_ready", typed, model_name="z") is False


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
    speak: Speak, halves: Served, change: dict[str, Any], status: set[str], text: str
) -> None:
    with pytest.raises(ClientError) as raised:
        speak("infer", halves, **{"model": "m", "inputs": sent("FP16"), **change})
    assert raised.value.status in status
    assert text in raised.value.text


class TestTriton:
    """What only Triton's clients ask."""

    @pytest.fixture(params=["http", "grpc"])
    def ask(self, request: pytest.FixtureRequest, triton: Ask, halves: Served) -> Speak:
        form = request.param

        def ask(call: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
            answer = triton(call, form=form, url=f"127.0.0.1:{halves.port}", **arguments)
            inner = {"get_model_config": "config", "get_model_repository_index": "models"}.get(call)
            return answer[inner] if form == "grpc" and inner else answer

        return ask

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_a_compressed_request_is_read_and_answered(self, ask: Speak, coding: str) -> None:
        given = sent("FP16", rows=3000)
        answer = ask("infer", model="m", inputs=given, coding=coding)
        assert answer["outputs"] == [given[0] | {"name": "FP16_"}]

    def test_metadata(self, ask: Speak) -> None:
        assert ask("get_server_metadata")["extensions"] == ["binary_tensor_data", "model_configuration", "statistics"]
        described = ask("get_model_metadata", model_name="m")
        assert (described["name"], described["versions"]) == ("m", ["3"])
        assert described["platform"] == "onnxruntime_onnx"
        [given] = described["inputs"]
        assert (given["name"], given["datatype"]) == ("FP16", "FP16")
        assert [int(size) for size in given["shape"]] == [-1, 3]

    def test_a_version_that_is_not_here_is_not_found(self, ask: Speak) -> None:
        assert ask("is_model_ready", model_name="m", model_version="3") is True
        assert ask("is_model_ready", model_name="m", model_version="9") is False
        with pytest.raises(ClientError) as raised:
            ask("infer", model="m", inputs=sent("FP16"), version="9")
        assert raised.value.status in {"404", "StatusCode.NOT_FOUND"}
        assert ask("infer", model="m", inputs=sent("FP16"), version="3")["model_version"] == "3"

    def test_the_configuration_says_how_many_rows_share_a_run(self, ask: Speak) -> None:
        config = ask("get_model_config", model_name="m")
        assert (config["backend"], config["max_batch_size"]) == ("onnxruntime", 32)
        [given] = config["input"]
        assert (given["data_type"], [int(size) for size in given["dims"]]) == ("TYPE_FP16", [3])

    def test_statistics_count_rows_and_runs(self, ask: Speak) -> None:
        def counted() -> tuple[int, int, int]:
            [all_of_it] = ask("get_inference_statistics")["model_stats"]
            [one] = ask("get_inference_statistics", model_name="m", model_version="3")["model_stats"]
            assert one == all_of_it
            succeeded = one["inference_stats"]["success"]
            return int(one.get("inference_count", 0)), int(one["execution_count"]), int(succeeded["count"])

        ask("infer", model="m", inputs=sent("FP16"))
        rows, runs, succeeded = counted()
        ask("infer", model="m", inputs=sent("FP16", rows=5))
        assert counted() == (rows + 5, runs + 1, succeeded + 1)

    def test_the_index_lists_the_model(self, ask: Speak) -> None:
        [entry] = ask("get_model_repository_index")
        assert (entry["name"], entry["version"], entry["state"]) == ("m", "3", "READY")

    @pytest.mark.parametrize(
        ("call", "arguments"),
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
    def test_what_one_process_cannot_do_is_refused_with_its_reason(
        self, ask: Speak, call: str, arguments: dict[str, str]
    ) -> None:
        with pytest.raises(ClientError) as raised:
            ask(call, **arguments)
        assert raised.value.status in {"404", "StatusCode.UNIMPLEMENTED"}
        assert "is not supported: " in raised.value.text

    def test_a_stream_gets_an_answer_for_each_request_in_order_and_goes_on_behind_errors(
        self, triton: Ask, halves: Served
    ) -> None:
        """The largest one is longer than every window."""
        requests: list[dict[str, Any]] = []
        for number in range(40):
            rows = 200_000 if number == 7 else number + 1
            array = np.full((rows, 4 if number % 10 == 3 else 3), number, "f2")
            model = "z" if number % 10 == 5 else "m"
            requests.append({"model": model, "inputs": [tensor("FP16", array, "FP16")], "id": f"r{number}"})
        outcomes = triton("stream", form="grpc", url=f"127.0.0.1:{halves.port}", requests=requests)
        for number, (request, outcome) in enumerate(zip(requests, outcomes, strict=True)):
            if number % 10 == 3:
                assert outcome["error"].startswith(f"inputs.FP16.shape: got [{number + 1}, 4]")
            elif number % 10 == 5:
                assert outcome["error"] == "model 'z' is not served; served: m"
            else:
                assert outcome == {"id": f"r{number}", "final": True, "data": request["inputs"][0]["data"]}
