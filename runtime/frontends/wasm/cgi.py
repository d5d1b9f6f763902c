"""The Common Gateway Interface: a request as variables and arguments, and a guest's output as a response. Pure.

Sources: RFC 3875, sections 4 and 6; WAGI, docs/environment_variables.md (the variables with X_, and the arguments).
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from runtime.errors import GuestAnswerInvalid, InvalidInput

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

HEAD_BYTES: Final = 2**16
_FOUND: Final = 302  # of a redirect without a status; RFC 3875, section 6.2.3
_NOT_MODIFIED: Final = 304
_BODILESS: Final = (204, _NOT_MODIFIED)
_STATUS: Final = re.compile(r"(\d{3})(?: .*)?")
_END_OF_HEAD: Final = re.compile(rb"(?:^|\n)\r?\n")
_FIELDS: Final = ("content-type", "location", "status")  # the fields of CGI, one of which each response has
_LENGTH: Final = "content-length"
# Section 4.1.18: no credentials, and nothing of the connection. HTTP_PROXY is what many programs read as a setting.
_WITHHELD: Final = frozenset(
    {"HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_PROXY", "HTTP_TE"}
)


class Response(NamedTuple):
    """What a guest answers."""

    status: int
    headers: Sequence[tuple[str, str]]  # names as the guest wrote them, without Status
    body: bytes


def variables(environ: "WSGIEnvironment") -> list[tuple[str, str]]:
    """Return the variables of a request. Raises `InvalidInput` for a path with the character U+0000, as C ends there.

    CONTENT_LENGTH is set only if there is a body.
    """
    found = {
        name: _text(value)
        for name, value in environ.items()
        if not name.startswith("wsgi.") and name not in _WITHHELD and isinstance(value, str)
    }
    if found.get("CONTENT_LENGTH") == "0":
        del found["CONTENT_LENGTH"]
    raw_path = quote(found["PATH_INFO"], safe="/:@!$&'()*+,;=~")
    query = found["QUERY_STRING"]
    host = found.get("HTTP_HOST") or f"{found['SERVER_NAME']}:{found['SERVER_PORT']}"
    found |= {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": "scalezero",
        "X_FULL_URL": f"{environ['wsgi.url_scheme']}://{host}{raw_path}{'?' if query else ''}{query}",
        "X_MATCHED_ROUTE": "/...",
        "X_RAW_PATH_INFO": raw_path,
    }
    if name := next((name for name, value in found.items() if "\0" in value), None):
        field = "path" if name == "PATH_INFO" else name
        raise InvalidInput(field, got="the character U+0000", expected="characters that a variable can have")
    return sorted(found.items())


def arguments(name: str, environ: "WSGIEnvironment") -> list[str]:
    """Return the arguments: the guest's name, and the parameters of the query, still percent-encoded, as WAGI does."""
    query = environ["QUERY_STRING"]
    return [name, *query.split("&")] if query else [name]


def response(output: bytes, *, method: str) -> Response:
    """Return the response that a guest wrote. Raises `GuestAnswerInvalid`, whose cause has the guest's text.

    A `Location` without a `Status` is a redirect (302); a path in it is sent to the client, which resolves it.
    """
    end = _END_OF_HEAD.search(output, 0, HEAD_BYTES)
    if end is None:
        if len(output) > HEAD_BYTES:
            got, expected = f"no empty line in {HEAD_BYTES} bytes", "header lines and an empty line"
        else:
            got, expected = f"{len(output)} bytes without an empty line", "header lines, an empty line and the body"
        raise GuestAnswerInvalid("head", got=got, expected=expected) from ValueError(output[:200])
    headers = _headers(output[: end.start()].decode("latin-1"))
    fields = _fields(headers)
    status = _status(fields)
    sent = [each for each in headers if each[0].lower() != "status"]
    body = output[end.end() :]
    if method == "HEAD":  # RFC 3875, section 4.3.2: the server discards the body
        return Response(status, [*sent, *_length_of(body, status, fields)], b"")
    if body:
        _check_body(body, status, fields)
    if status != _NOT_MODIFIED:  # its length is that of the body that is not sent
        _check_length(body, fields)
    return Response(status, sent, body)


def _text(value: str) -> str:
    """Return a value of WSGI, whose characters are bytes, as text: UTF-8, otherwise latin-1."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _headers(head: str) -> list[tuple[str, str]]:
    lines = head.split("\n") if head else []
    return [_header(line.removesuffix("\r"), number) for number, line in enumerate(lines, 1)]


def _header(line: str, number: int) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise GuestAnswerInvalid(
            f"line {number} of the head", got="no colon", expected="name: value, or an empty line before the body"
        ) from ValueError(line[:200])
    return name, value.strip(" \t")


def _fields(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the fields of CGI and the length of the body, by their names in lower case."""
    found: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in {*_FIELDS, _LENGTH}:
            if lower in found:
                raise GuestAnswerInvalid(name, got="the header twice", expected="one value")
            found[lower] = value
    if found.keys().isdisjoint(_FIELDS):
        raise GuestAnswerInvalid("head", got="none of them", expected="a header Content-Type, Location or Status")
    return found


def _status(fields: dict[str, str]) -> int:
    if "status" not in fields:
        return _FOUND if "location" in fields else 200
    stated = _STATUS.fullmatch(fields["status"])
    if stated is None:
        expected = "three digits and a text, such as 404 Not Found"
        raise GuestAnswerInvalid("Status", got="another text", expected=expected) from ValueError(fields["status"])
    return int(stated[1])


def _check_body(body: bytes, status: int, fields: dict[str, str]) -> None:
    if status in _BODILESS:
        raise GuestAnswerInvalid("body", got=f"{len(body)} bytes", expected=f"no bytes after status {status}")
    if "content-type" not in fields:
        raise GuestAnswerInvalid("head", got="a body without Content-Type", expected="a header Content-Type")


def _length_of(body: bytes, status: int, fields: dict[str, str]) -> list[tuple[str, str]]:
    """Return the header with the length of the body that is not sent; without it, the server would send 0."""
    return [("Content-Length", str(len(body)))] if body and status not in _BODILESS and _LENGTH not in fields else []


def _check_length(body: bytes, fields: dict[str, str]) -> None:
    stated = fields.get(_LENGTH)
    if stated is not None and stated != str(len(body)):
        expected = f"{len(body)}, the number of bytes after the empty line, or no such header"
        raise GuestAnswerInvalid("Content-Length", got="another value", expected=expected) from ValueError(stated)
