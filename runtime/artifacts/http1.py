"""HTTP/1.1 for a client of S3: rendered requests, and parsed heads of responses. Pure (RFC 9112).

The parser accepts only the regular form of a response. Ambiguous responses are errors: two different lengths, a length
with chunks, a line without a colon.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

END_OF_HEAD = b"\r\n\r\n"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NO_BODY = frozenset({204, 304})

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(r"[0-9]{1,19}")  # 19 digits are enough for the size of any object
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")


class Head(NamedTuple):
    """Status and header fields of a response."""

    status: int
    headers: Mapping[str, str]  # names in lower case; values of a repeated name are joined with ", "

    @property
    def chunked(self) -> bool:
        """Whether the body is chunked."""
        return "transfer-encoding" in self.headers

    @property
    def length(self) -> int | None:
        """The size of the body in bytes; None: it is chunked or ends with the connection."""
        if self.status in NO_BODY:
            return 0
        text = self.headers.get("content-length")
        return int(text) if text is not None else None

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection can be used for another request after the body was read."""
        return (self.chunked or self.length is not None) and self.headers.get("connection", "").lower() != "close"


class Range(NamedTuple):
    """The bytes [start, end) of an object of `size` bytes."""

    start: int
    end: int
    size: int


def render_request(method: str, target: str, headers: Mapping[str, str], *, body: bytes = b"") -> bytes:
    """Render a request. Raises ValueError for a control character in a value, because it could start another header."""
    fields = {**headers, "content-length": str(len(body))} if body else headers
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    for line in lines:
        if CONTROL.search(line):
            raise ValueError(f"a control character in {line.partition(':')[0]!r}; expected printable text")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def parse_head(raw: bytes) -> Head:
    """Parse the head of a response, without its empty last line. Raises ValueError if it is invalid."""
    status_line, *lines = raw.split(b"\r\n")
    status = _STATUS.fullmatch(status_line)
    if status is None:
        raise ValueError("the response is not HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise ValueError("the response has an invalid header line; expected NAME: VALUE")
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    head = Head(int(status[1]), headers)
    _check_framing(head)
    return head


def chunk_size(line: bytes) -> int:
    """Parse the line before a chunk, without its line break. Raises ValueError if it has no size."""
    match = _CHUNK.fullmatch(line)
    if match is None:
        raise ValueError("the response has a chunk without a size")
    return int(match[1], 16)


def content_range(head: Head) -> Range:
    """Parse the Content-Range of a 206 (RFC 9110, section 14.4). Raises ValueError if it is invalid."""
    text = head.headers.get("content-range", "")
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"Content-Range is {text[:80]!r}; expected bytes FIRST-LAST/SIZE")
    first, last, size = (int(number) for number in match.groups())
    if not first <= last < size:
        raise ValueError(f"Content-Range is {text[:80]!r}; expected FIRST <= LAST < SIZE")
    return Range(first, last + 1, size)


def _check_framing(head: Head) -> None:
    length, coding = head.headers.get("content-length"), head.headers.get("transfer-encoding")
    if length is not None and (coding is not None or not _LENGTH.fullmatch(length)):
        raise ValueError(f"Content-Length is {length[:40]!r}; expected one number, without Transfer-Encoding")
    if coding is not None and coding.lower() != "chunked":
        raise ValueError(f"Transfer-Encoding is {coding[:40]!r}; expected chunked")
