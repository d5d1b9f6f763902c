"""TensorFlow Serving's REST API over a real socket, with and without KServe V1."""

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import helper

from tests import models
from tests.runtime.frontends.conftest import Served, counts, serving

PREDICT = "/v1/models/m:predict"


def classifier(path: Path) -> Path:
    """`scores` = the softmax of `x`, float32 [n, 3]; `best` = the index of the greatest, int64 [n]."""
    nodes = [
        helper.make_node("Softmax", ["x"], ["scores"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
    ]
    outputs = [models.value("scores", models.FLOAT, ["n", 3]), models.value("best", models.INT64, ["n"])]
    return models.save(path, nodes, [models.value("x", models.FLOAT, ["n", 3])], outputs)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fast model: y = 2 x, with two numbers per row."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx"), SCALEZERO_MODEL_VERSION="1.2.3") as served:
        yield served


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same model without KServe V1."""
    folder = tmp_path_factory.mktemp("strict")
    model = models.doubling(folder / "m.onnx")
    with serving(folder, model, SCALEZERO_PROTOCOLS="tensorflow_serving") as served:
        yield served


def post(served: Served, document: object, path: str = PREDICT, **headers: str) -> httpx.Response:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    with served.client() as client:
        return client.post(path, content=content, headers=headers)


def error(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert list(document) == ["error"]
    text: str = document["error"]
    return text


@pytest.mark.parametrize("rows", [1, 40_000])
def test_predictions_are_bit_equal_to_the_predict_api(served: Served, rows: int) -> None:
    x = np.random.default_rng(0).random((rows, 2), np.float32).tolist()
    expected = served.predict(x).json()["outputs"]
    assert post(served, {"instances": x}).json() == {"predictions": expected}
    assert post(served, {"inputs": x}, "/v1/models/m/versions/1002003:predict").json() == {"outputs": expected}
    assert (
        post(served, {"instances": [{"x": each} for each in x]}, "/V1/Models/m:PREDICT").json()["predictions"]
        == expected
    )


@pytest.mark.parametrize("rows", [1, 40_000])
def test_nan_and_infinity_are_accepted_and_returned(served: Served, rows: int) -> None:
    row = [math.nan, -math.inf]
    answer = post(served, json.dumps({"instances": [row] * rows}).encode() + b" and what follows")
    np.testing.assert_equal(json.loads(answer.content), {"predictions": [row] * rows})


def test_a_compressed_body_of_any_content_type_is_read(served: Served) -> None:
    body = gzip.compress(b'{"instances": [[1, 2]]}')
    headers = {"content-encoding": "gzip", "content-type": "application/x-www-form-urlencoded"}
    assert post(served, body, **headers).json() == {"predictions": [[2, 4]]}


@pytest.mark.parametrize(
    ("document", "path", "status", "text"),
    [
        (b"", PREDICT, 400, "JSON Parse error: The document is empty"),
        ({"instances": [["a"]]}, PREDICT, 400, "Failed to process element: 0 of 'instances' list."),
        ({"instances": [[1, 2]]}, "/v1/models/z:predict", 404, "Servable not found for request: Latest(z)"),
        (
            {"instances": [[1, 2]]},
            "/v1/models/z/versions/7:predict",
            404,
            "Servable not found for request: Specific(z, 7)",
        ),
        ({"instances": [[1, 2]]}, "/v1/models/m/versions/007:predict", 404, "for request: Specific(m, 7)"),
        (
            {"instances": [[1]]},
            "/v1/models/m/labels/stable:predict",
            400,
            "Unrecognized servable version label: stable",
        ),
        ({}, f"/v1/models/m/versions/{2**63}:predict", 400, f"Failed to convert version: {2**63} to numeric."),
        ({}, f"/v1/models/m/versions/{'9' * 9000}:predict", 400, "Failed to convert version: 9"),
        ({}, "/v1/models/m/versions/one:predict", 400, "Malformed request: POST /v1/models/m/versions/one:predict"),
        ({}, "/v1/models/a:b:predict", 400, "Malformed request: POST /v1/models/a:b:predict"),
        ({}, "/v1/models/m:invoke", 400, "Malformed request: POST /v1/models/m:invoke"),
        ({}, "/v1/models/m/metadata", 400, "Malformed request: POST /v1/models/m/metadata"),
        ({}, "/v1/models/m/version/50", 400, "Malformed request: POST /v1/models/m/version/50"),
        ({"instances": [[1, 2, 3]]}, PREDICT, 400, "shape [1, 3]"),
        ({"examples": [{"x": [1, 2]}]}, "/v1/models/m:regress", 400, "tensorflow/serving/regress"),
    ],
)
def test_errors_have_the_status_and_text_of_tensorflow_serving(
    served: Served, document: object, path: str, status: int, text: str
) -> None:
    assert text in error(post(served, document, path), status)


@pytest.mark.parametrize(
    "path", [PREDICT, "/v1/models/m/labels/a/versions/1", "/v1/models/", "/v1/models/m/metadata/x"]
)
def test_another_path_or_method_is_a_malformed_request(served: Served, path: str) -> None:
    assert error(served.get(path), 400) == f"Malformed request: GET {path}"
    with served.client() as client:
        assert error(client.put(path), 400) == f"Malformed request: PUT {path}"


def test_a_path_outside_of_v1_is_not_found(served: Served) -> None:
    assert served.get("/v2x").status_code == served.get("/other/v1/models").status_code == 404


def test_the_function_gets_paths_below_v1_that_are_not_of_models(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("def handle(request):\n    return request.path\n")
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, FUNCTION_SOURCE=str(source)) as served:
        assert served.get("/v1/other").text == "/v1/other"
        assert error(served.get("/v1/models/"), 400) == "Malformed request: GET /v1/models/"


def test_requests_are_counted_under_the_protocol(served: Served) -> None:
    before = counts(served).get(("tensorflow_serving", "ok", "none"), 0)
    post(served, {"instances": [[1, 2]]})
    assert counts(served)["tensorflow_serving", "ok", "none"] == before + 1


def test_the_status_has_the_fields_of_both_protocols(served: Served) -> None:
    state = {"version": "1002003", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    versions: dict[str, Any] = {"model_version_status": [state]}
    assert served.get("/v1/models/m").json() == {**versions, "name": "m", "ready": True}
    assert served.get("/v1/models/m/versions/1002003").json() == versions
    assert served.get("/v1/models/m/labels/any").json()["model_version_status"] == [state]
    assert error(served.get("/v1/models/z"), 404) == "Could not find any versions of model z"
    assert error(served.get("/v1/models/m/versions/2"), 404) == "Could not find version 2 of model m"
    assert error(served.get("/v1/models/m/versions/x"), 400) == "Malformed request: GET /v1/models/m/versions/x"


def test_metadata_describes_the_signature(served: Served) -> None:
    document = served.get("/v1/models/m/versions/1002003/metadata").json()
    assert document["model_spec"] == {"name": "m", "signature_name": "", "version": "1002003"}
    signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [each["size"] for each in signature["outputs"]["y"]["tensor_shape"]["dim"]] == ["-1", "2"]
    assert error(served.get("/v1/models/z/metadata"), 404) == "Servable not found for request: Latest(z)"
    assert "Unrecognized" in error(served.get("/v1/models/m/labels/x/metadata"), 400)


def test_routes_of_kserve_are_answered_if_both_are_served(served: Served) -> None:
    assert served.get("/v1/models").json() == {"models": ["m"]}
    assert served.get("/").json() == {"status": "alive"}
    assert "no explainer" in error(post(served, {}, "/v1/models/m:explain"), 501)
    assert "Latest(z)" in error(post(served, {}, "/v1/models/z:explain"), 404)


def test_without_kserve_its_routes_are_refused_as_in_tensorflow_serving(strict: Served) -> None:
    assert list(strict.get("/v1/models/m").json()) == ["model_version_status"]
    assert error(strict.get("/v1/models"), 400) == "Missing model name in request."
    assert error(post(strict, {}, "/v1/models/m:explain"), 400) == "Malformed request: POST /v1/models/m:explain"
    assert strict.get("/").status_code == 404


def test_a_preflight_needs_an_origin(served: Served) -> None:
    with served.client() as client:
        assert client.options(PREDICT, headers={"origin": "https://example.org"}).status_code == 200
        assert "Origin" in error(client.options(PREDICT), 400)


def test_a_lazy_model_is_available_and_a_failed_model_is_not(tmp_path: Path) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, ready=False, SCALEZERO_LOAD="lazy") as served:
        document = served.get("/v1/models/m").json()
        assert (document["model_version_status"][0]["state"], document["ready"]) == ("AVAILABLE", True)
        model.write_bytes(b"no model")
        assert post(served, {"instances": [[1, 2]]}).status_code == 503
        document = served.get("/v1/models/m").json()
        (state,) = document["model_version_status"]
        assert document["ready"] is False
        assert (state["state"], state["status"]["error_code"]) == ("END", "UNAVAILABLE")
        assert state["status"]["error_message"]


def test_examples_are_classified(tmp_path: Path) -> None:
    with serving(tmp_path, classifier(tmp_path / "m.onnx")) as served:
        document = {"context": {"x": [0.0, 0.0, 1.5]}, "examples": [{}, {"x": [1, 2, 3]}]}
        expected = post(served, {"instances": [[0, 0, 1.5], [1, 2, 3]]}).json()["predictions"]
        rows = [[[str(index), score] for index, score in enumerate(each["scores"])] for each in expected]
        assert post(served, document, "/v1/models/m:classify").json() == {"results": rows}
        many = post(served, {"examples": [{"x": [1, 2, 3]}] * 9_000}, "/v1/models/m:classify")
        assert many.json() == {"results": [rows[1]] * 9_000}


def test_each_example_gets_one_value(tmp_path: Path) -> None:
    with serving(tmp_path, models.people(tmp_path / "m.onnx")) as served:
        examples = [{"age": 7, "sex": "f"}, {"age": 250, "sex": {"b64": "bQ=="}}]
        assert post(served, {"examples": examples}, "/v1/models/m:regress").json() == {"results": [0.07, 2.5]}
        many = post(served, {"examples": examples * 5_000}, "/v1/models/m:regress")
        assert many.json() == {"results": [0.07, 2.5] * 5_000}
