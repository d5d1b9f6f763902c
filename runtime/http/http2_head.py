"""The head of an HTTP/2 request: what its field block means, and what is remembered of it. Source: RFC 9113, 8.3."""

from typing import Final, NamedTuple, TypeAlias
from urllib.parse import unquote

from runtime.http.messages import Headers, Request, header_size

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]
_MOST_KNOWN: Final = 256  # blocks; they come from clients, so their number and length must be bounded
_LONGEST_KNOWN: Final = 4096  # bytes
_PER_FIELD: Final = header_size(b"", b"")  # what counts of a field beside its text


class Decoded(NamedTuple):
    """What a field block means."""

    request: Request
    announced: int  # bytes of the body, as `content-length` says; 0: it does not say
    size: int  # bytes of the block, as `header_size` counts them


class FieldBlocks:
    """Decodes field blocks. A client sends the same block again and again, so the last ones are remembered."""

    def __init__(self) -> None:
        self._known: dict[Fields, Decoded] = {}

    def decode(self, fields: Fields) -> Decoded:
        """The request of a field block.

        Raises `UnicodeDecodeError` for a path that is not ASCII, and `ValueError` for a length that is no number.
        """
        known = self._known.get(fields)
        if known is not None:
            return Decoded(known.request.again(b""), known.announced, known.size)
        decoded = _decode(fields)
        if decoded.size <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()  # so that no block keeps its place for good
            decoded.request.header(b"host")  # from here on each request with this block knows its headers by name
            self._known[fields] = Decoded(decoded.request.again(b""), decoded.announced, decoded.size)
        return decoded


def _decode(fields: Fields) -> Decoded:
    pseudo: dict[bytes, bytes] = {}
    headers: Headers = []
    cookies: list[bytes] = []
    announced = size = 0
    for name, value in fields:
        size += len(name) + len(value) + _PER_FIELD
        if name[:1] == b":":
            pseudo[name] = value
            continue
        if name == b"content-length":
            announced = int(value)
        elif name == b"cookie":
            cookies.append(value)
            continue
        headers.append((name, value))
    if cookies:  # which may come apart: RFC 9113, 8.2.3
        headers.append((b"cookie", b"; ".join(cookies)))
    if b":authority" in pseudo:
        headers = [each for each in headers if each[0] != b"host"]  # RFC 9113, 8.3.1: the two must not differ
        headers.append((b"host", pseudo[b":authority"]))
    raw_path, _, query = pseudo.get(b":path", b"").partition(b"?")
    path = raw_path.decode("ascii")
    method = pseudo[b":method"].decode("ascii")
    request = Request(method, unquote(path) if "%" in path else path, raw_path, query, headers, "2")
    return Decoded(request, announced, size)
