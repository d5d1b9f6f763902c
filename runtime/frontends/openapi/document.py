"""Routes and models to the OpenAPI document. Pure.

A route whose pattern names a model is described once for each model, so that each schema is that of its signature. A
pattern that ends in the rest of a path has no form in OpenAPI: its handler is described under the pattern without it.
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
    """A route, as far as its description needs it."""

    protocol: str
    method: str
    pattern: str
    key: str  # of the operation in the protocol's `Description`
    any_case: bool = False  # the pattern's text is matched without regard to case


def description(protocol: str) -> Description:
    """What the protocol's module says of its routes."""
    module = import_module(f"runtime.frontends.openapi.{protocol.replace('.', '_')}")
    found: Description = module.DESCRIPTION
    return found


def document(models: Sequence[Model], routes: Sequence[Described], *, version: str) -> dict[str, Any]:
    """The OpenAPI document; a model that is not loaded takes what the general form of each protocol allows.

    Raises `KeyError` for a route that its protocol does not describe.
    """
    protocols = {protocol: description(protocol) for protocol in dict.fromkeys(route.protocol for route in routes)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        described = protocols[route.protocol]
        for path, subject in _subjects(route, models, protocols):
            operation = described.operations[route.key](subject)
            method = operation.method if route.method == _ANY else route.method.lower()
            paths.setdefault(path, {})[method] = _rendered(operation, route, subject, described)
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
    """The paths that a pattern has, and what each is about."""
    pattern = route.pattern
    if pattern.endswith(_REST):
        return
    parameters = [name for name in _PARAMETER.findall(pattern) if name != _MODEL.strip("{}")]
    if _MODEL not in pattern:
        yield pattern, Subject(models, None, parameters, protocols)
        return
    for model in models:
        # A name is one segment of the path, whatever it holds (RFC 3986, section 2.1).
        yield pattern.replace(_MODEL, quote(model.name, safe="")), Subject(models, model, parameters, protocols)


def _rendered(operation: Operation, route: Described, subject: Subject, described: Description) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tags": [described.tag],
        "summary": operation.summary,
        "operationId": _operation_id(route, subject),
    }
    if operation.description:
        found["description"] = operation.description
    if parameters := _parameters(operation, subject):
        found["parameters"] = parameters
    if operation.secured:
        found["security"] = [{_KEY: []}]
    if operation.body:
        found["requestBody"] = operation.body
    error = {"schema": {"$ref": f"#/components/schemas/{_error_name(route.protocol)}"}}
    errors = {status: {"description": text, "content": {JSON: error}} for status, text in operation.errors.items()}
    return {**found, "responses": {**operation.answers, **errors}}


def _parameters(operation: Operation, subject: Subject) -> list[dict[str, Any]]:
    """The operation's own parameters, and those of the path that it does not describe."""
    own = list(operation.parameters)
    named = {each["name"] for each in own}
    others = [name for name in subject.parameters if name not in named]
    return [*own, *(_version(subject.model) if name == VERSION else in_path(name, TEXT) for name in others)]


def _version(model: Model | None) -> dict[str, Any]:
    versions = [version for version in (model.signatures if model else ()) if version]
    if not versions:
        return in_path(VERSION, TEXT)
    default = model.default if model and model.default in versions else versions[0]
    return in_path(VERSION, {"type": "string", "enum": versions}, default)


def _operation_id(route: Described, subject: Subject) -> str:
    """Unique: the method and the pattern, which hold no dot, and the model."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", route.pattern.replace(_MODEL, "")).strip("_")
    method = "any" if route.method == _ANY else route.method.lower()
    return ".".join(filter(None, [f"{method}_{words}", subject.name]))


def _error_name(protocol: str) -> str:
    return f"{protocol}.Error"
