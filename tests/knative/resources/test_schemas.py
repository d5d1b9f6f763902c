"""The rules of the API server for structural schemas that can be checked without a server."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from openapi_schema_validator import OAS30Validator

from knative.resources.crds.definitions import DEFINITIONS, manifest
from knative.resources.event_filters import Filter
from knative.resources.schemas import structural_schema
from knative.resources.status import Condition, Status

# The fields of JSONSchemaProps in apiextensions.k8s.io/v1 that the kinds use.
KNOWN = {
    *("type", "format", "description", "default", "nullable", "enum", "pattern"),
    *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("properties", "required", "items", "additionalProperties"),
    *("x-kubernetes-validations", "x-kubernetes-preserve-unknown-fields"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}
ROOTS = {each.plural: manifest(each)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for each in DEFINITIONS}


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schema and all nested schemas."""
    yield schema
    below = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for each in below:
        if each is not None:
            yield from nodes(each)


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_each_node_has_an_inline_type_and_only_known_keywords(root: dict[str, Any]) -> None:
    for node in nodes(root):
        assert node["type"] in {"object", "array", "string", "integer", "number", "boolean"}
        assert node.keys() <= KNOWN
        assert (node["type"] == "array") == ("items" in node)


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_a_mapping_has_fixed_fields_or_open_ones_never_both(root: dict[str, Any]) -> None:
    ways = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"}
    for node in nodes(root):
        assert len(node.keys() & ways) == (node["type"] == "object")
        assert set(node.get("required", [])) <= set(node.get("properties", {}))


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_the_keys_of_a_list_are_required_fields_of_its_items(root: dict[str, Any]) -> None:
    for node in nodes(root):
        keys = node.get("x-kubernetes-list-map-keys", [])
        assert set(keys) <= set(node.get("items", {}).get("required", []))
        assert ("x-kubernetes-list-type" in node) == bool(keys)


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_only_the_name_of_the_metadata_is_restricted(root: dict[str, Any]) -> None:
    """The API server allows nothing else there: no description, no required fields."""
    metadata = root["properties"]["metadata"]
    assert metadata.keys() == {"type", "properties"}
    assert metadata["properties"].keys() == {"name"}


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_patterns_are_valid_in_go(root: dict[str, Any]) -> None:
    patterns = [node["pattern"] for node in nodes(root) if "pattern" in node]
    assert patterns
    for pattern in patterns:
        assert pattern[0] + pattern[-1] == "^$"
        assert not any(each in pattern for each in (r"\Z", "(?=", "(?!", "(?<"))


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_fields_in_rules_have_size_limits_because_the_api_server_estimates_their_cost(root: dict[str, Any]) -> None:
    for node in nodes(root["properties"]["spec"]):
        for rule in node.get("x-kubernetes-validations", []):
            assert node.keys() & {"maxItems", "maxProperties", "properties"}
            for name in re.findall(r"self\.(\w+)", rule["rule"]) if "properties" in node else ():
                field = node["properties"][name.removeprefix("__").removesuffix("__")]
                assert field["type"] in {"boolean", "object"} or field.keys() & {"maxItems", "maxLength", "enum"}


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_each_schema_is_valid_in_openapi_3(root: dict[str, Any]) -> None:
    OAS30Validator.check_schema(root)


def test_a_field_that_may_be_null_is_nullable() -> None:
    class Some(Struct):
        text: str | None = None

    assert structural_schema(Some)["properties"] == {"text": {"type": "string", "nullable": True}}


def test_a_part_that_contains_itself_has_open_fields_below_its_first_level() -> None:
    assert structural_schema(Filter)["properties"]["any"]["items"] == {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }


def test_defaults_are_kept() -> None:
    class Some(Struct):
        flag: bool = False

    assert structural_schema(Some)["properties"] == {"flag": {"type": "boolean", "default": False}}


def test_a_condition_has_the_fields_of_kubernetes_conditions() -> None:
    required = ["type", "status", "reason", "message", "lastTransitionTime"]
    assert structural_schema(Condition)["required"] == required
    assert structural_schema(Status)["properties"]["conditions"]["items"]["required"] == required
