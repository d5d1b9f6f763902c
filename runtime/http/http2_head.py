"""The head of an HTTP/2 request: decodes field blocks, and caches them. Source: RFC 9113, 8.3."""

from typing import Final, NamedTuple, TypeAlias
from urllib.parse import unquote

from runtime.http.messages import Headers, Request, header_size

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]
_MAX_CACHED: Final = 256  # blocks; clients choose them, so their number and size are limited
_MAX_CACHED_SIZE: Final = 4096  # bytes
_FIELD_OVERHEAD: Final = header_size(b"", b"")  # bytes that a field counts beside its name and value


class Decoded(NamedTuple):
    """A decoded field block."""

    request: Request
    content_length: int  # bytes of the body; 0: no content-length
    size: int  # bytes of the block, as `header_size` counts them


class FieldBlockCache:
    """Decodes field blocks. A client sends the same block again and again, so recent ones are cached."""

    def __init__(self) -> None:
        self._cache: dict[Fields, Decoded] = {}

    def decode(self, fields: Fields) -> Decoded:
        """Return the request of a field block.

        Raises `UnicodeDecodeError` for a path that is not ASCII, and `ValueError` for an invalid content-length.
        """
        cached = self._cache.get(fields)
        if cached is not None:
            return Decoded(cached.request.with_body(b""), cached.content_length, cached.size)
        decoded = _decode(fields)
        if decoded.size <= _MAX_CACHED_SIZE:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()  # so that unused blocks do not stay forever
            decoded.request.memo = {}
            decoded.request.header(b"host")  # builds the index of headers, which all requests with this block share
            self._cache[fields] = Decoded(decoded.request.with_body(b""), decoded.content_length, decoded.size)
        return decoded


def _decode(fields: Fields) -> Decoded:
    pseudo: dict[bytes, bytes] = {}
    headers: Headers = []
    cookies: list[bytes] = []
    content_length = size = 0
    for name, value in fields:
        size += len(name) + len(value) + _FIELD_OVERHEAD
        if name[:1] == b":":
            pseudo[name] = value
            continue
        if name == b"content-length":
            content_length = int(value)
        elif name == b"cookie":
            cookies.append(value)
            continue
        headers.append((name, value))
    if cookies:  # a client may split them: RFC 9113, 8.2.3
        headers.append((b"cookie", b"; ".join(cookies)))
    if b":authority" in pseudo:
        headers = [each for each in headers if each[0] != b"host"]  # RFC 9113, 8.3.1: the two must be equal
        headers.append((b"host", pseudo[b":authority"]))
    raw_path, _, query = pseudo.get(b":path", b"").partition(b"?")
    path = raw_path.decode("ascii")
    method = pseudo[b":method"].decode("ascii")
    request = Request(method, unquote(path) if "%" in path else path, raw_path, query, headers, "2")
    return Decoded(request, content_length, size)
