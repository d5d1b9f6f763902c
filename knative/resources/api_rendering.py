"""An OpenAPI 3.1 document to the APIDefinition of the same paths. Pure.

An APIDefinition has the words of OpenAPI 3.0 and no answers, so what a request may be is all that is kept. Where 3.0
cannot say what a schema of 3.1 says, the schema of the APIDefinition allows more.
"""

from collections.abc import Mapping
from typing import Any, Final

from knative.resources.documents import text_of

_PARAMETER: Final = ("name", "in", "description", "required", "schema")


def rendered(document: Mapping[str, Any]) -> str:
    """The APIDefinition as the text of a manifest."""
    return text_of([definition(document)])


def definition(document: Mapping[str, Any]) -> dict[str, Any]:
    """The APIDefinition, named as the document is titled."""
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
    """A schema in the words of OpenAPI 3.0.3 ("Schema Object")."""
    old = {word: _value(word, value) for word, value in new.items() if word not in {"const", "type", "propertyNames"}}
    if "const" in new:
        old["enum"] = [new["const"]]
    types = new.get("type", [])
    if isinstance(types, str):
        return {"type": types, **old}
    named = [each for each in types if each != "null"]
    if "null" in types:
        old["nullable"] = True
    if len(named) == 1:
        return {"type": named[0], **old}
    # Several types: of what the schema says besides, each says what concerns it.
    return {**old, "anyOf": [schema({"type": each}) for each in named]} if named else old


def _value(word: str, value: Any) -> Any:  # noqa: ANN401 - any keyword's
    if word in {"items", "additionalProperties", "not"} and isinstance(value, Mapping):
        return schema(value)
    if word == "properties":
        return {name: schema(each) for name, each in value.items()}
    if word in {"allOf", "anyOf", "oneOf"}:
        return [schema(each) for each in value]
    return value
