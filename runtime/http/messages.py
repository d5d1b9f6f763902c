"""HTTP requests and responses, as bytes and headers."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]
Pieces: TypeAlias = Iterator[bytes] | AsyncIterator[bytes]
JSON: Final = (b"content-type", b"application/json")
_NO_PARAMETERS: Final[Mapping[str, str]] = {}
Buffer: TypeAlias = bytes | memoryview
_MAX_COPY: Final = 1024 * 1024  # bytes to copy at once, which takes 0.1 ms
_PIECE_SIZE: Final = 256 * 1024  # bytes
_BODILESS: Final = frozenset({204, 304})  # RFC 9110, 15.3.5 and 15.4.5


class Request:
    """One HTTP request. `started` is when its head was complete, on the clock of `perf_counter`."""

    __slots__ = (
        "_by_name",
        "body",
        "context",
        "headers",
        "match",
        "memo",
        "method",
        "path",
        "query",
        "raw_path",
        "reserve",
        "started",
        "varying",
        "version",
    )

    reserve: Callable[[int], None]  # counts more bytes in the process' budget; set when a task answers the request

    def __init__(
        self, method: str, path: str, raw_path: bytes, query: bytes, headers: Headers, version: str, body: bytes = b""
    ) -> None:
        self.started = perf_counter()
        self.method = method
        self.path = path  # percent-decoded
        self.raw_path = raw_path  # as received, without the query
        self.query = query
        self.headers = headers  # names in lower case
        self.version = version  # "1.0", "1.1" or "2"
        self.body = body  # complete before a handler gets the request
        self.match: Any = None  # the matched route, kept so that it is looked up once
        self.context: Any = None  # what the handler of the request keeps with it
        # The headers that are not the same in all requests with the same `memo`. The others are indexed once for all.
        # Their values are printable ASCII without spaces, quotes and percent signs.
        self.varying: Sequence[tuple[bytes, bytes]] = ()
        self.memo: dict[object, Any] | None = None  # what handlers keep with the headers that are the same
        self._by_name: dict[bytes, bytes] | None = None  # the first header of each name

    def with_body(self, body: bytes, varying: Headers | None = None) -> "Request":
        """Return the same request with another body, and these headers added. `started` is the current time."""
        headers = [*self.headers, *varying] if varying else self.headers
        other = Request(self.method, self.path, self.raw_path, self.query, headers, self.version, body)
        other._by_name = self._by_name
        other.memo = self.memo
        if varying:
            other.varying = varying
        return other

    def with_headers(self, headers: Headers) -> "Request":
        """Return the same request with other headers."""
        return Request(self.method, self.path, self.raw_path, self.query, headers, self.version, self.body)

    def header(self, name: bytes) -> bytes | None:
        """Return the first header with this name (in lower case)."""
        first = self._by_name
        if first is None:
            first = self._by_name = dict(reversed(self.headers))
        value = first.get(name)
        if value is None and self.varying:
            for each, found in self.varying:
                if each == name:
                    return found
        return value

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the path, by the names in the route's pattern."""
        return self.match.parameters if self.match else _NO_PARAMETERS


class Answer:
    """An HTTP response. The transport adds its length and framing.

    `body` is bytes, or an iterator of pieces for a body that is produced while it is sent. HTTP/2 sends the `trailers`.
    """

    __slots__ = ("body", "headers", "status", "trailers")

    def __init__(
        self, status: int, body: bytes | Pieces = b"", headers: Headers | None = None, trailers: Headers | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.headers: Headers = [JSON] if headers is None else headers
        self.trailers = trailers


def body_of(parts: Sequence[Buffer]) -> bytes | Pieces:
    """Join the parts to a body. A large one is returned in pieces, because copying it would block the event loop."""
    if sum(map(len, parts)) <= _MAX_COPY:
        return b"".join(parts)
    return (bytes(part[at : at + _PIECE_SIZE]) for part in parts for at in range(0, len(part), _PIECE_SIZE))


def with_headers(headers: Headers, added: Headers) -> Headers:
    """Return the headers with those added. They replace headers of the same name, except Vary, which is a list."""
    names = {name for name, _ in added if name != b"vary"}
    return [*(each for each in headers if each[0] not in names), *added]


def header_size(name: bytes, value: bytes) -> int:
    """Return the size in bytes of a header as the limits count it, for both versions. Source: RFC 9113, 6.5.2."""
    return len(name) + len(value) + 32


def bodiless(method: str, status: int) -> bool:
    """Return whether a response cannot have a body. Source: RFC 9110, 6.4.1."""
    return method == "HEAD" or status in _BODILESS
