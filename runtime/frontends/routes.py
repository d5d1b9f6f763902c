"""The route table: which endpoint answers a path. Pure, and a dictionary look-up for a path seen before."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias

from runtime.errors import MethodNotAllowed
from runtime.frontends.http import Request, Response

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
_REMEMBERED = 256  # paths; they come from callers, so their number must be bounded


class Match(NamedTuple):
    """What answers a path, by method, and the path's parameters."""

    methods: Mapping[str, Endpoint]
    parameters: Mapping[str, str]

    def endpoint(self, method: str, path: str) -> Endpoint:
        """The method's endpoint; HEAD is served as GET. Raises `MethodNotAllowed`."""
        found = self.methods.get("GET" if method == "HEAD" else method)
        if found is None:
            allowed = [*self.methods, *(["HEAD"] if "GET" in self.methods else [])]
            raise MethodNotAllowed(method, path, allowed)
        return found


class Routes:
    """Patterns such as `/api/v1/models/{model}/predict`; a parameter is one path segment."""

    def __init__(self, table: Mapping[str, Mapping[str, Endpoint]]) -> None:
        """`table` maps each pattern to its endpoints by method; the first pattern that fits wins."""
        self._patterns = [(_compiled(pattern), methods) for pattern, methods in table.items()]
        self._known: dict[str, Match] = {}

    def match(self, path: str) -> Match | None:
        """The path's endpoints, or None where no pattern fits."""
        known = self._known.get(path)
        if known is not None:
            return known
        for pattern, methods in self._patterns:
            if found := pattern.fullmatch(path):
                match = Match(methods, found.groupdict())
                if len(self._known) < _REMEMBERED:
                    self._known[path] = match
                return match
        return None


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(pattern)))
