"""The document is valid OpenAPI, and its schemas match the requests and responses of the predict API."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from runtime import status
from runtime.errors import InvalidInput
from runtime.frontends import catalogue, openapi
from runtime.frontends.openapi.listing import list_routes
from runtime.model.signature import Signature
from runtime.protocols import predict
from runtime.tensors import STRING, Prediction, TensorSpec, as_array
from tests import models
from tests.conftest import unmeasured
from tests.runtime.frontends.conftest import serving
from tests.runtime.tensor_specs import spec

OUTPUT = (spec("y", ("batch", 1)),)
SIGNATURES = {
    "flat": Signature((spec("x", ("batch", 2)),), OUTPUT),
    "vector": Signature((spec("x", ("batch",), "i8"),), OUTPUT),
    "two": Signature((spec("a", ("batch", 2)), spec("b", ("batch",), "?")), OUTPUT),
    "text": Signature((spec("t", ("batch", 1), STRING),), OUTPUT),
    "open": Signature((spec("x", None),), OUTPUT),
    "fixed": Signature((spec("x", (2, 2)),), (spec("y", (2, 2)),)),
    "dynamic": Signature((spec("x", ("batch", "length")),), OUTPUT),
    "nothing": Signature((), (spec("y", (3,)),)),
    "scalar": Signature((spec("x", ()),), OUTPUT),
    "small": Signature((spec("x", ("n", 2), "i1"),), OUTPUT),
    "half": Signature((spec("x", ("n", 2), "f2"),), OUTPUT),
    "wide": Signature((spec("x", ("n", 2), "u8"),), OUTPUT),
    "one column": Signature((spec("x", ("n", 1)),), OUTPUT),
    "columns": Signature((spec("age", ("n", 1), "i8"), spec("sex", ("n", 1), STRING)), OUTPUT),
    "image": Signature((spec("x", ("batch", 3, 2, 2)),), OUTPUT),
    "one at a time": Signature((spec("x", (1, 2)),), (spec("y", (1, 2)),)),
    "scaled": Signature((spec("x", ("n", 2)), spec("k", ())), OUTPUT),
    "past": Signature((spec("past", ("batch", 2, "past", 3)),), (spec("y", ("batch", 2, "past", 3)),)),
    "sequence": Signature((TensorSpec("x", np.dtype("f4"), None, ("sequence",)),), (spec("y", ("n",)),)),
    "map": Signature((TensorSpec("x", np.dtype("f4"), None, ("map of string",)),), (spec("y", ("n",)),)),
    "numbered": Signature((TensorSpec("x", np.dtype("i8"), None, ("map of int64",)),), (spec("y", ("n",)),)),
    "optional": Signature((TensorSpec("x", np.dtype("f4"), None, ("optional",)), spec("n", ())), (spec("y", ()),)),
    "zip map": Signature(
        (spec("x", ("n", 2)),),
        (spec("label", ("n",), "i8"), TensorSpec("p", np.dtype("f4"), None, ("sequence", "map of int64"))),
    ),
    "odd": Signature(
        (spec("x", ("n",)),),
        (
            TensorSpec("absent", np.dtype("f4"), None, ("optional",)),
            TensorSpec("words", STRING, None, ("sequence",)),
            spec("open", None),
        ),
    ),
}


def document(signatures: dict[str, Signature | None]) -> dict[str, Any]:
    found = [openapi.Model(name, {"1.0.0": each}, "1.0.0") for name, each in signatures.items()]
    return openapi.document(found, list(list_routes(catalogue.PROTOCOLS, [])), version="1.0.0")


def test_the_document_is_valid_for_any_model() -> None:
    documents = [document({**SIGNATURES, "not loaded": None}), document({})]
    with unmeasured():  # minutes of the validator's own code on a slow machine
        for each in documents:
            validate(each)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("flat", [1, 2]),
        ("flat", [[1, None]]),
        ("flat", {"x": [1, 2]}),
        ("flat", [1, 2, 3]),
        ("flat", [1, "a"]),
        ("flat", {"y": [1, 2]}),
        ("flat", 5),
        ("vector", [1, 2, 3]),
        ("vector", [1.5]),
        ("vector", []),
        ("two", {"a": [[1, 2]], "b": [True]}),
        ("two", [1, 2]),
        ("two", {"a": [[1, 2]]}),
        ("two", {"a": [[1, 2]], "b": [1]}),
        ("text", [["a"]]),
        ("text", [[1]]),
        ("fixed", [[1, 2], [3, 4]]),
        ("fixed", [[1, 2]]),
        ("dynamic", [[1, 2, 3]]),
        ("nothing", {}),
        ("scalar", 5),
        ("scalar", {"x": 5}),
        ("open", 5),
        ("open", {"x": 5}),
        ("open", [[[1], [2]]]),
        ("open", [[["a"]]]),
        ("nothing", {"x": 1}),
        ("flat", []),
        ("flat", [[]]),
        ("flat", [{"x": [1, 2]}]),
        ("flat", [{"x": [1]}]),
        ("flat", [{"x": [1, 2], "y": 1}]),
        ("flat", [[1e39, 0]]),
        ("vector", [1.0, 2e2]),
        ("vector", [2**63]),
        ("vector", 5),
        ("vector", {"x": 5}),
        ("dynamic", [[]]),
        ("dynamic", []),
        ("small", [[127, -128]]),
        ("small", [[128, 0]]),
        ("small", [[0, -129]]),
        ("half", [[65504, -65504]]),
        ("half", [[65520, 0]]),
        ("wide", [[2**64 - 1, 0]]),
        ("wide", [[-1, 0]]),
        ("one column", [1, 2, 3]),
        ("one column", {"x": 1}),
        ("one column", [[1], [2]]),
        ("one column", [[1, 2]]),
        ("columns", {"age": [22, 30], "sex": ["f", "m"]}),
        ("columns", {"age": 22, "sex": "f"}),
        ("columns", [{"age": 22, "sex": "f"}, {"age": 30, "sex": "m"}]),
        ("columns", [{"age": [22], "sex": ["f"]}, {"age": [30], "sex": ["m"]}]),
        ("columns", [{"age": 22}]),
        ("columns", [{"age": 22, "sex": 1}]),
        ("columns", [22, "f"]),
        ("image", list(range(12))),
        ("image", np.zeros((2, 3, 2, 2)).tolist()),
        ("image", list(range(11))),
        ("one at a time", [1, 2]),
        ("one at a time", [[1, 2], [3, 4]]),
        ("one at a time", [[1, 2, 3]]),
        ("scaled", {"x": [[1, 2]], "k": 3}),
        ("scaled", {"x": [[1, 2]], "k": [3]}),
        ("scaled", [{"x": [1, 2], "k": 3}]),
        ("past", [[[], []]]),
        ("past", [[[[1, 2, 3]], [[1, 2, 3]]]]),
        ("past", [[[1], [2]]]),
        ("sequence", [[1], [2, 3]]),
        ("sequence", {"x": []}),
        ("sequence", [["a"]]),
        ("map", {"x": {"a": 1.5}}),
        ("map", {"x": {"a": "b"}}),
        ("map", {"x": [1]}),
        ("numbered", {"x": {"-1": 1}}),
        ("numbered", {"x": {"a": 1}}),
        ("optional", {"x": [1], "n": 1}),
        ("optional", {"x": None, "n": 1}),
        ("optional", {"n": 1}),
        ("optional", {"x": ["a"], "n": 1}),
    ],
)
def test_the_schema_allows_exactly_what_the_api_accepts(name: str, inputs: object) -> None:
    described = document({name: SIGNATURES[name]})
    operation = described["paths"][f"/api/v1/models/{quote(name)}/predict"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    body = {"inputs": inputs}
    assert OAS31Validator(schema).is_valid(body) is _taken(body, SIGNATURES[name])


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("flat", [1, 2], [np.array([[0.5]], np.float32)]),
        ("flat", [[1, 2], [3, 4]], [np.array([[0.5], [np.nan]], np.float32)]),
        ("flat", {"x": [1, 2]}, [np.array([[np.inf]], np.float32)]),
        ("vector", [1], [np.array([[0.5]], np.float32)]),
        ("zip map", [1, 2], [np.array([1]), as_array([{0: 0.25, 1: 0.75}])]),
        ("zip map", [[1, 2]], [np.array([1]), as_array([{0: 0.25, 1: 0.75}])]),
        ("odd", [1], [as_array(None), as_array([np.array(["a"], object)]), np.array(1.5)]),
        ("odd", {"x": 1}, [np.array([1.0]), as_array([]), np.array([[1.5]])]),
        ("sequence", [[1]], [np.array([1.0], np.float32)]),
        ("fixed", [[1, 2], [3, 4]], [np.zeros((2, 2), np.float32)]),
        ("optional", {"n": 1}, [np.array(1.0)]),
    ],
)
def test_the_responses_match_the_schema(name: str, inputs: object, outputs: list[np.ndarray]) -> None:
    operation = document({name: SIGNATURES[name]})["paths"][f"/api/v1/models/{quote(name)}/predict"]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    query = predict.parse(orjson.dumps({"inputs": inputs}), SIGNATURES[name])
    prediction = Prediction(outputs, model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)
    answer = orjson.loads(predict.render(query, prediction, SIGNATURES[name], latency=0.001))
    assert OAS31Validator(schema).is_valid(answer), answer
    answer["outputs"] = {"no such output": 1}
    assert not OAS31Validator(schema).is_valid(answer)


def test_a_models_name_is_one_segment_of_the_path() -> None:
    paths = document({"50% off? #1 ü": None})["paths"]
    assert "/api/v1/models/50%25%20off%3F%20%231%20%C3%BC/predict" in paths
    assert "/api/v1/models/50%25%20off%3F%20%231%20%C3%BC" in paths


def _taken(body: object, signature: Signature) -> bool:
    try:
        signature.validate(predict.parse(orjson.dumps(body), signature).tensors)
    except InvalidInput:
        return False
    return True


def test_errors_match_their_schema() -> None:
    schema = document({})["components"]["schemas"]["predict.Error"]
    error = status.error_document("invalid_input", "inputs: ...", {"field": "inputs"})
    assert OAS31Validator(schema).is_valid(error)
    assert not OAS31Validator(schema).is_valid({"error": "no"})
    assert not OAS31Validator(schema).is_valid({"detail": "no"})


def test_a_server_describes_itself_before_and_after_its_model_is_loaded(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), "--lazy") as served:
        before = served.get("/openapi.json").json()
        validate(before)
        answer = served.predict([1, 2]).json()
        after = served.get("/openapi.json").json()
        validate(after)
    operation = after["paths"]["/api/v1/models/m/predict"]["post"]
    schemas = {code: each["content"]["application/json"]["schema"] for code, each in operation["responses"].items()}
    assert OAS31Validator(schemas["200"]).is_valid(answer)
    # No prediction request gets these.
    of_others = {
        status.CLIENT_LEFT,
        "default_version",
        "version_conflict",
        "bucket_not_allowed",
        "object_missing",
        "guest_answer_invalid",
    }
    assert set(schemas) == {"200", *(str(row.http) for code, row in status.TABLE.items() if code not in of_others)}
    assert before != after
