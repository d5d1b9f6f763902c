r"""The structural schema of a kind, in the subset of OpenAPI 3.0 that Kubernetes supports.

msgspec generates JSON Schema 2020-12. A structural schema differs from it: each type is inline (no $ref), `nullable`
allows null, it does not state whether unknown fields are allowed (the API server handles them), and patterns are Go
regular expressions, where `$` means `\Z`. See "Specifying a structural schema" in the documentation of Kubernetes.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]

_SUBSCHEMAS = ("items", "additionalProperties")
_NOT_STRUCTURAL = frozenset({"$ref", "$defs", "anyOf", "title"})


def structural_schema(kind: type[msgspec.Struct]) -> Schema:
    """Return the structural schema of a kind, or of a part of one."""
    generated = msgspec.json.schema(kind)
    return _structural(generated, generated["$defs"])


def _structural(schema: Schema, parts: Mapping[str, Schema]) -> Schema:
    """Convert a schema. `parts` are the definitions that it may refer to: those that it is not a part of."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in parts:  # a part that contains itself: no structural schema can describe it
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        return _structural({**parts[name], **_without(schema, {"$ref"})}, _without(parts, {name}))
    if "anyOf" in schema:
        (non_null,) = (each for each in schema["anyOf"] if each != {"type": "null"})
        return _structural({**non_null, **_without(schema, {"anyOf"}), "nullable": True}, parts)
    structural = {key: _value(key, value, parts) for key, value in schema.items() if _is_kept(key, value)}
    if "enum" in structural:
        structural["type"] = "string"  # the kinds have only string constants
    if structural["type"] == "object" and not structural.keys() & {"properties", "additionalProperties"}:
        structural["x-kubernetes-preserve-unknown-fields"] = True
    return structural


def _value(key: str, value: Any, parts: Mapping[str, Schema]) -> Any:  # noqa: ANN401 - JSON
    if key == "properties":
        return {name: _structural(each, parts) for name, each in value.items()}
    if key in _SUBSCHEMAS:
        return _structural(value, parts)
    return value.replace(r"\Z", "$") if key == "pattern" else value


def _is_kept(key: str, value: object) -> bool:
    if key in _SUBSCHEMAS:
        return value not in ({}, False)  # {} allows every value, False allows no other field
    if key in {"default", "required"}:
        return value not in (None, [])
    return key not in _NOT_STRUCTURAL


def _without(schema: Mapping[str, Any], keys: set[str]) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}
