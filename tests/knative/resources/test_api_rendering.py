"""A rendered APIDefinition is read back, describes the same requests, and is valid OpenAPI 3.0."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator

from knative.resources import api_rendering
from knative.resources.read import read_resources
from runtime.frontends.catalogue import PROTOCOLS
from runtime.frontends.openapi import Model, document
from runtime.frontends.openapi.listing import list_routes
from runtime.model.signature import Signature
from runtime.tensors import STRING, TensorSpec

SIGNATURE = Signature(
    (
        TensorSpec("x", np.dtype("f4"), ("batch", 2)),
        TensorSpec("t", STRING, ("batch", 1)),
        TensorSpec("m", np.dtype("i8"), None, ("map of int64",)),
    ),
    (TensorSpec("y", np.dtype("f4"), ("batch", 2)),),
)
MODELS = [Model("m", {"1": SIGNATURE}, "1"), Model("later", {"1": None}, "1")]


def described() -> dict[str, Any]:
    return document(MODELS, list(list_routes(PROTOCOLS, [])), version="1")


def test_a_rendered_definition_is_read_back_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(api_rendering.render(described()), "utf-8")
    definition = read_resources(file).api_definitions[0]
    assert definition.metadata.name == "ml-inference-api"
    assert {path: {method for method, _ in item.operations()} for path, item in definition.spec.paths.items()} == {
        path: set(methods) for path, methods in described()["paths"].items()
    }


def test_with_responses_the_paths_are_valid_openapi_3_0() -> None:
    paths = api_rendering.definition(described())["spec"]["paths"]
    for methods in paths.values():
        for operation in methods.values():
            operation["responses"] = {"default": {"description": "any"}}
    OpenAPIV30SpecValidator({"openapi": "3.0.3", "info": {"title": "x", "version": "1"}, "paths": paths}).validate()


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"x": [[1, None]], "t": ["a"], "m": {"7": 1}}},
        {"inputs": {"x": [["a", "b"]], "t": ["a"], "m": {}}},
        {"inputs": {"x": [[1, 2]], "t": [1], "m": {}}},
        {"inputs": {"x": [[1, 2]]}},
        {"inputs": 7},
        {},
    ],
)
def test_a_request_that_is_valid_in_3_1_is_valid_in_3_0(body: object) -> None:
    from openapi_schema_validator import OAS31Validator

    operation = described()["paths"]["/api/v1/models/m/predict"]["post"]
    new = operation["requestBody"]["content"]["application/json"]["schema"]
    assert OAS30Validator(api_rendering.schema(new)).is_valid(body) is OAS31Validator(new).is_valid(body)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ({"const": 1}, {"enum": [1]}),
        ({"type": ["number", "null"]}, {"type": "number", "nullable": True}),
        ({"type": ["array", "object"]}, {"anyOf": [{"type": "array"}, {"type": "object"}]}),
        ({"type": ["null"]}, {"nullable": True}),
        ({"propertyNames": {"pattern": "^1"}, "additionalProperties": False}, {"additionalProperties": False}),
        ({"additionalProperties": {"const": 1}}, {"additionalProperties": {"enum": [1]}}),
        ({"anyOf": [{"const": 1}], "items": {"const": 2}}, {"anyOf": [{"enum": [1]}], "items": {"enum": [2]}}),
        ({"properties": {"const": {"type": "null"}}}, {"properties": {"const": {"type": "null"}}}),
    ],
)
def test_keywords_of_3_1_are_converted_to_3_0(new: dict[str, Any], old: dict[str, Any]) -> None:
    assert api_rendering.schema(new) == old
