"""The Open Inference Protocol over a real socket."""

from collections.abc import Iterator

import httpx
import numpy as np
import orjson
import pytest

from tests import models
from tests.frontends.conftest import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A quick model: y = 2 x, two numbers a row."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx")) as served:
        yield served


def infer(served: Served, body: bytes, path: str = "/v2/models/m/infer", **headers: str) -> httpx.Response:
    with served.client() as client:
        return client.post(path, content=body, headers=headers)


@pytest.mark.parametrize("rows", [1, 40_000])
def test_binary_and_json_are_bit_equal_to_the_predict_api(served: Served, rows: int) -> None:
    name = served.get("/v2/models/m").json()["inputs"][0]["name"]
    x = np.random.default_rng(0).random((rows, 2), np.float32)
    item = {"name": name, "datatype": "FP32", "shape": [rows, 2]}
    expected = np.float32(served.predict(x.tolist()).json()["outputs"]).tobytes()
    answer = infer(served, orjson.dumps({"inputs": [{**item, "data": x.tolist()}]}), "/v2/models/m/versions/1/infer")
    assert answer.status_code == 200, answer.text
    assert np.float32(answer.json()["outputs"][0]["data"]).tobytes() == expected
    item["parameters"] = {"binary_data_size": x.nbytes}
    head = orjson.dumps({"inputs": [item], "parameters": {"binary_data_output": True}})
    answer = infer(served, head + x.tobytes(), **{"Inference-Header-Content-Length": str(len(head))})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content[int(answer.headers["inference-header-content-length"]) :] == expected


def test_health_and_metadata(served: Served) -> None:
    assert served.get("/v2/health/live").json() == {"live": True}
    assert served.get("/v2/health/ready").json() == {"ready": True}
    assert served.get("/v2/models/m/versions/1/ready").json() == {"name": "m", "ready": True}
    assert served.get("/v2").json()["extensions"] == ["binary_tensor_data", "model_configuration", "statistics"]
    document = served.get("/v2/models/m").json()
    assert document["versions"] == ["1"]
    assert document["inputs"][0]["datatype"] == "FP32"
    assert document["inputs"][0]["shape"] == [-1, 2]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v2/nothing", 404), ("/v2/models/z", 404), ("/v2/models/m/versions/9/ready", 404), ("/v2/models/m/infer", 405)],
)
def test_every_error_below_v2_has_its_form(served: Served, path: str, status: int) -> None:
    answer = served.get(path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert isinstance(answer.json()["error"], str)
