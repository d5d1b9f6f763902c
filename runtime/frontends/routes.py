"""The route table: selects the handler of a request by its content type or its path. Pure.

A pattern is a path such as `/api/v1/models/{model}/predict`. A parameter is one path segment or a part of one. The last
segment may be `{name...}`, which matches one or more remaining segments. Recently matched paths are cached.

Routes of two protocols never match the same path. If several patterns of one protocol match a path, the most specific
pattern is used, whatever the method. Patterns are compared from the left: text is more specific than a parameter with
text, which is more specific than a parameter without text, which is more specific than `{name...}`.

Generic routes have the lowest priority: they match only a path that no other route matches and that no protocol owns.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple, TypeAlias

from runtime.errors import MethodNotAllowed, ScalezeroError
from runtime.frontends.events.recognizing import is_event
from runtime.http.messages import Answer, Request

ANY: Final = "*"  # as a route's method: every method that the pattern's other routes do not name
_CACHE_SIZE: Final = 256  # paths; they are sent by clients, so their number must be bounded


class Owner(NamedTuple):
    """The protocol that owns a path or a content type. It answers every error there, including 404 and 405."""

    name: str
    prefixes: tuple[str, ...]  # it owns all paths below them, also those that no route matches
    refuse: Callable[[ScalezeroError], Answer]
    ignore_case: bool = False  # the text of its prefixes and patterns is matched case-insensitively


class Route(NamedTuple):
    """One pattern and method, with their owner and handler."""

    pattern: str
    method: str  # or `ANY`
    protocol: Owner
    handler: Any  # called by `frontends.application`; opaque here


class ContentRoute(NamedTuple):
    """The route of all requests with these content types and HTTP versions, whatever their paths.

    Content types are in lower case and without parameters, as gRPC's clients send them.
    """

    content_types: tuple[bytes, ...]
    versions: frozenset[str]
    protocol: Owner
    handler: Any  # as in `Route`; its `admit` checks a request before its body arrives, and returns whether it streams
    owners: Mapping[str, Owner] = {}  # the owners that answer errors instead, by the path without its last segment
    for_events: bool = False  # the route of the events that are posted to a path: see `Routes`


class Match(NamedTuple):
    """The routes of a path by method, and the path's parameters."""

    routes: Mapping[str, Route]
    parameters: Mapping[str, str]
    generic: bool = False  # the author's function may answer the methods that these routes do not allow

    def allows(self, method: str) -> bool:
        """Return whether one of these routes allows the method."""
        return self._route(method) is not None

    @property
    def protocol(self) -> Owner:
        """The owner of the path."""
        return next(iter(self.routes.values())).protocol

    def route(self, method: str, path: str) -> Route:
        """Return the route of the method; HEAD uses the route of GET. Raises `MethodNotAllowed`."""
        found = self.routes.get(method) or self._route(method)
        if found is None:
            allowed = [*self.routes, *(["HEAD"] if "GET" in self.routes else [])]
            raise MethodNotAllowed(method, path, allowed)
        return found

    def _route(self, method: str) -> Route | None:
        routes = self.routes
        return routes.get(method) or (routes.get("GET") if method == "HEAD" else None) or routes.get(ANY)


Found: TypeAlias = tuple[ContentRoute | None, Match | None]  # the route by content, or else the routes of the path


class Routes:
    """All routes of a listener, and the owners of the paths that no route matches."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        default: Owner,
        by_content: Sequence[ContentRoute] = (),
        generic: Sequence[Route] = (),
        events: Sequence[Route] = (),
    ) -> None:
        """Create the table; `events` get only the events that are sent to their paths (see `is_event`).

        Raises `ValueError` if two routes could match the same request: the order of a list must not decide.
        """
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
        self._for_events = {each.pattern: (each.method, _event_route(each)) for each in events}
        self._cache: dict[str, Match] = {}
        self._memo_key = object()  # in `Request.memo`; another one after `replace`

    def find(self, request: Request) -> "Found":
        """Return the result of `by_content` and, if that is None, of `match`. Requests with the same memo share it."""
        memo = None if request.varying else request.memo  # a header that varies can make a request an event
        found: Found | None = None if memo is None else memo.get(self._memo_key)
        if found is None:
            route = self.by_content(request)
            found = (route, None if route else self.match(request.path))
            if memo is not None:
                memo[self._memo_key] = found
        return found

    def match(self, path: str) -> Match | None:
        """Return the routes of a path, or None if no pattern matches."""
        cached = self._cache.get(path)
        if cached is not None:
            return cached
        parts = path.split("/")
        match = _first_match(self._patterns, parts)
        if match is None and self._generic and self.prefix_owner(path) is None:
            match = _first_match(self._generic, parts)
            match = match and match._replace(generic=True)
        if match is not None:
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()  # so that unused paths do not stay forever
            self._cache[path] = match
        return match

    def replace(self, handlers: Mapping[Any, Any]) -> None:
        """Replace handlers; `handlers` maps the old ones to the new ones."""
        self._memo_key = object()
        for pattern in (*self._patterns, *self._generic):
            for method, route in pattern.routes.items():
                if route.handler in handlers:
                    pattern.routes[method] = route._replace(handler=handlers[route.handler])
        for path, (method, event_route) in self._for_events.items():
            if event_route.handler in handlers:
                self._for_events[path] = method, event_route._replace(handler=handlers[event_route.handler])

    def prefix_owner(self, path: str) -> Owner | None:
        """Return the protocol that owns the path by a prefix, or None."""
        return next((owner for prefix, owner in self._owners if _is_below(path, prefix, owner)), None)

    def by_content(self, request: Request) -> ContentRoute | None:
        """Return the route that the content type or an event selects; None: the path selects the route."""
        for_events = self._for_events.get(request.path)
        if for_events is not None and request.method == for_events[0] and is_event(request):
            return for_events[1]
        kind = request.header(b"content-type")
        if kind is None or not kind.startswith(self._content_types):
            return None
        route = self._by_content.get((kind, request.version))  # fast path: most calls send no parameters
        return route or self._by_content.get((kind.partition(b";")[0].rstrip(), request.version))

    def owner(self, request: Request) -> Owner:
        """Return the owner that answers an error of this request."""
        route = self.by_content(request)
        if route is not None:
            return route.owners.get(request.path.rpartition("/")[0], route.protocol)
        match = self.match(request.path)
        return match.protocol if match else self.prefix_owner(request.path) or self._default


def _event_route(route: Route) -> ContentRoute:
    return ContentRoute((), frozenset(), route.protocol, route.handler, for_events=True)


def _is_below(path: str, prefix: str, owner: Owner) -> bool:
    if owner.ignore_case:
        path = path.lower()
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


class _Segment(NamedTuple):
    """A part of a pattern between two slashes: only text, or a parameter with optional text before and after it."""

    before: str
    name: str | None
    after: str
    rest: bool = False  # it matches all remaining segments

    @property
    def rank(self) -> tuple[int, int]:
        """The sort key, the most specific first."""
        if self.name is None:
            return 0, 0
        return (2 if self.rest else 1), -len(self.before) - len(self.after)


class _Pattern(NamedTuple):
    """A parsed pattern, and its routes by method."""

    segments: tuple[_Segment, ...]
    routes: dict[str, Route]
    owner: Owner  # of the first route

    @property
    def rank(self) -> list[tuple[int, int]]:
        """The sort key, the most specific first."""
        return [segment.rank for segment in self.segments]


def _ordered(routes: Sequence[Route]) -> list[_Pattern]:
    """Return the patterns, the most specific first. Raises `ValueError` as `_check_order` does."""
    patterns: dict[tuple[str, bool], _Pattern] = {}
    for route in routes:
        owner = route.protocol
        new = _Pattern(_segments(route.pattern, ignore_case=owner.ignore_case), {}, owner)
        pattern = patterns.setdefault((route.pattern, owner.ignore_case), new)
        if route.method in pattern.routes:
            raise _overlap_error(pattern.routes[route.method], route)
        pattern.routes[route.method] = route
    _check_order(patterns.values())
    return sorted(patterns.values(), key=lambda pattern: pattern.rank)


def _check_order(patterns: Iterable[_Pattern]) -> None:
    """Raise `ValueError` if two patterns match the same path and neither is more specific.

    This check is part of every cold start, and there are thousands of pairs. Comparing their texts first excludes
    nearly all of them.
    """
    for (one, texts), (other, others) in combinations([(each, _texts(each)) for each in patterns], 2):
        for text, another in zip(texts, others):  # noqa: B905 - a rest matches any number of further segments
            if text != another and text is not None and another is not None:
                break
        else:
            undecided = one.owner.name != other.owner.name or one.rank == other.rank
            if undecided and _overlap(one, other):
                raise _overlap_error(next(iter(one.routes.values())), next(iter(other.routes.values())))


def _texts(pattern: _Pattern) -> list[str | None]:
    """Return the text of each segment in lower case, None for a parameter."""
    return [None if segment.name is not None else segment.before.lower() for segment in pattern.segments]


def _overlap_error(one: Route, other: Route) -> ValueError:
    return ValueError(
        f"{one.method} {one.pattern} ({one.protocol.name}) overlaps "
        f"{other.method} {other.pattern} ({other.protocol.name})"
    )


def _segments(pattern: str, *, ignore_case: bool) -> tuple[_Segment, ...]:
    return tuple(_segment(text, ignore_case=ignore_case) for text in pattern.split("/"))


def _segment(text: str, *, ignore_case: bool) -> _Segment:
    before, brace, rest = text.partition("{")
    name, _, after = rest.partition("}")
    if ignore_case:
        before, after = before.lower(), after.lower()
    return _Segment(before, name.removesuffix("...") if brace else None, after, rest=name.endswith("..."))


def _first_match(patterns: Sequence[_Pattern], parts: Sequence[str]) -> Match | None:
    for segments, routes, owner in patterns:
        if (parameters := _parameters(segments, parts, ignore_case=owner.ignore_case)) is not None:
            return Match(routes, parameters)
    return None


def _parameters(segments: Sequence[_Segment], parts: Sequence[str], *, ignore_case: bool) -> dict[str, str] | None:
    """Return the parameters of a path, or None if it does not match.

    A parameter has at least one character; a rest may be empty.
    """
    if segments[-1].rest and len(parts) >= len(segments):
        last = len(segments) - 1
        parameters = _parameters(segments[:last], parts[:last], ignore_case=ignore_case) if last else {}
        return None if parameters is None else {**parameters, str(segments[-1].name): "/".join(parts[last:])}
    if len(segments) != len(parts):
        return None
    parameters = {}
    for (before, name, after, _), part in zip(segments, parts, strict=True):
        if name is None:
            if before != (part.lower() if ignore_case else part):
                return None
            continue
        end = len(part) - len(after)
        starts, ends = part[: len(before)], part[end:]
        if ignore_case:
            starts, ends = starts.lower(), ends.lower()
        if end <= len(before) or starts != before or ends != after:
            return None
        parameters[name] = part[len(before) : end]
    return parameters


def _overlap(one: _Pattern, other: _Pattern) -> bool:
    """Return whether a path could match both patterns."""
    if one.owner.ignore_case or other.owner.ignore_case:
        one, other = (each._replace(segments=tuple(map(_lowered, each.segments))) for each in (one, other))
    shorter, longer = sorted((one.segments, other.segments), key=len)
    if shorter[-1].rest:
        return all(map(_segments_overlap, shorter[:-1], longer))  # the rest matches all further segments of `longer`
    if longer[-1].rest:
        return len(shorter) == len(longer) and all(map(_segments_overlap, shorter[:-1], longer[:-1]))
    return len(shorter) == len(longer) and all(map(_segments_overlap, shorter, longer))


def _lowered(segment: _Segment) -> _Segment:
    return segment._replace(before=segment.before.lower(), after=segment.after.lower())


def _segments_overlap(one: _Segment, other: _Segment) -> bool:
    """Return whether a segment could match both: a parameter matches anything, the text around it only itself."""
    for text, pattern in ((one, other), (other, one)):
        if text.name is None:
            return _parameters([pattern], [text.before], ignore_case=False) is not None
    starts = one.before.startswith(other.before) or other.before.startswith(one.before)
    return starts and (one.after.endswith(other.after) or other.after.endswith(one.after))
