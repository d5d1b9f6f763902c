"""Several ports of one process: one shared service, different protocols on each port, and one shutdown."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import grpc
import httpx
import pytest

from runtime.protocols.protos import ml_v1_pb2 as pb
from tests import models
from tests.runtime.frontends.conftest import COMMAND, Served, environment, error_of, free_port, serving
from tests.s3_server import S3Server
from tests.waiting import DEADLINE

INFER = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}


class Ports:
    """The server and its two additional ports."""

    def __init__(self, served: Served, rest: int, grpc: int) -> None:
        self.served = served
        self.rest = rest
        self.grpc = grpc

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.rest}", trust_env=False, timeout=DEADLINE)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    folder = tmp_path_factory.mktemp("ports")
    rest, calls = free_port(), free_port()
    listen = f"open_inference@{rest},ml.v1@127.0.0.1:{calls}"
    with serving(folder, models.doubling(folder / "m.onnx"), SCALEZERO_LISTEN=listen) as served:
        yield Ports(served, rest, calls)


def test_an_additional_port_serves_its_protocol_from_the_shared_model(ports: Ports) -> None:
    with ports.client() as own, ports.served.client() as main:
        answers = [client.post("/v2/models/m/infer", json=INFER) for client in (own, main)]
    assert [answer.json()["outputs"][0]["data"] for answer in answers] == [[2, 4], [2, 4]]


@pytest.mark.parametrize("path", ["/healthz/live", "/metrics", "/api/v1/models", "/", "/anything"])
def test_an_additional_port_serves_only_its_protocol(ports: Ports, path: str) -> None:
    with ports.client() as client:
        error = error_of(client.get(path), 404)
    assert (error["code"], error["message"]) == (
        "path_not_found",
        f"no route matches {path!r}; this port serves only open_inference",
    )


def test_a_grpc_call_is_answered_only_on_its_port(ports: Ports) -> None:
    request = pb.PredictRequest(model_name="m", inputs=[1, 2]).SerializeToString()
    codes: list[object] = []
    for port in (ports.served.port, ports.grpc, ports.rest):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            try:
                answer = channel.unary_unary("/ml.v1.InferenceService/Predict")(request, timeout=DEADLINE)
            except grpc.RpcError as error:
                codes.append(error.code())
            else:
                codes.append(list(pb.PredictResponse.FromString(answer).outputs))
    assert codes == [[2, 4], [2, 4], grpc.StatusCode.UNIMPLEMENTED]


def started(folder: Path, *options: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a start that is expected to fail within seconds."""
    model = str(models.doubling(folder / "m.onnx"))
    command = [str(COMMAND), "serve", model, "--host", "127.0.0.1", "--port", "0", *options]
    env = environment(folder, **settings)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=DEADLINE, check=False)


def test_a_port_in_use_stops_the_start_with_a_one_line_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = started(tmp_path, SCALEZERO_LISTEN=f"open_inference@{port}")
    assert failed.returncode == 2
    assert failed.stderr == (
        f"scalezero: SCALEZERO_LISTEN='127.0.0.1:{port}': expected a free port (Address already in use); "
        "choose another one with SCALEZERO_LISTEN\n"
    )


def test_a_port_for_an_unknown_protocol_stops_the_start_with_the_names(tmp_path: Path) -> None:
    failed = started(tmp_path, SCALEZERO_LISTEN="openinference@0")
    assert failed.returncode == 2
    assert "SCALEZERO_LISTEN='openinference': expected names of protocols: ml.v1, open_inference" in failed.stderr


def test_a_shutdown_closes_all_ports(tmp_path: Path) -> None:
    port = free_port()
    listen = f"open_inference@{port}"
    with (
        serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_LISTEN=listen) as served,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=DEADLINE) as client,
    ):
        assert client.get("/v2/health/live").status_code == 200
        served.process.terminate()
        assert served.process.wait(DEADLINE) == 0
        with pytest.raises(httpx.TransportError):
            client.get("/v2/health/live")


def test_the_option_opens_the_ports_of_tensorflow_servings_container(tmp_path: Path) -> None:
    with ExitStack() as taken:
        with suppress(OSError):  # another process uses the port, which has the same effect
            taken.enter_context(socket.create_server(("127.0.0.1", 8501)))
        failed = started(tmp_path, "--tensorflow-serving", SCALEZERO_LISTEN="ml.v1@0")
    assert failed.returncode == 2
    assert re.search(r"SCALEZERO_LISTEN='127\.0\.0\.1:850[01]': expected a free port", failed.stderr)


def test_the_ports_answer_like_tensorflow_servings_container(tmp_path: Path, s3: S3Server) -> None:
    """Versions in a bucket, and two ports that serve only TensorFlow Serving."""
    for version, path in (
        ("3", models.doubling(tmp_path / "3.onnx")),
        ("12", models.identity(tmp_path / "12.onnx", shape=("n", 2))),
    ):
        s3.put(f"s3://models/container/m/{version}/model.onnx", path.read_bytes())
    calls, rest = free_port(), free_port()
    settings = {
        "MODEL_BASE_PATH": "s3://models/container",
        "MODEL_NAME": "m",
        "SCALEZERO_MODEL_VERSIONS": "all",
        "SCALEZERO_LISTEN": f"tensorflow_serving@{calls},tensorflow_serving@{rest}",
    }
    with (
        serving(tmp_path, env={**s3.environment(), **settings}),
        httpx.Client(base_url=f"http://127.0.0.1:{rest}", trust_env=False, timeout=DEADLINE) as client,
    ):
        status = client.get("/v1/models/m").json()
        assert [(each["version"], each["state"]) for each in status["model_version_status"]] == [
            ("12", "AVAILABLE"),
            ("3", "AVAILABLE"),
        ]
        body = {"instances": [[1, 2]]}
        answers = [client.post(f"/v1/models/m{place}:predict", json=body) for place in ("", "/versions/3")]
        assert [answer.json() for answer in answers] == [{"predictions": [[1.0, 2.0]]}, {"predictions": [[2.0, 4.0]]}]
        assert client.get("/v1/models/m/versions/4").status_code == 404
        outside = error_of(client.get("/v2/models/m"), 404)
        assert outside["message"].endswith("this port serves only tensorflow_serving")
        with grpc.insecure_channel(f"127.0.0.1:{calls}") as channel:
            method = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
            assert method(b"\x0a\x03\x0a\x01m", timeout=DEADLINE)  # model_spec { name: "m" }
