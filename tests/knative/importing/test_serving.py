"""An imported function serves the clients of the server that it replaces, at the URLs in its README.md."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from knative.importing import Folder
from tests import models
from tests.knative.importing.deployments import container, deployment, env
from tests.knative.importing.test_folder import import_folder, manifests, variables
from tests.runtime.frontends.conftest import Served, free_port, serving

NOT_HERE = ("K_", "SCALEZERO_CACHE_DIR", "SCALEZERO_MODEL_URI", "SCALEZERO_HOST", "PORT", "AWS_")


@contextmanager
def deployed(tmp_path: Path, folder: Folder, **added: str) -> Iterator[Served]:
    """Start a server with a local model and the environment of the folder's pods; `added` overrides it."""
    service = next(each for each in manifests(folder) if each["kind"] == "Service")
    environment = {
        name: value
        for name, value in variables(service).items()
        if isinstance(value, str) and not name.startswith(NOT_HERE)
    }
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), env={**environment, **added}) as served:
        yield served


def paths_of(folder: Folder, method: str) -> list[str]:
    """Return the new paths of this method in README.md."""
    rows = re.findall(r"^\| `.*` \| (.*) \|$", folder.files["README.md"], flags=re.MULTILINE)
    return [row.split()[1].rstrip(",") for row in rows if row.startswith(f"{method} ")]


def test_a_client_of_tensorflow_serving_gets_the_same_answers(tmp_path: Path) -> None:
    folder = import_folder(deployment(container(env=env(MODEL_NAME="half_two", MODEL_BASE_PATH="/models"))))
    with deployed(tmp_path, folder) as served, served.client() as client:
        predict, *_ = paths_of(folder, "POST")
        answer = client.post(predict, json={"instances": [[1.0, 2.0], [3.0, 4.0]]})
        assert answer.json() == {"predictions": [[2.0, 4.0], [6.0, 8.0]]}
        status, metadata, metrics = paths_of(folder, "GET")
        [state] = client.get(status).json()["model_version_status"]
        assert (state["version"], state["state"]) == ("1", "AVAILABLE")
        assert client.get(metadata).json()["model_spec"]["name"] == "half-two"
        assert client.get(metrics).status_code == 200
        unknown: Any = client.post("/v1/models/other:predict", json={"instances": [[1.0, 2.0]]})
        assert (unknown.status_code, set(unknown.json())) == (404, {"error"})


def test_a_client_of_torchserve_gets_the_same_answers(tmp_path: Path) -> None:
    folder = import_folder(deployment(container("pytorch/torchserve", env=env(MODEL_STORE="/models"))))
    with deployed(tmp_path, folder) as served, served.client() as client:
        [predict] = paths_of(folder, "POST")
        assert client.post(predict, json=[[1.0, 2.0], [3.0, 4.0]]).json() == [[2.0, 4.0], [6.0, 8.0]]
        for path in paths_of(folder, "GET"):
            assert client.get(path).status_code == 200, path
        unknown = client.post("/predictions/other", json=[[1.0, 2.0]]).json()
        assert (unknown["code"], unknown["type"]) == (404, "ModelNotFoundException")


def old_torchserve() -> Folder:
    return import_folder(deployment(container("pytorch/torchserve", env=env(MODEL_STORE="/models"))))


def test_the_management_api_of_torchserve_is_off_as_the_readme_states(tmp_path: Path) -> None:
    folder = old_torchserve()
    assert "404 or UNIMPLEMENTED: the management API is off" in folder.files["README.md"]
    with deployed(tmp_path, folder) as served, served.client() as client:
        for method, path in (
            ("GET", "/models"),
            ("POST", "/models"),
            ("PUT", "/models/old"),
            ("DELETE", "/models/old"),
        ):
            assert client.request(method, path).status_code == 404, path
        with served.channel() as channel, pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels")(b"", timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_settings_in_the_readme_enable_the_management_api_and_the_metrics_api(tmp_path: Path) -> None:
    folder = old_torchserve()
    page = folder.files["README.md"]
    assert "add torchserve_management to `SCALEZERO_PROTOCOLS` in func.yaml" in page
    assert "`SCALEZERO_LISTEN=torchserve_metrics@8082`" in page
    port, key = free_port(), "a key from a Secret"
    added = {
        "SCALEZERO_PROTOCOLS": "torchserve,torchserve_management",
        "SCALEZERO_MANAGEMENT_KEY": key,
        "SCALEZERO_LISTEN": f"torchserve_metrics@{port}",
    }
    with deployed(tmp_path, folder, **added) as served, served.client() as client:
        authorized = {"authorization": f"Bearer {key}"}
        assert client.get("/models/old").json()["type"] == "InvalidKeyException"
        assert client.get("/models/old", headers=authorized).json()[0]["modelName"] == "old"
        assert client.post("/models?url=m.onnx", headers=authorized).status_code == 405
        assert client.post("/predictions/old", json=[[1.0, 2.0]]).json() == [[2.0, 4.0]]
        assert "ts_inference_requests_total" in client.get(f"http://127.0.0.1:{port}/metrics").text
        assert "ts_inference_requests_total" not in client.get("/metrics").text


def test_a_function_starts_without_the_configuration_file_of_torchserve(tmp_path: Path) -> None:
    variables = env(TS_CONFIG_FILE="/mounted/config.properties", TS_JOB_QUEUE_SIZE="7")
    folder = import_folder(
        deployment(container("pytorch/torchserve", env=variables)), {"config.properties": "load_models=m.mar"}
    )
    assert "- env TS_CONFIG_FILE: its file does not exist in the pods" in folder.files["README.md"]
    with deployed(tmp_path, folder) as served, served.client() as client:
        assert client.post("/predictions/m", json=[[1.0, 2.0]]).json() == [[2.0, 4.0]]
