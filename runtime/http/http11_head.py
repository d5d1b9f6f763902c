"""The head of an HTTP/1.1 request: while it comes in, what its target means, and what is remembered of it."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from runtime.http.messages import Headers, Request


class KnownHead(NamedTuple):
    """What the parser made of a head: the request but for its body, of which `length` bytes follow."""

    request: Request
    length: int


class Head:
    """A head that is coming in."""

    __slots__ = ("headers", "size", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: Headers = []
        self.size = 0  # bytes of what is complete of it, as `header_size` counts them


def target(url: bytes) -> tuple[bytes, str, bytes]:
    """The raw path, the decoded path and the query of a request's target. Source: RFC 9112, 3.2.

    Raises `UnicodeDecodeError` for bytes that no URI has.
    """
    raw_path, _, query = url.partition(b"?")
    path = raw_path.decode("ascii")
    if not path.startswith("/") and "://" in path:  # as a proxy is asked
        path = urlsplit(path).path or "/"
        raw_path = path.encode("ascii")
    return raw_path, unquote(path) if "%" in path else path, query
