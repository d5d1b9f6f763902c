"""`scalezero serve --torchserve`: TorchServe's five ports, each with its own API and key."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.protocols.protos import torchserve_inference_pb2 as inference
from runtime.protocols.protos import torchserve_management_pb2 as management
from tests import ROOT, models
from tests.runtime.frontends.conftest import COMMAND, Served, environment, free_port, serving
from tests.waiting import DEADLINE

PREDICTIONS = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
LIST = "/org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """A process with TorchServe's ports, on free port numbers."""

    served: Served
    keys: Path
    inference: int
    management: int
    metrics: int
    grpc_inference: int
    grpc_management: int

    def key(self, kind: str | None) -> dict[str, str]:
        """Return the header with the key of this kind."""
        keys = orjson.loads(self.keys.read_bytes())
        return {"authorization": f"Bearer {keys[kind]['key']}"} if kind else {}

    def ask(self, port: int, method: str, path: str, kind: str | None = None, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send one request to a REST port."""
        url = f"http://{HOST}:{port}"
        with httpx.Client(base_url=url, trust_env=False, timeout=DEADLINE, headers=self.key(kind)) as client:
            return client.request(method, path, **options)

    def call(self, port: int, method: str, request: Any, answer: Any, kind: str | None = None) -> Any:  # noqa: ANN401 - messages
        """Send one call to a gRPC port."""
        with grpc.insecure_channel(f"{HOST}:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
            stub = channel.unary_unary(
                method,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            return stub(request, timeout=DEADLINE, metadata=list(self.key(kind).items()))


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    folder = tmp_path_factory.mktemp("torchserve")
    (folder / "store").mkdir()
    models.doubling(folder / "store" / "m.onnx")
    named = {name: free_port() for name in ("inference", "management", "metrics", "grpc_inference", "grpc_management")}
    config = folder / "config.properties"
    config.write_text(
        f"model_store={folder}/store\n"
        f"inference_address=http://{HOST}:{named['inference']}\n"
        f"management_address=http://{HOST}:{named['management']}\n"
        f"metrics_address=http://{HOST}:{named['metrics']}\n"
        f"grpc_inference_port={named['grpc_inference']}\n"
        "number_of_netty_threads=32\n"
    )
    settings = {
        "TS_CONFIG_FILE": str(config),
        "TS_GRPC_MANAGEMENT_PORT": str(named["grpc_management"]),
        "SCALEZERO_KEY_FILE": str(folder / "key_file.json"),
    }
    with serving(folder, "--torchserve", env=settings) as served:
        yield Ports(served=served, keys=folder / "key_file.json", **named)


def refused(answer: httpx.Response) -> bool:
    assert answer.status_code == 400, answer.text
    assert answer.json() == {
        "code": 400,
        "type": "InvalidKeyException",
        "message": "Token Authorization failed. Token either incorrect, expired, or not provided correctly",
    }
    return True


def test_inference_requires_its_key(ports: Ports) -> None:
    answer = ports.ask(ports.inference, "POST", "/predictions/m", "inference", json=[[1, 2]])
    assert (answer.status_code, answer.json()) == (200, [[2, 4]])
    assert ports.ask(ports.inference, "GET", "/ping", "inference").json() == {"status": "Healthy"}
    for kind in (None, "management", "API"):
        for path in ("/predictions/m", "/ping", "/nothing", "/v2/models/m"):
            assert refused(ports.ask(ports.inference, "GET", path, kind))


def test_management_requires_its_key_and_does_not_register_unless_enabled(ports: Ports) -> None:
    assert ports.ask(ports.management, "GET", "/models", "management").json()["models"] == [
        {"modelName": "m", "modelUrl": "m.onnx"}
    ]
    assert ports.ask(ports.management, "POST", "/models?url=m.onnx", "management").status_code == 405
    for kind in (None, "inference", "API"):
        assert refused(ports.ask(ports.management, "GET", "/models", kind))


@pytest.mark.parametrize("path", ["/", "/models/m", "/models/m/1"])
def test_options_describes_the_api_to_callers_with_the_key(ports: Ports, path: str) -> None:
    answer = ports.ask(ports.management, "OPTIONS", path, "management")
    assert answer.json()["openapi"].startswith("3.")
    assert answer.headers["pragma"] == "no-cache"
    assert refused(ports.ask(ports.management, "OPTIONS", path))


def test_metrics_require_no_key_and_have_torchserves_names(ports: Ports) -> None:
    ports.ask(ports.inference, "POST", "/predictions/m", "inference", json=[[1, 2]])
    text = ports.ask(ports.metrics, "GET", "/metrics?name[]=ts_inference_requests_total").text
    [family] = text_string_to_metric_families(text)
    [sample] = family.samples
    assert (sample.name, sample.labels["model_name"]) == ("ts_inference_requests_total", "m")
    assert sample.value >= 1
    assert "ts_queue_latency_microseconds" in ports.ask(ports.metrics, "GET", "/metrics").text


def test_a_port_serves_only_its_api(ports: Ports) -> None:
    found = [
        ports.ask(ports.inference, "GET", "/models", "inference"),
        ports.ask(ports.inference, "GET", "/metrics", "inference"),
        ports.ask(ports.inference, "POST", "/api/v1/models/m/predict", "inference", json={"inputs": [[1, 2]]}),
        ports.ask(ports.management, "POST", "/predictions/m", "management", json=[[1, 2]]),
        ports.ask(ports.metrics, "GET", "/models", "management"),
    ]
    for answer in found:
        assert (answer.status_code, answer.json()["type"]) == (404, "ResourceNotFoundException")


def test_grpc_requires_the_same_keys(ports: Ports) -> None:
    request = inference.PredictionsRequest(model_name="m", input={"data": b"[[1, 2]]"})
    answer = ports.call(ports.grpc_inference, PREDICTIONS, request, inference.PredictionResponse, "inference")
    assert orjson.loads(answer.prediction) == [[2, 4]]
    listed = ports.call(
        ports.grpc_management, LIST, management.ListModelsRequest(), management.ManagementResponse, "management"
    )
    assert orjson.loads(listed.msg)["models"][0]["modelName"] == "m"
    for port, method, message, kinds in (
        (ports.grpc_inference, PREDICTIONS, request, (None, "management")),
        (ports.grpc_management, LIST, management.ListModelsRequest(), (None, "inference")),
    ):
        for kind in kinds:
            with pytest.raises(grpc.RpcError) as raised:
                ports.call(port, method, message, management.ManagementResponse, kind)
            assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert raised.value.details().startswith("Token Authorization failed.")


def test_the_main_port_is_served_if_requested(ports: Ports) -> None:
    assert ports.served.predict([[1, 2]]).json()["outputs"] == [[2, 4]]  # `serving` passes --port


def test_a_property_without_effect_is_logged(ports: Ports) -> None:
    assert '"properties":["number_of_netty_threads"]' in ports.served.log.read_text().replace(" ", "")


def test_inference_requires_no_key_if_disabled(tmp_path: Path) -> None:
    port = free_port()
    with serving(
        tmp_path,
        models.doubling(tmp_path / "m.onnx"),
        SCALEZERO_LISTEN=f"torchserve@{HOST}:{port}",
        SCALEZERO_INFERENCE_KEYS="false",
        SCALEZERO_KEY_FILE=str(tmp_path / "key_file.json"),
    ) as served:
        answer = httpx.post(f"http://{HOST}:{port}/predictions/m", json=[[1, 2]], trust_env=False, timeout=DEADLINE)
        assert answer.json() == [[2, 4]]
        assert not (tmp_path / "key_file.json").exists()
        assert served.process.poll() is None


def test_the_example_in_the_documentation_works(tmp_path: Path) -> None:
    """Use other ports, because several of these tests may run at once."""
    page = (ROOT / "docs" / "protocols" / "torchserve-management.md").read_text("utf-8")
    [example] = re.findall(r"## Example\n.*?```sh\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "store").mkdir()
    for name in ("a", "b"):
        models.doubling(tmp_path / "store" / f"{name}.onnx")
    variables = {}
    for name, usual in (("INFERENCE", 8080), ("MANAGEMENT", 8081), ("METRICS", 8082)):
        port = free_port()
        variables[f"TS_{name}_ADDRESS"] = f"http://{HOST}:{port}"
        example = example.replace(f"{HOST}:{usual}", f"{HOST}:{port}")
    for name in ("INFERENCE", "MANAGEMENT"):
        variables[f"TS_GRPC_{name}_PORT"] = str(free_port())
    environ = environment(tmp_path, **variables)
    environ["PATH"] = f"{COMMAND.parent}:{environ['PATH']}"
    script = f"set -em\n{example}wait\n"
    done = subprocess.run(
        ["bash", "-c", script], check=False, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=DEADLINE
    )
    assert '"status": "Model \\"b\\" Version: 1 registered with 1 initial workers"' in done.stdout, done.stderr
    assert '"status": "Model \\"b\\" unregistered"' in done.stdout
    assert not (tmp_path / "key_file.json").exists()
