"""The head of an HTTP/1.1 request: while it is received, in the cache, and its target.

A head is cached without the headers that differ in each request, such as the id of an event.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from runtime.http.messages import Headers, Request

END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_CACHED: Final = 256  # heads; clients choose them, so their number and size are limited
MAX_CACHED_SIZE: Final = 4096  # bytes
# Headers that differ from request to request: the attributes of events (CloudEvents in binary mode), the id that a
# gateway such as Kourier gives to each request, and its trace.
_ATTRIBUTES: Final = ("id", "time", "subject", "traceparent", "knativearrivaltime", "causationid", "sequence")
_OTHERS: Final = ("x-request-id", "traceparent", "tracestate")
_VARYING_NAMES: Final = frozenset(name.encode() for name in (*(f"ce-{each}" for each in _ATTRIBUTES), *_OTHERS))
# A value with a space, a quote or a percent sign is left to the parser, so that readers of events need not decode it.
_NAMES: Final = rf"(?i:ce-(?:{'|'.join(_ATTRIBUTES)})|{'|'.join(_OTHERS)})"
_VARYING: Final = re.compile(rf"\r\n({_NAMES}): ([!#$&-~]+)(?=\r\n)".encode())


class CachedHead(NamedTuple):
    """A parsed head: the request without its body, and the length of the body in bytes."""

    request: Request
    length: int


def without_varying(head: bytes) -> tuple[bytes, Headers]:
    """Return a head without the headers that differ in each request, and these, with names in lower case.

    They do not concern the transport. Their values are printable ASCII. One in another form than the usual one stays,
    such as with a space in its value.
    """
    parts = _VARYING.split(head)
    if len(parts) == 1:
        return head, []
    return b"".join(parts[::3]), list(zip(map(bytes.lower, parts[1::3]), parts[2::3], strict=True))


def cache_head(heads: dict[bytes, CachedHead], data: bytes, request: Request, length: int) -> None:
    """Cache the head of a request if it arrived in one read (`data`), and only its length frames its body.

    `length`: bytes of the body.
    """
    end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
    if end > MAX_CACHED_SIZE or len(data) - end != length:
        return
    rest, varying = without_varying(data[:end])
    if varying:
        others = [each for each in request.headers if each[0] not in _VARYING_NAMES]
        if len(others) + len(varying) != len(request.headers):
            return  # one of them has an unusual form, so the rest is not the same again either
        request = request.with_headers(others)
    names = {name for name, _ in request.headers}
    if names.isdisjoint({b"transfer-encoding", b"expect"}):
        if len(heads) >= _MAX_CACHED:
            heads.clear()  # so that unused heads do not stay forever
        request.memo = {}
        request.header(b"host")  # builds the index of headers, which all requests with this head share
        heads[rest] = CachedHead(request.with_body(b""), length)


class Head:
    """A head that is being received."""

    __slots__ = ("headers", "size", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: Headers = []
        self.size = 0  # bytes of its complete parts, as `header_size` counts them


def target(url: bytes) -> tuple[bytes, str, bytes]:
    """Split a request's target into raw path, decoded path and query. Source: RFC 9112, 3.2.

    Raises `UnicodeDecodeError` for bytes that are not ASCII, which are not valid in a URI.
    """
    raw_path, _, query = url.partition(b"?")
    path = raw_path.decode("ascii")
    if not path.startswith("/") and "://" in path:  # absolute form, as a proxy gets it
        path = urlsplit(path).path or "/"
        raw_path = path.encode("ascii")
    return raw_path, unquote(path) if "%" in path else path, query
