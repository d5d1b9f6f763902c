"""The description is valid OpenAPI, and true: what it allows is what the predict API takes and gives."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from runtime.errors import InvalidInput
from runtime.frontends import openapi, status
from runtime.model.signature import Signature
from runtime.tensors import STRING, Shape, TensorSpec
from runtime.protocols import predict
from tests import models
from tests.frontends.conftest import serving


def spec(name: str, shape: Shape | None, dtype: npt.DTypeLike = "f4") -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


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
}


def document(signatures: dict[str, Signature | None]) -> dict[str, Any]:
    return openapi.document(signatures, version="1.0.0")


def test_the_document_is_valid_whatever_the_models_are() -> None:
    validate(document({**SIGNATURES, "not loaded": None}))
    validate(document({}))


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
    ],
)
def test_the_schema_allows_what_the_api_takes_and_nothing_else(name: str, inputs: object) -> None:
    described = document({name: SIGNATURES[name]})
    operation = described["paths"][f"/api/v1/models/{name}/predict"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    body = {"inputs": inputs}
    assert OAS31Validator(schema).is_valid(body) is _taken(body, SIGNATURES[name])


def _taken(body: object, signature: Signature) -> bool:
    try:
        signature.validate(predict.parse(orjson.dumps(body), signature).tensors)
    except InvalidInput:
        return False
    return True


def test_errors_are_described_as_they_are_told() -> None:
    schema = document({})["components"]["schemas"]["Error"]
    told = status.error_document("invalid_input", "inputs: ...", {"field": "inputs"})
    assert OAS31Validator(schema).is_valid(told)
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
    assert set(schemas) == {"200", *(str(int(code)) for code in set(status.HTTP.values()))}
    assert before != after
