"""An imported function answers the clients of the server that it replaces, at the paths that README.md names."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from knative.importing import Folder
from tests import models
from tests.knative.importing.deployments import container, deployment, env
from tests.knative.importing.test_folder import made, manifests, variables
from tests.runtime.frontends.conftest import Served, serving

NOT_HERE = ("K_", "SCALEZERO_CACHE_DIR", "SCALEZERO_MODEL_URI", "SCALEZERO_HOST", "PORT", "AWS_")


@contextmanager
def deployed(tmp_path: Path, folder: Folder) -> Iterator[Served]:
    """A server with the variables of the folder's pods, and a model on this machine."""
    service = next(each for each in manifests(folder) if each["kind"] == "Service")
    given = {
        name: value
        for name, value in variables(service).items()
        if isinstance(value, str) and not name.startswith(NOT_HERE)
    }
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), env=given) as served:
        yield served


def asked(folder: Folder, method: str) -> list[str]:
    """The paths that the page names as those of now."""
    rows = re.findall(r"^\| `.*` \| (.*) \|$", folder.files["README.md"], flags=re.MULTILINE)
    return [row.split()[1].rstrip(",") for row in rows if row.startswith(f"{method} ")]


def test_a_client_of_tensorflow_serving_is_answered_as_before(tmp_path: Path) -> None:
    folder = made(deployment(container(env=env(MODEL_NAME="half_two", MODEL_BASE_PATH="/models"))))
    with deployed(tmp_path, folder) as served, served.client() as client:
        predict, *_ = asked(folder, "POST")
        answer = client.post(predict, json={"instances": [[1.0, 2.0], [3.0, 4.0]]})
        assert answer.json() == {"predictions": [[2.0, 4.0], [6.0, 8.0]]}
        status, metadata, metrics = asked(folder, "GET")
        [state] = client.get(status).json()["model_version_status"]
        assert (state["version"], state["state"]) == ("1", "AVAILABLE")
        assert client.get(metadata).json()["model_spec"]["name"] == "half-two"
        assert client.get(metrics).status_code == 200
        unknown: Any = client.post("/v1/models/other:predict", json={"instances": [[1.0, 2.0]]})
        assert (unknown.status_code, set(unknown.json())) == (404, {"error"})


def test_a_client_of_torchserve_is_answered_as_before(tmp_path: Path) -> None:
    folder = made(deployment(container("pytorch/torchserve", env=env(MODEL_STORE="/models"))))
    with deployed(tmp_path, folder) as served, served.client() as client:
        [predict] = asked(folder, "POST")
        assert client.post(predict, json=[[1.0, 2.0], [3.0, 4.0]]).json() == [[2.0, 4.0], [6.0, 8.0]]
        for path in asked(folder, "GET"):
            assert client.get(path).status_code == 200, path
        unknown = client.post("/predictions/other", json=[[1.0, 2.0]]).json()
        assert (unknown["code"], unknown["type"]) == (404, "ModelNotFoundException")
