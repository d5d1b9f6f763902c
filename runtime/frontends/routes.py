"""The route table: which handler answers a request, by its content type or its path. Pure.

A path seen lately costs a look-up in a dictionary.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

from runtime.errors import MethodNotAllowed, ScalezeroError
from runtime.http.messages import Answer, Request

_REMEMBERED: Final = 256  # paths; they come from clients, so their number must be bounded


class Owner(NamedTuple):
    """The protocol that a path or a content type belongs to: it answers every error there, 404 and 405 included."""

    name: str
    prefixes: tuple[str, ...]  # of the paths that are its own, whether a route fits them or not
    refuse: Callable[[ScalezeroError], Answer]


class Route(NamedTuple):
    """`pattern` is a path such as `/api/v1/models/{model}/predict`; a parameter is one path segment."""

    pattern: str
    method: str
    protocol: Owner
    handler: Any  # what `frontends.application` calls; opaque here


class ContentRoute(NamedTuple):
    """Requests of these content types, over these versions of HTTP, belong to one protocol, wherever their paths lead.

    Content types are in lower case and without parameters, as gRPC's clients send them.
    """

    content_types: tuple[bytes, ...]
    versions: frozenset[str]
    protocol: Owner
    handler: Any  # as in `Route`; its `admit` sees a request before the body comes


class Match(NamedTuple):
    """The routes of a path by method, and the path's parameters."""

    routes: Mapping[str, Route]
    parameters: Mapping[str, str]

    @property
    def protocol(self) -> Owner:
        """The owner of the path."""
        return next(iter(self.routes.values())).protocol

    def route(self, method: str, path: str) -> Route:
        """The method's route; HEAD is served as GET. Raises `MethodNotAllowed`."""
        found = self.routes.get("GET" if method == "HEAD" else method)
        if found is None:
            allowed = [*self.routes, *(["HEAD"] if "GET" in self.routes else [])]
            raise MethodNotAllowed(method, path, allowed)
        return found


class Routes:
    """All routes of a process, and who owns the paths that none of them fits."""

    def __init__(self, routes: Sequence[Route], *, default: Owner, by_content: Sequence[ContentRoute] = ()) -> None:
        """Raises `ValueError` where two routes could answer one request: the order of a list must not decide."""
        patterns = {route.pattern: _segments(route.pattern) for route in routes}
        for one, other in combinations(routes, 2):
            if one.method == other.method and _overlap(patterns[one.pattern], patterns[other.pattern]):
                message = (
                    f"{one.method} {one.pattern} ({one.protocol.name}) overlaps {other.pattern} ({other.protocol.name})"
                )
                raise ValueError(message)
        self._patterns = [
            (segments, {route.method: route for route in routes if route.pattern == pattern})
            for pattern, segments in patterns.items()
        ]
        self._owners = sorted(
            {(prefix, route.protocol) for route in routes for prefix in route.protocol.prefixes},
            key=lambda pair: -len(pair[0]),
        )
        self._default = default
        self._by_content = {
            (kind, version): route for route in by_content for kind in route.content_types for version in route.versions
        }
        if len(self._by_content) < sum(len(each.content_types) * len(each.versions) for each in by_content):
            raise ValueError("two content routes have a content type and a version in common")
        self._content_types = tuple({kind for kind, _ in self._by_content})
        self._known: dict[str, Match] = {}

    def match(self, path: str) -> Match | None:
        """The path's routes, or None where no pattern fits."""
        known = self._known.get(path)
        if known is not None:
            return known
        parts = path.split("/")
        for segments, routes in self._patterns:
            if (parameters := _parameters(segments, parts)) is not None:
                match = Match(routes, parameters)
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()  # so that no path keeps its place for good
                self._known[path] = match
                return match
        return None

    def claimed(self, path: str) -> Owner | None:
        """The protocol below whose prefix the path is, or None."""
        return next((owner for prefix, owner in self._owners if _is_below(path, prefix)), None)

    def by_content(self, request: Request) -> ContentRoute | None:
        """The route that the content type alone decides, before any path is looked at; None: the path decides."""
        kind = request.header(b"content-type")
        if kind is None or not kind.startswith(self._content_types):
            return None
        return self._by_content.get((kind.partition(b";")[0].rstrip(), request.version))

    def owner(self, request: Request) -> Owner:
        """Who answers an error of this request."""
        route = self.by_content(request)
        if route is not None:
            return route.protocol
        match = self.match(request.path)
        return match.protocol if match else self.claimed(request.path) or self._default


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


class _Segment(NamedTuple):
    """A part of a pattern between two slashes: text alone, or a parameter with text before and behind it."""

    before: str
    name: str | None
    behind: str


def _segments(pattern: str) -> list[_Segment]:
    segments = []
    for text in pattern.split("/"):
        before, brace, rest = text.partition("{")
        name, _, behind = rest.partition("}")
        segments.append(_Segment(before, name if brace else None, behind))
    return segments


def _parameters(segments: Sequence[_Segment], parts: Sequence[str]) -> dict[str, str] | None:
    """The parameters of a path, or None where it does not fit. A parameter is one character or more."""
    if len(segments) != len(parts):
        return None
    parameters = {}
    for (before, name, behind), part in zip(segments, parts, strict=True):
        if name is None:
            if part != before:
                return None
        elif len(part) > len(before) + len(behind) and part.startswith(before) and part.endswith(behind):
            parameters[name] = part[len(before) : len(part) - len(behind)]
        else:
            return None
    return parameters


def _overlap(one: Sequence[_Segment], other: Sequence[_Segment]) -> bool:
    """Whether a path could fit both patterns."""
    return len(one) == len(other) and all(map(_segments_overlap, one, other))


def _segments_overlap(one: _Segment, other: _Segment) -> bool:
    """Whether a segment could fit both: parameters fit anything, the text before and behind them does not."""
    for text, pattern in ((one, other), (other, one)):
        if text.name is None:
            return _parameters([pattern], [text.before]) is not None
    starts = one.before.startswith(other.before) or other.before.startswith(one.before)
    return starts and (one.behind.endswith(other.behind) or other.behind.endswith(one.behind))
