"""TorchServe as its clients speak it: grpcio's stubs, requests and torch-model-archiver, each of them the real one."""

import base64
import fcntl
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import orjson
import pytest

import runtime.protocols.protos
from runtime.protocols.protos import open_inference_pb2 as oip
from tests import models
from tests.frontends.conftest import Served, counts, environment, serving

ROOT = Path(__file__).parents[2]
PROTOS = Path(runtime.protocols.protos.__file__).parent
PROGRAM = Path(__file__).parent / "programs" / "torchserve.py"
PINS = ("grpcio-tools==1.85.1", "requests==2.32.5", "torch-model-archiver==0.12.0")
ROWS = [[1.0, 2.0], [3.0, 4.0]]
DOUBLED = [[2.0, 4.0], [6.0, 8.0]]
FLOATS = np.array(ROWS, np.float32)


def npy(array: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


VALUES = [orjson.dumps(ROWS), orjson.dumps({"inputs": ROWS}), npy(FLOATS), FLOATS.tobytes()]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="session")
def clients() -> Path:
    """The programs of the clients' own environment, made once for these pins."""
    folder = ROOT / ".local" / "clients" / "torchserve"
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / ".installed"
        if not stamp.exists() or stamp.read_text() != repr(PINS):
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
            subprocess.run([*pip, *PINS], check=True, timeout=600)
            stamp.write_text(repr(PINS))
    return folder / "bin"


class Client:
    """The program of the clients' environment, asked line by line."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def ask(self, call: str, **asked: object) -> Any:  # noqa: ANN401 - any JSON value
        """One call and its answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"call": call, **asked}).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def client(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("stubs")
    command = [clients / "python", PROGRAM, PROTOS, folder]
    with subprocess.Popen(command, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Client(process)


@contextmanager
def served_by(folder: Path, model: Path) -> Iterator[Served]:
    with serving(folder, model, SCALEZERO_MODEL_VERSION="2.0") as served:
        yield served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with served_by(folder, models.doubling(folder / "m.onnx")) as served:
        yield served


def predicted(client: Client, served: Served, *, name: str = "m", **asked: object) -> Any:  # noqa: ANN401 - as above
    target = f"127.0.0.1:{served.port}"
    return client.ask("grpc", method="Predictions", target=target, model_name=name, **asked)


def test_a_ping_answers_json(client: Client, served: Served) -> None:
    answer = client.ask("grpc", method="Ping", target=f"127.0.0.1:{served.port}")
    assert json.loads(answer["health"]) == {"status": "Healthy"}


@pytest.mark.parametrize("name", ["data", "body", "x"])
@pytest.mark.parametrize("value", VALUES, ids=["rows", "inputs", "npy", "bytes"])
@pytest.mark.parametrize("gzip", [False, True])
def test_a_prediction_over_grpc(client: Client, served: Served, name: str, value: bytes, *, gzip: bool) -> None:
    answer = predicted(client, served, input={name: text(value)}, gzip=gzip, model_version="2.0")
    assert json.loads(answer["prediction"]) == DOUBLED


def test_several_inputs_over_grpc(client: Client, tmp_path: Path) -> None:
    with serving(tmp_path, models.two_in_two_out(tmp_path / "two.onnx")) as served:
        answer = predicted(client, served, name="two", input={"a": text(npy(FLOATS)), "b": text(b"[[1,1],[1,1]]")})
    rows = [{"total": [2, 3], "rest": [0, 1]}, {"total": [4, 5], "rest": [2, 3]}]
    assert json.loads(answer["prediction"]) == rows


@pytest.mark.parametrize(
    ("asked", "code", "details"),
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
def test_a_call_that_fails_tells_torchserves_text(
    client: Client, served: Served, asked: dict[str, Any], code: str, details: str
) -> None:
    answer = predicted(client, served, **asked)
    assert answer["code"] == code
    assert answer["details"].startswith(details)


@pytest.mark.parametrize("gzip", [False, True])
def test_a_large_call_and_a_large_answer_over_grpc(client: Client, served: Served, *, gzip: bool) -> None:
    many = np.arange(100_000, dtype=np.float32).reshape(-1, 2)
    for value in (orjson.dumps(many.tolist()), npy(many)):
        answer = predicted(client, served, input={"data": text(value)}, gzip=gzip)
        assert np.array_equal(np.array(json.loads(answer["prediction"]), np.float32), many * 2)


def test_the_open_inference_protocol_answers_under_torchserves_package_too(served: Served) -> None:
    service = "/org.pytorch.serve.grpc.openinference.GRPCInferenceService"
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2]}
    asked = oip.ModelInferRequest(model_name="m", inputs=[tensor], raw_input_contents=[FLOATS.tobytes()])
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
        assert np.frombuffer(infer(asked, timeout=20).raw_output_contents[0], np.float32).tolist() == [2, 4, 6, 8]
        assert ready(oip.ModelReadyRequest(name="m"), timeout=20).ready


def test_calls_are_counted_as_torchserves(client: Client, served: Served) -> None:
    before = counts(served).get(("torchserve", "ok", "none"), 0)
    predicted(client, served, input={"data": text(b"[1, 2]")})
    assert counts(served)["torchserve", "ok", "none"] == before + 1


@pytest.mark.parametrize("value", VALUES, ids=["rows", "inputs", "npy", "bytes"])
def test_a_prediction_by_requests(client: Client, served: Served, value: bytes) -> None:
    url = f"{served.url}/predictions/m"
    for asked in ({"data": text(value)}, {"files": {"data": text(value)}}, {"files": {"x": text(value)}}):
        assert client.ask("rest", url=url, **asked) == {"status": 200, "body": DOUBLED}


def test_json_and_fields_by_requests(client: Client, served: Served) -> None:
    url = f"{served.url}/predictions/m/2.0"
    for asked in ({"json": ROWS}, {"json": {"instances": ROWS}}, {"fields": {"data": json.dumps(ROWS)}}):
        assert client.ask("rest", url=url, **asked) == {"status": 200, "body": DOUBLED}


def test_rest_and_grpc_answer_the_same_bits(client: Client, tmp_path: Path) -> None:
    rows = np.random.default_rng(7).normal(size=(64, 2)).astype(np.float32)
    with serving(tmp_path, models.heavy(tmp_path / "h.onnx", size=8)) as served:
        called = json.loads(predicted(client, served, name="h", input={"data": text(npy(rows))})["prediction"])
        posted = client.ask("rest", url=f"{served.url}/predictions/h", data=text(npy(rows)))["body"]
        ours = served.predict(rows.tolist(), model="h").json()["outputs"]
    assert called == posted == ours


@pytest.mark.parametrize(
    ("archive_format", "name"),
    [("default", "lin.mar"), ("tgz", "lin.tar.gz"), ("zip-store", "lin.mar"), ("no-archive", "lin")],
)
def test_what_torch_model_archiver_writes_is_served(
    clients: Path, client: Client, tmp_path: Path, archive_format: str, name: str
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
    subprocess.run([clients / "torch-model-archiver", *options], check=True, timeout=60, capture_output=True)
    with serving(tmp_path, tmp_path / name) as served:
        answer = predicted(client, served, name="lin", model_version="1.5", input={"data": text(b"[[1, 2]]")})
        assert json.loads(answer["prediction"]) == [[2, 4]]
    assert not (tmp_path / "ran").exists()
