"""Whether the function answers what an APIDefinition promises: its paths, its methods and what a request may be.

No model is opened here, so a request is compared with the general form that its protocol allows.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from knative.checks.finding import Finding, came, error
from knative.checks.schemas import contradiction
from knative.checks.subject import Subject
from knative.resources.api_definition import APIDefinition, RequestBody
from runtime.errors import BadSetting
from runtime.frontends import catalogue
from runtime.frontends.openapi import operations
from runtime.frontends.openapi.document import Described, description
from runtime.frontends.openapi.listing import listed, prefixes

API_PATH_NOT_SERVED: Final = error(
    "api-path-not-served", "A client that follows the APIDefinition would get 404 or 405."
)
API_SCHEMA_NOT_SERVED: Final = error("api-schema-not-served", "A client that follows the APIDefinition would get 400.")
PROTOCOL_UNKNOWN: Final = error("protocol-unknown", "A pod does not start with an unknown protocol name.")

RULES: Final = (API_PATH_NOT_SERVED, API_SCHEMA_NOT_SERVED, PROTOCOL_UNKNOWN)


class _Api(NamedTuple):
    """What the function answers."""

    routes: Sequence[Described]
    owned: Sequence[str]  # prefixes of paths that are never the author's
    models: Sequence[str]
    handler: bool  # an author's function answers every other path


def check(subject: Subject) -> Iterator[Finding]:
    """Hold each APIDefinition against the routes of the function."""
    runtime = subject.options.runtime
    handler = subject.handler is not None or runtime.function_source is not None
    try:
        protocols, generic = catalogue.mounted(runtime, function=handler)
    except BadSetting as fault:
        where = subject.place_of_variable("SCALEZERO_PROTOCOLS")
        yield PROTOCOL_UNKNOWN.found(came(fault), fix=f"use {fault.details['allowed']}", where=where)
        return
    routes = list(listed(protocols, generic))
    api = _Api(routes, prefixes(protocols, generic), sorted(subject.resources.models), handler)
    for promised in subject.resources.api_definitions:
        yield from _definition(subject, promised, api)


def _definition(subject: Subject, promised: APIDefinition, api: _Api) -> Iterator[Finding]:
    for path, item in promised.spec.paths.items():
        fitting = [(route, named) for route in api.routes if (named := _model(route, path)) is not None]
        if not fitting:
            yield from _unserved(subject, promised, path, api)
            continue
        models = {named for _, named in fitting if named and not named.startswith("{")}
        if models and api.models and models.isdisjoint(api.models):
            what = f"{path}: the function serves {', '.join(api.models)}, and no model {', '.join(sorted(models))}"
            where = subject.place(promised, "spec", "paths", path)
            yield API_PATH_NOT_SERVED.found(what, fix=f"the name {api.models[0]}, or {{model}}", where=where)
            continue
        for method, operation in item.operations():
            where = subject.place(promised, "spec", "paths", path, method)
            yield from _operation((path, method), operation.request_body, [route for route, _ in fitting], where)


def _unserved(subject: Subject, promised: APIDefinition, path: str, api: _Api) -> Iterator[Finding]:
    owned = any(path == prefix or path.startswith(f"{prefix}/") for prefix in api.owned)
    if api.handler and not owned:
        return  # whether the author's function answers it, its code alone knows
    patterns = list(dict.fromkeys(route.pattern for route in api.routes))
    nearest = difflib.get_close_matches(path, patterns, 1, 0.5)
    what = f"{path}: the function answers no such path"
    fix = f"{nearest[0]}, or take the path out" if nearest else "a path of /openapi.json, or take it out"
    yield API_PATH_NOT_SERVED.found(what, fix=fix, where=subject.place(promised, "spec", "paths", path))


def _model(route: Described, path: str) -> str | None:
    """The model that the path names as the route reads it, "" where it names none; None: the route does not fit."""
    pattern = re.sub(r"\\\{(\w+)(?:\\\.){3}\\\}", r"(?P<\1>.+)", re.escape(route.pattern))
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
    found = re.fullmatch(pattern, path, re.IGNORECASE if route.any_case else 0)
    return None if found is None else unquote(found.groupdict().get("model", ""))


def _operation(
    place: tuple[str, str], body: RequestBody | None, routes: Sequence[Described], where: str | None
) -> Iterator[Finding]:
    path, method = place
    answered = {route.method.lower() for route in routes}
    if not answered & {method, "*"} and not (method == "head" and "get" in answered):
        what = f"{method.upper()} {path}: the function answers {', '.join(sorted(answered)).upper()} there"
        yield API_PATH_NOT_SERVED.found(what, fix="one of these methods", where=where)
        return
    if body is None:
        return
    said = [_body(body, route) for route in routes if route.method.lower() in {method, "*"}]
    if said and all(said):  # where two protocols share a path, one of them is enough
        fix = "the schema of /openapi.json (scalezero openapi prints it)"
        yield API_SCHEMA_NOT_SERVED.found(f"{method.upper()} {path}: {said[0]}", fix=fix, where=where)


def _body(body: RequestBody, route: Described) -> str | None:
    """How the body contradicts what the route takes."""
    operation = description(route.protocol).operations[route.key](operations.Subject((), operations.Model("", {})))
    taken = (operation.body or {}).get("content", {})
    for media, promised in body.content.items():
        if not media.partition(";")[0].endswith("json"):
            continue  # bytes, forms: no schema says what they hold
        if said := contradiction(promised.schema, taken.get(operations.JSON, {}).get("schema", {})):
            return said
    return None
