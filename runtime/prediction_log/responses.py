"""Reads the responses of a sink as they arrive, without blocking. Pure (RFC 9112)."""

from typing import Final, NamedTuple

from runtime.artifacts.http1 import END_OF_HEAD, Head, chunk_size, parse_head

_MAX_BYTES: Final = 256 * 1024  # of one response; the log needs only its status
_MAX_KNOWN: Final = 512  # bytes of a response that is looked up instead of parsed
_MAX_LOOKUPS: Final = 64  # responses
_SHOWN: Final = 200  # bytes of the body, for a log line
_FINAL: Final = 200  # 1xx are interim responses (RFC 9110, section 15.2)


class Response(NamedTuple):
    """A complete response."""

    status: int
    retry_after: str | None
    keeps_alive: bool  # whether the connection can be used again
    text: bytes  # the start of the body


class ResponseReader:
    """Reads one response after the other."""

    __slots__ = ("_buffer", "_known")

    def __init__(self, known: dict[bytes, Response]) -> None:
        """`known` are responses by their bytes, which readers share: most responses of a second are equal."""
        self._buffer = b""
        self._known = known

    def feed(self, data: bytes) -> Response | None:
        """Return the response if it is complete. Raises ValueError if it is invalid or too large."""
        if not self._buffer and (found := self._known.get(data)) is not None:
            return found
        self._buffer += data
        response = _parse(self._buffer)
        if response is None:
            if len(self._buffer) > _MAX_BYTES:
                raise ValueError(f"the response has more than {_MAX_BYTES} bytes")
            return None
        if len(self._buffer) <= _MAX_KNOWN:
            if len(self._known) >= _MAX_LOOKUPS:
                self._known.clear()
            self._known[self._buffer] = response
        self._buffer = b""
        return response


def _parse(data: bytes) -> Response | None:
    """Return the response; None if bytes are missing. Raises ValueError."""
    while True:
        end = data.find(END_OF_HEAD)
        if end < 0:
            return None
        head = parse_head(data[:end])
        data = data[end + len(END_OF_HEAD) :]
        if head.status >= _FINAL:
            return _with_body(head, data)


def _with_body(head: Head, data: bytes) -> Response | None:
    retry_after = head.headers.get("retry-after")
    if head.chunked:
        body = _unchunked(data)
        return None if body is None else Response(head.status, retry_after, head.keeps_alive, body[:_SHOWN])
    length = head.length
    if length is None:  # the body ends with the connection, which is closed instead of reading it
        return Response(head.status, retry_after, keeps_alive=False, text=data[:_SHOWN])
    if len(data) < length:
        return None
    if len(data) > length:
        raise ValueError("the sink sent more bytes than its response has")
    return Response(head.status, retry_after, head.keeps_alive, data[:_SHOWN])


def _unchunked(data: bytes) -> bytes | None:
    """Return the content of all chunks (RFC 9112, section 7.1); None if bytes are missing. Raises ValueError."""
    content = b""
    at = 0
    while (end := data.find(b"\r\n", at)) >= 0:
        size = chunk_size(data[at:end])
        at = end + 2
        if size == 0:
            return content if data[at:] == b"\r\n" or data.endswith(END_OF_HEAD) else None
        content += data[at : at + size]
        at += size + 2
    return None
