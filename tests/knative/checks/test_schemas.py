"""A contradiction is reported only if no value satisfies both schemas."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from knative.checks.schemas import contradiction

NUMBERS = {"type": "array", "items": {"type": "number"}}
ROW = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
INPUTS = {"type": "object", "required": ["inputs"], "properties": {"inputs": ROW}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("declared", "accepted", "expected"),
    [
        ({"type": "string"}, {"type": "number"}, "the body is string, but the function expects number"),
        ({"type": "integer"}, {"type": "number"}, None),
        ({"type": "number"}, {"type": "integer"}, None),
        ({"type": ["string", "null"]}, {"type": "null"}, None),
        ({"type": "string", "nullable": True}, {"type": ["number", "null"]}, None),
        ({}, {"type": "number"}, None),
        ({"properties": {}}, {"type": "array"}, "the body is object, but the function expects array"),
        ({"properties": {}, "items": {}}, {"type": "string"}, None),
        ({"enum": [1, 2]}, {"enum": [2, 3]}, None),
        ({"enum": [1]}, {"const": 2}, "the body is one of 1, but the function expects 2"),
        (
            {"enum": [*range(9)]},
            {"const": "x"},
            "the body is one of 0, 1, 2, 3, 4, ..., but the function expects x",
        ),
        (NUMBERS, ROW, None),
        ({**NUMBERS, "maxItems": 1}, ROW, "the body has 0 to 1 items, but the function expects 2"),
        ({**NUMBERS, "minItems": 3}, ROW, "the body has at least 3 items, but the function expects 2"),
        ({"type": "array"}, ROW, None),
        ({"type": "array", "items": NUMBERS}, ROW, "the body[] is array, but the function expects number"),
        ({"type": "array", "items": NUMBERS}, {"anyOf": [ROW, {"type": "array", "items": ROW}]}, None),
        (
            {"type": "string"},
            {"anyOf": [ROW, {"type": "object"}]},
            "the body is string, but the function expects array",
        ),
        ({"oneOf": [{"type": "string"}, ROW]}, ROW, None),
        ({"oneOf": [{"type": "string"}]}, ROW, "the body is string, but the function expects array"),
        ({"type": "string"}, {"allOf": [{}, ROW]}, "the body is string, but the function expects array"),
        (ROW, {"allOf": [{}, {"type": "array"}], "minItems": 2}, None),
        ({"allOf": [{"type": "string"}]}, ROW, "the body is string, but the function expects array"),
        ({"allOf": [{"type": "array"}]}, ROW, None),
        ({"type": "object"}, INPUTS, None),
        ({"type": "object", "properties": {"inputs": NUMBERS}}, INPUTS, None),
        ({"properties": {"rows": NUMBERS}}, INPUTS, "the body has rows, but the function requires inputs"),
        (
            {"properties": {"inputs": NUMBERS, "rows": {}}},
            INPUTS,
            "rows is not a property that the function accepts; it accepts inputs",
        ),
        (
            {"properties": {"rows": {}}},
            {"type": "object", "additionalProperties": False},
            "rows is not a property that the function accepts; it accepts no properties",
        ),
        ({"properties": {"rows": {}}}, {"type": "object"}, None),
        (
            {"properties": {"inputs": {"type": "array", "items": {"type": "string"}}}},
            INPUTS,
            "inputs[] is string, but the function expects number",
        ),
        (
            {"properties": {"a": {"properties": {"b": {"type": "string"}}}}},
            {"properties": {"a": {"properties": {"b": {"type": "number"}}}}},
            "a.b is string, but the function expects number",
        ),
    ],
)
def test_a_contradiction_is_named_with_its_place(
    declared: dict[str, Any], accepted: dict[str, Any], expected: str | None
) -> None:
    assert contradiction(declared, accepted) == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, "a", "b"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array"}


@st.composite
def fitting(draw: st.DrawFn, value: object) -> dict[str, Any]:
    """Draw a schema that allows the value and names each of its properties."""
    if draw(st.integers(0, 9)) == 0:
        return {}
    if draw(st.integers(0, 4)) == 0:
        other = {"type": draw(st.sampled_from(["string", "object", "integer"]))}
        return {draw(st.sampled_from(["anyOf", "oneOf"])): [draw(fitting(value)), {**other, "enum": []}]}
    if draw(st.integers(0, 4)) == 0:
        return {"allOf": [draw(fitting(value)), draw(fitting(value))]}
    schema: dict[str, Any] = {}
    name = TYPES.get(type(value), "object")
    if draw(st.booleans()):
        schema["type"] = draw(st.sampled_from([name, [name, "null"], ["string", name]])) if name != "null" else name
    if isinstance(value, list):
        schema["items"] = {"anyOf": [draw(fitting(each)) for each in value]}
        schema |= draw(st.sampled_from([{}, {"minItems": 1}, {"maxItems": 3}]))
    elif isinstance(value, dict):
        schema["properties"] = {key: draw(fitting(each)) for key, each in value.items()}
        schema["required"] = draw(st.lists(st.sampled_from(sorted(value)), unique=True))
        schema["additionalProperties"] = draw(st.booleans())
    elif draw(st.booleans()):
        schema["enum"] = [value, "other"]
    return schema


@given(st.data())
def test_schemas_that_allow_one_value_do_not_contradict_each_other(data: st.DataObject) -> None:
    value = data.draw(VALUES)
    declared, accepted = data.draw(fitting(value)), data.draw(fitting(value))
    for schema in (declared, accepted):
        if "oneOf" not in str(schema):  # `oneOf` refuses a value that several alternatives allow
            assert Draft202012Validator(schema).is_valid(value)
    assert contradiction(declared, accepted) is None
