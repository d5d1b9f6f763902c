"""The route table: which handler answers a request, by its content type or its path. Pure.

A pattern is a path such as `/api/v1/models/{model}/predict`. A parameter is one path segment or a part of one; the last
segment may be `{name...}`, which takes all segments that are left, one or more. A path seen lately costs a look-up in a
dictionary.

Routes of two protocols never fit one path. Of several patterns of one protocol the most specific one takes the path,
whatever the method: from the left, text goes before a parameter with text, that before a parameter alone, that before
the rest of a path.

Generic routes are asked last: for a path that no other route fits and that no protocol owns.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

from runtime.errors import MethodNotAllowed, ScalezeroError
from runtime.http.messages import Answer, Request

ANY: Final = "*"  # as a route's method: every one that the pattern's other routes do not name
_REMEMBERED: Final = 256  # paths; they come from clients, so their number must be bounded


class Owner(NamedTuple):
    """The protocol that a path or a content type belongs to: it answers every error there, 404 and 405 included."""

    name: str
    prefixes: tuple[str, ...]  # of the paths that are its own, whether a route fits them or not
    refuse: Callable[[ScalezeroError], Answer]
    any_case: bool = False  # the text of its prefixes and patterns is matched without regard to case


class Route(NamedTuple):
    """One pattern and method, and what answers there."""

    pattern: str
    method: str  # or `ANY`
    protocol: Owner
    handler: Any  # what `frontends.application` calls; opaque here


class ContentRoute(NamedTuple):
    """Requests of these content types, over these versions of HTTP, belong to one protocol, wherever their paths lead.

    Content types are in lower case and without parameters, as gRPC's clients send them.
    """

    content_types: tuple[bytes, ...]
    versions: frozenset[str]
    protocol: Owner
    handler: Any  # as in `Route`; its `admit` sees a request before the body comes, and says whether it is a stream
    owners: Mapping[str, Owner] = {}  # who answers errors instead, by the path without its last segment


class Match(NamedTuple):
    """The routes of a path by method, and the path's parameters."""

    routes: Mapping[str, Route]
    parameters: Mapping[str, str]
    generic: bool = False  # an author's function may answer the methods that none of these routes takes

    def takes(self, method: str) -> bool:
        """Whether one of these routes takes the method."""
        return self._route(method) is not None

    @property
    def protocol(self) -> Owner:
        """The owner of the path."""
        return next(iter(self.routes.values())).protocol

    def route(self, method: str, path: str) -> Route:
        """The method's route; HEAD is served as GET. Raises `MethodNotAllowed`."""
        found = self._route(method)
        if found is None:
            allowed = [*self.routes, *(["HEAD"] if "GET" in self.routes else [])]
            raise MethodNotAllowed(method, path, allowed)
        return found

    def _route(self, method: str) -> Route | None:
        routes = self.routes
        return routes.get(method) or (routes.get("GET") if method == "HEAD" else None) or routes.get(ANY)


class Routes:
    """All routes of a listener, and who owns the paths that none of them fits."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        default: Owner,
        by_content: Sequence[ContentRoute] = (),
        generic: Sequence[Route] = (),
    ) -> None:
        """Raises `ValueError` where two routes could answer one request: the order of a list must not decide."""
        self._patterns = _ordered(routes)
        self._generic = _ordered(generic)
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
        match = _first(self._patterns, parts)
        if match is None and self._generic and self.claimed(path) is None:
            match = _first(self._generic, parts)
            match = match and match._replace(generic=True)
        if match is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()  # so that no path keeps its place for good
            self._known[path] = match
        return match

    def replace(self, handlers: Mapping[Any, Any]) -> None:
        """Put other handlers in the place of those that are there; `handlers` maps the old ones to the new ones."""
        for pattern in (*self._patterns, *self._generic):
            for method, route in pattern.routes.items():
                if route.handler in handlers:
                    pattern.routes[method] = route._replace(handler=handlers[route.handler])

    def claimed(self, path: str) -> Owner | None:
        """The protocol below whose prefix the path is, or None."""
        return next((owner for prefix, owner in self._owners if _is_below(path, prefix, owner)), None)

    def by_content(self, request: Request) -> ContentRoute | None:
        """The route that the content type alone decides, before any path is looked at; None: the path decides."""
        kind = request.header(b"content-type")
        if kind is None or not kind.startswith(self._content_types):
            return None
        route = self._by_content.get((kind, request.version))  # most calls
        return route or self._by_content.get((kind.partition(b";")[0].rstrip(), request.version))

    def owner(self, request: Request) -> Owner:
        """Who answers an error of this request."""
        route = self.by_content(request)
        if route is not None:
            return route.owners.get(request.path.rpartition("/")[0], route.protocol)
        match = self.match(request.path)
        return match.protocol if match else self.claimed(request.path) or self._default


def _is_below(path: str, prefix: str, owner: Owner) -> bool:
    if owner.any_case:
        path = path.lower()
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


class _Segment(NamedTuple):
    """A part of a pattern between two slashes: text alone, or a parameter with text before and behind it."""

    before: str
    name: str | None
    behind: str
    rest: bool = False  # it takes all segments that are left

    @property
    def rank(self) -> tuple[int, int]:
        """Its place among others, the most specific first."""
        if self.name is None:
            return 0, 0
        return (2 if self.rest else 1), -len(self.before) - len(self.behind)


class _Pattern(NamedTuple):
    """A pattern taken apart, and its routes by method."""

    segments: tuple[_Segment, ...]
    routes: dict[str, Route]
    owner: Owner  # of the first of them

    @property
    def rank(self) -> list[tuple[int, int]]:
        """Its place among others, the most specific first."""
        return [segment.rank for segment in self.segments]


def _ordered(routes: Sequence[Route]) -> list[_Pattern]:
    """The patterns, the most specific first. Raises `ValueError` where two fit one path and neither goes first."""
    patterns: dict[tuple[str, bool], _Pattern] = {}
    for route in routes:
        owner = route.protocol
        new = _Pattern(_segments(route.pattern, any_case=owner.any_case), {}, owner)
        pattern = patterns.setdefault((route.pattern, owner.any_case), new)
        if route.method in pattern.routes:
            raise _overlapping(pattern.routes[route.method], route)
        pattern.routes[route.method] = route
    _check_order(patterns.values())
    return sorted(patterns.values(), key=lambda pattern: pattern.rank)


def _check_order(patterns: Iterable[_Pattern]) -> None:
    """Raise `ValueError` where two patterns fit one path and neither goes first.

    A cold start pays for it, and there are thousands of pairs: nearly all of them are told apart by their texts.
    """
    for (one, texts), (other, others) in combinations([(each, _texts(each)) for each in patterns], 2):
        for text, another in zip(texts, others):  # noqa: B905 - a rest takes what is longer
            if text != another and text is not None and another is not None:
                break
        else:
            undecided = one.owner.name != other.owner.name or one.rank == other.rank
            if undecided and _overlap(one, other):
                raise _overlapping(next(iter(one.routes.values())), next(iter(other.routes.values())))


def _texts(pattern: _Pattern) -> list[str | None]:
    """The text of each segment in lower case, None for a parameter."""
    return [None if segment.name is not None else segment.before.lower() for segment in pattern.segments]


def _overlapping(one: Route, other: Route) -> ValueError:
    return ValueError(
        f"{one.method} {one.pattern} ({one.protocol.name}) overlaps "
        f"{other.method} {other.pattern} ({other.protocol.name})"
    )


def _segments(pattern: str, *, any_case: bool) -> tuple[_Segment, ...]:
    return tuple(_segment(text, any_case=any_case) for text in pattern.split("/"))


def _segment(text: str, *, any_case: bool) -> _Segment:
    before, brace, rest = text.partition("{")
    name, _, behind = rest.partition("}")
    if any_case:
        before, behind = before.lower(), behind.lower()
    return _Segment(before, name.removesuffix("...") if brace else None, behind, rest=name.endswith("..."))


def _first(patterns: Sequence[_Pattern], parts: Sequence[str]) -> Match | None:
    for segments, routes, owner in patterns:
        if (parameters := _parameters(segments, parts, any_case=owner.any_case)) is not None:
            return Match(routes, parameters)
    return None


def _parameters(segments: Sequence[_Segment], parts: Sequence[str], *, any_case: bool) -> dict[str, str] | None:
    """The parameters of a path, or None where it does not fit. A parameter is one character or more, a rest any."""
    if segments[-1].rest and len(parts) >= len(segments):
        last = len(segments) - 1
        parameters = _parameters(segments[:last], parts[:last], any_case=any_case) if last else {}
        return None if parameters is None else {**parameters, str(segments[-1].name): "/".join(parts[last:])}
    if len(segments) != len(parts):
        return None
    parameters = {}
    for (before, name, behind, _), part in zip(segments, parts, strict=True):
        if name is None:
            if before != (part.lower() if any_case else part):
                return None
            continue
        end = len(part) - len(behind)
        starts, ends = part[: len(before)], part[end:]
        if any_case:
            starts, ends = starts.lower(), ends.lower()
        if end <= len(before) or starts != before or ends != behind:
            return None
        parameters[name] = part[len(before) : end]
    return parameters


def _overlap(one: _Pattern, other: _Pattern) -> bool:
    """Whether a path could fit both patterns."""
    if one.owner.any_case or other.owner.any_case:
        one, other = (each._replace(segments=tuple(map(_lowered, each.segments))) for each in (one, other))
    shorter, longer = sorted((one.segments, other.segments), key=len)
    if shorter[-1].rest:
        return all(map(_segments_overlap, shorter[:-1], longer))  # of any length: the rest takes what is longer
    if longer[-1].rest:
        return len(shorter) == len(longer) and all(map(_segments_overlap, shorter[:-1], longer[:-1]))
    return len(shorter) == len(longer) and all(map(_segments_overlap, shorter, longer))


def _lowered(segment: _Segment) -> _Segment:
    return segment._replace(before=segment.before.lower(), behind=segment.behind.lower())


def _segments_overlap(one: _Segment, other: _Segment) -> bool:
    """Whether a segment could fit both: parameters fit anything, the text before and behind them does not."""
    for text, pattern in ((one, other), (other, one)):
        if text.name is None:
            return _parameters([pattern], [text.before], any_case=False) is not None
    starts = one.before.startswith(other.before) or other.before.startswith(one.before)
    return starts and (one.behind.endswith(other.behind) or other.behind.endswith(one.behind))
