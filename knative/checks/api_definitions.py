"""Rules that the function serves what an APIDefinition declares: its paths, its methods and its request bodies.

No model is opened here, so a request body is compared with the general schema of its protocol.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from knative.checks.finding import Finding, error, problem
from knative.checks.schemas import contradiction
from knative.checks.subject import Subject
from knative.function.guests import guest_uris
from knative.resources.api_definition import APIDefinition, RequestBody
from runtime.errors import BadSetting
from runtime.frontends import catalogue
from runtime.frontends.openapi import operations
from runtime.frontends.openapi.document import Described, description
from runtime.frontends.openapi.listing import list_routes, prefixes

API_PATH_NOT_SERVED: Final = error(
    "api-path-not-served", "A client that follows the APIDefinition would get 404 or 405."
)
API_SCHEMA_NOT_SERVED: Final = error("api-schema-not-served", "A client that follows the APIDefinition would get 400.")
PROTOCOL_UNKNOWN: Final = error("protocol-unknown", "A pod does not start with an unknown protocol name.")

RULES: Final = (API_PATH_NOT_SERVED, API_SCHEMA_NOT_SERVED, PROTOCOL_UNKNOWN)


class _Api(NamedTuple):
    """The API that the function serves."""

    routes: Sequence[Described]
    owned: Sequence[str]  # prefixes of paths that an author's function cannot serve
    models: Sequence[str]
    handler: bool  # whether an author's function serves all other paths


def check(subject: Subject) -> Iterator[Finding]:
    """Compare each APIDefinition with the routes of the function."""
    runtime = subject.options.runtime
    handler = subject.handler is not None or runtime.has_function or bool(guest_uris(subject.resources))
    try:
        protocols, generic = catalogue.mounted(runtime, function=handler)
    except BadSetting as fault:
        where = subject.place_of_variable("SCALEZERO_PROTOCOLS")
        yield PROTOCOL_UNKNOWN.finding(problem(fault), fix=f"use {fault.details['allowed']}", where=where)
        return
    routes = list(list_routes(protocols, generic))
    api = _Api(routes, prefixes(protocols, generic), sorted(subject.resources.models), handler)
    for definition in subject.resources.api_definitions:
        yield from _definition(subject, definition, api)


def _definition(subject: Subject, definition: APIDefinition, api: _Api) -> Iterator[Finding]:
    for path, item in definition.spec.paths.items():
        matching = [(route, named) for route in api.routes if (named := _model(route, path)) is not None]
        if not matching:
            yield from _unserved(subject, definition, path, api)
            continue
        models = {named for _, named in matching if named and not named.startswith("{")}
        if models and api.models and models.isdisjoint(api.models):
            what = f"{path}: the function serves {', '.join(api.models)}, but not {', '.join(sorted(models))}"
            where = subject.place(definition, "spec", "paths", path)
            yield API_PATH_NOT_SERVED.finding(what, fix=f"use the name {api.models[0]}, or {{model}}", where=where)
            continue
        for method, operation in item.operations():
            where = subject.place(definition, "spec", "paths", path, method)
            yield from _operation((path, method), operation.request_body, [route for route, _ in matching], where)


def _unserved(subject: Subject, definition: APIDefinition, path: str, api: _Api) -> Iterator[Finding]:
    owned = any(path == prefix or path.startswith(f"{prefix}/") for prefix in api.owned)
    if api.handler and not owned:
        return  # the author's function may serve it; only its code shows that
    patterns = list(dict.fromkeys(route.pattern for route in api.routes))
    similar = difflib.get_close_matches(path, patterns, 1, 0.5)
    what = f"{path}: the function does not serve this path"
    fix = f"use {similar[0]}, or remove the path" if similar else "use a path of /openapi.json, or remove the path"
    yield API_PATH_NOT_SERVED.finding(what, fix=fix, where=subject.place(definition, "spec", "paths", path))


def _model(route: Described, path: str) -> str | None:
    """Return the model in the path, "" if the route has none, or None if the route does not match."""
    pattern = re.sub(r"\\\{(\w+)(?:\\\.){3}\\\}", r"(?P<\1>.+)", re.escape(route.pattern))
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
    found = re.fullmatch(pattern, path, re.IGNORECASE if route.ignore_case else 0)
    return None if found is None else unquote(found.groupdict().get("model", ""))


def _operation(
    place: tuple[str, str], body: RequestBody | None, routes: Sequence[Described], where: str | None
) -> Iterator[Finding]:
    path, method = place
    served = {route.method.lower() for route in routes}
    if not served & {method, "*"} and not (method == "head" and "get" in served):
        what = f"{method.upper()} {path}: the function serves only {', '.join(sorted(served)).upper()} there"
        yield API_PATH_NOT_SERVED.finding(what, fix="use one of these methods", where=where)
        return
    if body is None:
        return
    conflicts = [_body(body, route) for route in routes if route.method.lower() in {method, "*"}]
    if conflicts and all(conflicts):  # if two protocols share a path, one that accepts the body is enough
        fix = "use the schema of /openapi.json (scalezero openapi prints it)"
        yield API_SCHEMA_NOT_SERVED.finding(f"{method.upper()} {path}: {conflicts[0]}", fix=fix, where=where)


def _body(body: RequestBody, route: Described) -> str | None:
    """Describe how the body contradicts the schema of the route, or return None."""
    operation = description(route.protocol).operations[route.key](operations.Subject((), operations.Model("", {})))
    accepted = (operation.body or {}).get("content", {})
    for media, declared in body.content.items():
        if not media.partition(";")[0].endswith("json"):
            continue  # bytes and forms have no schema of their content
        if conflict := contradiction(declared.schema, accepted.get(operations.JSON, {}).get("schema", {})):
            return conflict
    return None
