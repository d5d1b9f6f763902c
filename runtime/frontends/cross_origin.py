"""Requests that browsers send from pages of other origins (CORS). Off unless SCALEZERO_CORS_ORIGINS names origins.

Before a request that is not simple, a browser sends a preflight request. It shows a response to its page only if the
response allows the page's origin. Credentials are never allowed. Source: Fetch, "CORS protocol".
"""

from typing import Final

from runtime.http.messages import Answer, Headers, Request

_ANY: Final = "*"
_NO_CONTENT: Final = 204
_SECONDS: Final = b"600"  # for which a browser may cache the response to a preflight request


class CrossOrigin:
    """The allowed origins, and the headers for their browsers."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        """`origins` are such as https://app.example.com; `*` allows all."""
        self._any = _ANY in origins
        self._origins = {origin.encode() for origin in origins}

    def preflight(self, request: Request) -> Answer | None:
        """Return the response to a preflight request of an allowed origin; None for any other request."""
        method = request.header(b"access-control-request-method")
        if request.method != "OPTIONS" or method is None or not self._allows(request):
            return None
        headers: Headers = [(b"access-control-allow-methods", method), (b"access-control-max-age", _SECONDS)]
        if names := request.header(b"access-control-request-headers"):
            headers.append((b"access-control-allow-headers", names))
        return Answer(_NO_CONTENT, b"", headers)

    def headers(self, request: Request) -> Headers:
        """Return the headers that let a browser show a response to its page. Every response varies with the origin."""
        vary: Headers = [] if self._any else [(b"vary", b"origin")]
        origin = request.header(b"origin")
        if origin is None or not self._allows(request):
            return vary
        allowed = b"*" if self._any else origin
        return [(b"access-control-allow-origin", allowed), (b"access-control-expose-headers", b"*"), *vary]

    def _allows(self, request: Request) -> bool:
        origin = request.header(b"origin")
        return origin is not None and (self._any or origin in self._origins)
