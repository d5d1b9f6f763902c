r"""The schema of a kind as a cluster takes it: structural, in the subset of OpenAPI 3.0 that Kubernetes knows.

msgspec writes JSON Schema 2020-12. A structural schema has each type in place (no $ref), tells null by `nullable`, says
nothing of unknown fields (the API server sees to them by itself), and its patterns are Go's: `\Z` is `$` there.
See "Specifying a structural schema" in the documentation of Kubernetes.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]

_BELOW = ("items", "additionalProperties")
_NOT_STRUCTURAL = frozenset({"$ref", "$defs", "anyOf", "title"})


def structural_schema(kind: type[msgspec.Struct]) -> Schema:
    """Write the structural schema of a kind, or of a part of one."""
    written = msgspec.json.schema(kind)
    return _structural(written, written["$defs"])


def _structural(schema: Schema, parts: Mapping[str, Schema]) -> Schema:
    if "$ref" in schema:
        return _structural({**parts[schema["$ref"].rpartition("/")[2]], **_without(schema, {"$ref"})}, parts)
    if "anyOf" in schema:
        (given,) = (each for each in schema["anyOf"] if each != {"type": "null"})
        return _structural({**given, **_without(schema, {"anyOf"}), "nullable": True}, parts)
    made = {key: _value(key, value, parts) for key, value in schema.items() if _stays(key, value)}
    if "enum" in made:
        made["type"] = "string"  # the kinds know no other constants
    if made["type"] == "object" and not made.keys() & {"properties", "additionalProperties"}:
        made["x-kubernetes-preserve-unknown-fields"] = True
    return made


def _value(key: str, value: Any, parts: Mapping[str, Schema]) -> Any:  # noqa: ANN401 - JSON
    if key == "properties":
        return {name: _structural(each, parts) for name, each in value.items()}
    if key in _BELOW:
        return _structural(value, parts)
    return value.replace(r"\Z", "$") if key == "pattern" else value


def _stays(key: str, value: object) -> bool:
    if key in _BELOW:
        return value not in ({}, False)  # anything goes, or nothing else does
    if key in {"default", "required"}:
        return value not in (None, [])
    return key not in _NOT_STRUCTURAL


def _without(schema: Schema, keys: set[str]) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}
