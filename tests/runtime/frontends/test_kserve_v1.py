"""KServe's V1 protocol over a real socket, without TensorFlow Serving's."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, serving

PREDICT = "/v1/models/m:predict"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fast model: y = 2 x, with two numbers per row."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx"), SCALEZERO_PROTOCOLS="kserve_v1") as served:
        yield served


def post(served: Served, document: object, path: str = PREDICT) -> httpx.Response:
    with served.client() as client:
        return client.post(path, content=json.dumps(document))


@pytest.mark.parametrize("rows", [1, 40_000])
@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_predictions_are_bit_equal_to_the_predict_api(served: Served, rows: int, key: str) -> None:
    x = np.random.default_rng(0).random((rows, 2), np.float32).tolist()
    assert post(served, {key: x}).json() == {"predictions": served.predict(x).json()["outputs"]}


def test_models_and_their_readiness(served: Served) -> None:
    assert served.get("/").json() == {"status": "alive"}
    assert served.get("/v1/models").json() == {"models": ["m"]}
    assert served.get("/v1/models/m").json() == {"name": "m", "ready": True}


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", PREDICT, 400, 'Expected "instances" to be a list'),
        ("POST", "/v1/models/z:predict", 404, "Model with name z does not exist."),
        ("GET", "/v1/models/z", 404, "Model with name z does not exist."),
        ("POST", "/v1/models/m:explain", 501, "no explainer"),
        ("POST", "/v1/models/z:explain", 404, "Model with name z does not exist."),
        ("GET", PREDICT, 405, "it accepts POST"),
        ("GET", "/v1/models/m/versions/1", 404, "no route matches"),
    ],
)
def test_errors_have_the_form_of_kserve(served: Served, method: str, path: str, status: int, text: str) -> None:
    with served.client() as client:
        answer = client.request(method, path, content="{}")
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert text in answer.json()["error"]


def test_a_lazy_model_is_ready_and_a_failed_model_is_not(tmp_path: Path) -> None:
    options = {"SCALEZERO_PROTOCOLS": "kserve_v1", "SCALEZERO_LOAD": "lazy"}
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, ready=False, env=options) as served:
        assert served.get("/v1/models/m").json() == {"name": "m", "ready": True}
        model.write_bytes(b"no model")
        assert post(served, {"instances": [[1, 2]]}).json()["error"].startswith("Model is not ready. ")
        answer = served.get("/v1/models/m")
        assert (answer.status_code, answer.json()) == (503, {"error": "Model with name m is not ready."})


def test_the_function_gets_other_methods_of_a_generic_path(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("def handle(request):\n    return request.get_data()\n")
    options = {"SCALEZERO_PROTOCOLS": "kserve_v1", "FUNCTION_SOURCE": str(source)}
    path = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, path, env=options) as served, served.client() as client:
        assert client.get("/").json() == {"status": "alive"}
        answer = client.post("/", content=b"a body for the function")
        assert (answer.status_code, answer.content) == (200, b"a body for the function")
        assert client.post("/v1/models").status_code == 405  # the protocol owns this prefix
