"""Builds the OpenAPI document from routes and models. Pure.

A route with a model in its pattern is described once for each model, so each schema matches the model's signature.
OpenAPI cannot describe a pattern that ends in `{name...}`. Such a route is omitted: its handler has a route without it.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from runtime.frontends.openapi.operations import JSON, TEXT, VERSION, Description, Model, Operation, Subject, in_path

_MODEL: Final = "{model}"
_PARAMETER: Final = re.compile(r"\{([^{}]*)\}")
_REST: Final = "...}"
_ANY: Final = "*"
_KEY: Final = "key"  # a token in the Authorization header
_TITLE: Final = "ml-inference-api"


class Described(NamedTuple):
    """A route, with the fields that its description needs."""

    protocol: str
    method: str
    pattern: str
    key: str  # of the operation in the protocol's `Description`
    ignore_case: bool = False  # the pattern's text is matched case-insensitively


def description(protocol: str) -> Description:
    """Import the protocol's module, and return its description."""
    module = import_module(f"runtime.frontends.openapi.{protocol.replace('.', '_')}")
    found: Description = module.DESCRIPTION
    return found


def document(models: Sequence[Model], routes: Sequence[Described], *, version: str) -> dict[str, Any]:
    """Return the OpenAPI document. For a model that is not loaded, the schemas are the general ones of each protocol.

    Raises `KeyError` for a route that its protocol does not describe.
    """
    protocols = {protocol: description(protocol) for protocol in dict.fromkeys(route.protocol for route in routes)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        described = protocols[route.protocol]
        for path, subject in _subjects(route, models, protocols):
            operation = described.operations[route.key](subject)
            method = operation.method if route.method == _ANY else route.method.lower()
            paths.setdefault(path, {})[method] = _render(operation, route, subject, described)
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": version},
        "tags": [{"name": each.tag, "description": each.text} for each in protocols.values()],
        "paths": paths,
        "components": {
            "schemas": {_error_name(name): each.error for name, each in protocols.items()},
            "securitySchemes": {_KEY: {"type": "http", "scheme": "bearer"}},
        },
    }


def _subjects(route: Described, models: Sequence[Model], protocols: Collection[str]) -> Iterator[tuple[str, Subject]]:
    """Yield the paths of a pattern, one for each model, and the subject of each."""
    pattern = route.pattern
    if pattern.endswith(_REST):
        return
    parameters = [name for name in _PARAMETER.findall(pattern) if name != _MODEL.strip("{}")]
    if _MODEL not in pattern:
        yield pattern, Subject(models, None, parameters, protocols)
        return
    for model in models:
        # A name is one segment of the path, so it is percent-encoded (RFC 3986, section 2.1).
        yield pattern.replace(_MODEL, quote(model.name, safe="")), Subject(models, model, parameters, protocols)


def _render(operation: Operation, route: Described, subject: Subject, described: Description) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "tags": [described.tag],
        "summary": operation.summary,
        "operationId": _operation_id(route, subject),
    }
    if operation.description:
        rendered["description"] = operation.description
    if parameters := _parameters(operation, subject):
        rendered["parameters"] = parameters
    if operation.secured:
        rendered["security"] = [{_KEY: []}]
    if operation.body:
        rendered["requestBody"] = operation.body
    error = {"schema": {"$ref": f"#/components/schemas/{_error_name(route.protocol)}"}}
    errors = {status: {"description": text, "content": {JSON: error}} for status, text in operation.errors.items()}
    return {**rendered, "responses": {**operation.answers, **errors}}


def _parameters(operation: Operation, subject: Subject) -> list[dict[str, Any]]:
    """Return the parameters that the operation describes, and the other parameters of the path."""
    described = list(operation.parameters)
    names = {each["name"] for each in described}
    others = [name for name in subject.parameters if name not in names]
    return [*described, *(_version(subject.model) if name == VERSION else in_path(name, TEXT) for name in others)]


def _version(model: Model | None) -> dict[str, Any]:
    versions = [version for version in (model.signatures if model else ()) if version]
    if not versions:
        return in_path(VERSION, TEXT)
    default = model.default if model and model.default in versions else versions[0]
    return in_path(VERSION, {"type": "string", "enum": versions}, default)


def _operation_id(route: Described, subject: Subject) -> str:
    """Return a unique ID: the method and the pattern, which contain no dot, and the model."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", route.pattern.replace(_MODEL, "")).strip("_")
    method = "any" if route.method == _ANY else route.method.lower()
    return ".".join(filter(None, [f"{method}_{words}", subject.name]))


def _error_name(protocol: str) -> str:
    return f"{protocol}.Error"
