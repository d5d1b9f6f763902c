"""A request and an answer: bytes and headers."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]
Pieces: TypeAlias = Iterator[bytes] | AsyncIterator[bytes]
JSON: Final = (b"content-type", b"application/json")
NOTHING: Final[Mapping[str, str]] = {}
Buffer: TypeAlias = bytes | memoryview
_AT_ONCE: Final = 1024 * 1024  # bytes that are copied at once: a tenth of a millisecond
_PIECE: Final = 256 * 1024  # bytes
_BODILESS: Final = frozenset({204, 304})  # RFC 9110, 15.3.5 and 15.4.5


class Request:
    """One HTTP request. `started` is when its head was complete, on `perf_counter`'s clock."""

    __slots__ = (
        "_first",
        "body",
        "headers",
        "hold",
        "match",
        "method",
        "path",
        "query",
        "raw_path",
        "started",
        "version",
    )

    hold: Callable[[int], None]  # counts more bytes against the process' budget; there once a task answers the request

    def __init__(
        self, method: str, path: str, raw_path: bytes, query: bytes, headers: Headers, version: str, body: bytes = b""
    ) -> None:
        self.started = perf_counter()
        self.method = method
        self.path = path  # percent-decoded
        self.raw_path = raw_path  # as it came, without the query
        self.query = query
        self.headers = headers  # names in lower case
        self.version = version  # "1.0", "1.1" or "2"
        self.body = body  # whole, before anybody sees the request
        self.match: Any = None  # what the route table found, kept for the second look
        self._first: dict[bytes, bytes] | None = None  # the first header of each name

    def again(self, body: bytes) -> "Request":
        """The same request with another body, as of now."""
        other = Request(self.method, self.path, self.raw_path, self.query, self.headers, self.version, body)
        other._first = self._first
        return other

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower-case) name."""
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self.headers))
        return first.get(name)

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the path, as the route's pattern names them."""
        return self.match.parameters if self.match else NOTHING


class Answer:
    """A response. The transport counts its length and frames it.

    `body` is bytes, or pieces for a body that is made while it is sent. `trailers` follow it over HTTP/2.
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
    """An answer's body from its parts: whole, or in pieces where copying it at once would hold the event loop."""
    if sum(map(len, parts)) <= _AT_ONCE:
        return b"".join(parts)
    return (bytes(part[at : at + _PIECE]) for part in parts for at in range(0, len(part), _PIECE))


def with_headers(headers: Headers, added: Headers) -> Headers:
    """The headers, and those added in place of others of the same name; Vary is a list, so both stay."""
    names = {name for name, _ in added if name != b"vary"}
    return [*(each for each in headers if each[0] not in names), *added]


def header_size(name: bytes, value: bytes) -> int:
    """Bytes of a header as limits count them, the same for both versions. Source: RFC 9113, 6.5.2."""
    return len(name) + len(value) + 32


def bodiless(method: str, status: int) -> bool:
    """Whether an answer has no body by its kind. Source: RFC 9110, 6.4.1."""
    return method == "HEAD" or status in _BODILESS
