"""Converts an ASGI request to a WSGI environment, and a WSGI response's head to one that HTTP can send. Pure.

Sources: PEP 3333; RFC 9110 sections 5.1, 5.5, 7.6.1 and 15.
"""

import io
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.errors import InvalidAnswer
from runtime.http.asgi import Scope
from runtime.http.messages import Headers

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_MIN_STATUS, _MAX_STATUS = 200, 599  # of a final response; only the server sends interim responses (1xx)
_BODILESS: Final = (204, 304)
_CONTENT_LENGTH: Final = "as many bytes as the header Content-Length states"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_LIST_BYTES: Final = 63 * 1024  # of all headers: clients of HTTP/2 accept 64 KiB, with those that the server adds
_HEADER_BYTES: Final = 32  # that each header counts beside its characters; RFC 9113, section 6.5.2
_BY_THE_SERVER: Final = frozenset(  # it manages the connection, and dates each response
    (
        b"connection",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


class Head(NamedTuple):
    """The head of a response; `length` is the length of the body in bytes, None if it is unknown."""

    status: int
    headers: Headers
    length: int | None


class Part(NamedTuple):
    """A piece of a response's body, and whether more pieces follow."""

    body: bytes
    more: bool


class Body:
    """The body of a response, in pieces, checked against the length that its head states.

    If the first piece is shorter than the body, it is held back until the next piece: a response that is too short can
    then still be replaced by an error.
    """

    def __init__(self, length: int | None) -> None:
        """`length` is in bytes; None: any length."""
        self._remaining = length
        self._held: bytes | None = None
        self._begun = False  # whether a part was returned
        self._ended = False

    def add(self, piece: object) -> Part | None:
        """Return the part that may be sent now. Raises `TypeError` if it is not bytes, `InvalidAnswer` for too many."""
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(f"a piece of the response's body is of type {type(piece).__name__}; expected bytes")
        body = bytes(piece)
        if not body:
            return None
        if self._remaining is not None:
            self._remaining -= len(body)
            if self._remaining < 0:
                raise InvalidAnswer("body", got="more bytes", expected=_CONTENT_LENGTH)
            if self._remaining and not self._begun and self._held is None:
                self._held = body
                return None
        held, self._held = self._held or b"", None
        self._begun, self._ended = True, self._remaining == 0
        return Part(held + body, more=not self._ended)

    def end(self) -> Part | None:
        """Return the last part, or None if it was already returned. Raises `InvalidAnswer` if bytes are missing."""
        if self._remaining:
            raise InvalidAnswer("body", got="fewer bytes", expected=_CONTENT_LENGTH)
        return None if self._ended else Part(b"", more=False)


def environment(scope: Scope, body: bytes) -> "WSGIEnvironment":
    """Return the WSGI environment of a request with a complete body.

    Headers with an underscore in their names are dropped. In the environment they would be indistinguishable from the
    header with a dash, which a proxy may have set to identify the client.
    """
    host, port = scope.get("server") or ("localhost", 80)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("ascii"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    client = scope.get("client")
    if client:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    for raw_name, raw_value in scope["headers"]:
        _add_header(environ, raw_name.decode("latin-1"), raw_value.decode("latin-1"))
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # the server has decoded the body
    return environ


def _add_header(environ: "WSGIEnvironment", name: str, value: str) -> None:
    if "_" in name:
        return
    variable = name.upper().replace("-", "_")
    if variable not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
        variable = f"HTTP_{variable}"
    if variable in environ:
        value = f"{environ[variable]}{'; ' if variable == 'HTTP_COOKIE' else ','}{value}"
    environ[variable] = value


def head(method: str, status: str, headers: Sequence[tuple[str, str]]) -> Head:
    """Check and convert the head of a response. Only the number of `status` is used: HTTP/2 has no reason phrase.

    `Date` and the headers of the connection are dropped, because the server sets them. Raises `InvalidAnswer`; its
    cause has the invalid value, which only the log shows.
    """
    number = _status(status)
    sendable = []
    length = None
    for name, value in headers:
        field = _field(name, value)
        if field[0] == b"content-length":
            length = _length(value)
        if field[0] not in _BY_THE_SERVER:
            sendable.append(field)
    _check_size(sendable)
    bodiless = method == "HEAD" or number in _BODILESS
    return Head(number, sendable, 0 if bodiless else length)


def _check_size(headers: Headers) -> None:
    size = sum(len(name) + len(value) + _HEADER_BYTES for name, value in headers)
    if size > _LIST_BYTES:
        got = f"{len(headers)} headers of {size} bytes in all"
        expected = f"at most {_LIST_BYTES} bytes, of which each header takes {_HEADER_BYTES} beside its characters"
        raise InvalidAnswer("head", got=got, expected=expected)


def _status(status: str) -> int:
    text = status.partition(" ")[0]
    number = int(text) if text.isascii() and text.isdigit() and len(text) == len("200") else None
    if number is None or not _MIN_STATUS <= number <= _MAX_STATUS:
        # Flask puts 0 before a text that does not begin with a number. Only the log shows the text itself.
        got = text if re.fullmatch(r"-?\d{1,20}", text, re.ASCII) else "no number"
        raise InvalidAnswer(
            "status", got=got, expected=f"a whole number from {_MIN_STATUS} to {_MAX_STATUS}"
        ) from ValueError(status)
    return number


def _field(name: str, value: str) -> tuple[bytes, bytes]:
    if not _TOKEN.fullmatch(name):
        expected = "letters, digits and !#$%&'*+-.^_`|~ (RFC 9110, section 5.1)"
        raise InvalidAnswer("name of a header", got="another character or no text", expected=expected) from ValueError(
            name
        )
    if found := _UNSENDABLE.search(value):
        got = f"the character U+{ord(found[0]):04X}"
        expected = "printable characters of latin-1; percent-encode all others"
        raise InvalidAnswer(f"header {name}", got=got, expected=expected) from ValueError(value)
    return name.lower().encode(), value.strip(" \t").encode("latin-1")


def _length(value: str) -> int:
    if not re.fullmatch(r"\s*\d{1,18}\s*", value, re.ASCII):
        raise InvalidAnswer(
            "header Content-Length", got="no whole number", expected="the size of the body in bytes"
        ) from ValueError(value)
    return int(value)
