"""The conversion of an OpenAPI 3.1 document to an APIDefinition of the same paths. Pure.

An APIDefinition has the format of OpenAPI 3.0 and no responses, so only the requests are kept. If OpenAPI 3.0 cannot
express a schema of 3.1, the schema of the APIDefinition allows more values.
"""

from collections.abc import Mapping
from typing import Any, Final

from knative.resources.documents import dump_yaml

_PARAMETER: Final = ("name", "in", "description", "required", "schema")


def render(document: Mapping[str, Any]) -> str:
    """Return the APIDefinition as the text of a manifest."""
    return dump_yaml([definition(document)])


def definition(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the APIDefinition. Its name is the title of the document."""
    paths = {
        path: {method: _operation(operation) for method, operation in methods.items()}
        for path, methods in document["paths"].items()
    }
    metadata = {"name": document["info"]["title"]}
    return {"apiVersion": "api.example.com/v1", "kind": "APIDefinition", "metadata": metadata, "spec": {"paths": paths}}


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    kept = {word: operation[word] for word in ("summary", "description") if word in operation}
    if "parameters" in operation:
        kept["parameters"] = [_parameter(each) for each in operation["parameters"]]
    if "requestBody" in operation:
        body = operation["requestBody"]
        content = {media: {"schema": schema(each.get("schema", {}))} for media, each in body["content"].items()}
        kept["requestBody"] = {"required": body.get("required", False), "content": content}
    return kept


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    kept = {word: parameter[word] for word in _PARAMETER if word in parameter}
    return {**kept, "schema": schema(parameter["schema"])}


def schema(new: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a schema to OpenAPI 3.0.3 ("Schema Object")."""
    old = {word: _value(word, value) for word, value in new.items() if word not in {"const", "type", "propertyNames"}}
    if "const" in new:
        old["enum"] = [new["const"]]
    types = new.get("type", [])
    if isinstance(types, str):
        return {"type": types, **old}
    non_null = [each for each in types if each != "null"]
    if "null" in types:
        old["nullable"] = True
    if len(non_null) == 1:
        return {"type": non_null[0], **old}
    # Several types: the other keywords stay beside anyOf, as each keyword applies only to values of its own type.
    return {**old, "anyOf": [schema({"type": each}) for each in non_null]} if non_null else old


def _value(word: str, value: Any) -> Any:  # noqa: ANN401 - the value of any keyword
    if word in {"items", "additionalProperties", "not"} and isinstance(value, Mapping):
        return schema(value)
    if word == "properties":
        return {name: schema(each) for name, each in value.items()}
    if word in {"allOf", "anyOf", "oneOf"}:
        return [schema(each) for each in value]
    return value
