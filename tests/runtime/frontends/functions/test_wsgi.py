"""A request becomes a complete WSGI environment, and only valid HTTP is sent."""

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidAnswer
from runtime.frontends.functions.wsgi import Body, Part, environment, head
from runtime.http.messages import Headers


def scope(**other: Any) -> dict[str, Any]:  # noqa: ANN401 - ASGI's own values
    plain = {"method": "GET", "path": "/", "query_string": b"", "http_version": "1.1", "headers": []}
    return {**plain, **other}


def variables(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    environ = environment(scope(headers=list(headers)), b"")
    return {name: value for name, value in environ.items() if name.startswith(("HTTP_", "CONTENT_"))}


def test_a_request_becomes_a_wsgi_environment() -> None:
    request = scope(
        method="POST",
        path="/é",
        query_string=b"a=%20",
        http_version="2",
        scheme="https",
        server=("s", 81),
        client=("1.2.3.4", 5),
        headers=[(b"content-type", b"text/plain"), (b"host", b"x")],
    )
    environ = environment(request, b"body")
    assert environ["wsgi.input"].read() == b"body"
    assert {name: value for name, value in environ.items() if name.isupper()} == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/é".encode().decode("latin-1"),
        "QUERY_STRING": "a=%20",
        "SERVER_PROTOCOL": "HTTP/2",
        "SERVER_NAME": "s",
        "SERVER_PORT": "81",
        "REMOTE_ADDR": "1.2.3.4",
        "REMOTE_PORT": "5",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "4",
        "HTTP_HOST": "x",
    }


def test_repeated_headers_are_joined_and_cookies_with_semicolons() -> None:
    assert variables((b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"c=1"), (b"cookie", b"d=2")) == {
        "HTTP_ACCEPT": "a,b",
        "HTTP_COOKIE": "c=1; d=2",
        "CONTENT_LENGTH": "0",
    }


def test_the_content_length_is_that_of_the_body_whatever_the_headers() -> None:
    assert variables((b"content-length", b"9"), (b"transfer-encoding", b"chunked")) == {"CONTENT_LENGTH": "0"}


def test_a_header_with_an_underscore_is_dropped() -> None:
    assert variables((b"x_user", b"root"), (b"x-user", b"guest")) == {"HTTP_X_USER": "guest", "CONTENT_LENGTH": "0"}


@pytest.mark.parametrize(("text", "number"), [("200 OK", 200), ("599 x", 599), ("204", 204), ("200 OK weird", 200)])
def test_a_status_is_its_number(text: str, number: int) -> None:
    assert head("GET", text, []).status == number


@pytest.mark.parametrize(
    "text", ["42 UNKNOWN", "1000 UNKNOWN", "-1 UNKNOWN", "0 secret", "199", "600 x", "101 x", "٢٠٠"]
)
def test_an_invalid_status_is_refused(text: str) -> None:
    with pytest.raises(InvalidAnswer, match="expected a whole number from 200 to 599") as refused:
        head("GET", text, [])
    assert "secret" not in str(refused.value)
    assert text in str(refused.value.__cause__)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é"])
def test_an_invalid_header_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidAnswer, match="name of a header"):
        head("GET", "200", [(name, "x")])


@pytest.mark.parametrize(("value", "got"), [("a\nb", "000A"), ("a\rb", "000D"), ("\0", "0000"), ("5 €", "20AC")])
def test_an_invalid_header_value_is_refused_without_repeating_it(value: str, got: str) -> None:
    with pytest.raises(InvalidAnswer, match=rf"header X-Price: got the character U\+{got}") as refused:
        head("GET", "200", [("X-Price", value)])
    assert value not in str(refused.value)


@pytest.mark.parametrize("value", ["", "-1", "3.5", "many", "1" * 19])
def test_an_invalid_content_length_is_refused(value: str) -> None:
    with pytest.raises(InvalidAnswer, match="Content-Length"):
        head("GET", "200", [("Content-Length", value)])


def test_headers_that_the_server_sets_are_dropped() -> None:
    dropped = [("Connection", "close"), ("Date", "Mon, 30 Nov 2026 12:00:00 GMT"), ("Transfer-Encoding", "chunked")]
    assert head("GET", "200", [*dropped, ("X-A", " b ")]).headers == [(b"x-a", b"b")]


def test_a_head_may_be_as_large_as_clients_of_http_2_accept() -> None:
    """Each header takes 32 bytes beside its characters; the server adds some of its own."""
    full = [(f"X{number:04}", "v" * (1008 - 5 - 32)) for number in range(64)]
    assert len(head("GET", "200", full).headers) == 64
    with pytest.raises(InvalidAnswer, match="head: got 65 headers of 64546 bytes in all; expected at most 64512 bytes"):
        head("GET", "200", [*full, ("Y", "v")])


@pytest.mark.parametrize(
    ("method", "status", "length"), [("GET", "200", 3), ("HEAD", "200", 0), ("GET", "304", 0), ("GET", "204", 0)]
)
def test_a_response_without_a_body_may_have_a_content_length(method: str, status: str, length: int) -> None:
    assert head(method, status, [("Content-Length", "3")]).length == length


@given(status=st.text(), headers=st.lists(st.tuples(st.text(), st.text())))
def test_any_response_head_is_valid_or_refused(status: str, headers: list[tuple[str, str]]) -> None:
    def sendable(fields: Headers) -> bool:
        return all(re.fullmatch(rb"[^\s:]+", name) and re.fullmatch(rb"[^\0\r\n]*", value) for name, value in fields)

    with suppress(InvalidAnswer):
        assert 200 <= head("GET", status, []).status <= 599
    with suppress(InvalidAnswer):
        assert sendable(head("GET", "200", headers).headers)


@given(pieces=st.lists(st.binary(max_size=4)), missing=st.one_of(st.none(), st.integers(min_value=-2, max_value=2)))
def test_a_body_has_its_content_length_or_is_refused(pieces: list[bytes], missing: int | None) -> None:
    whole = b"".join(pieces)
    length = None if missing is None else max(0, len(whole) + missing)
    body = Body(length)
    parts: list[Part] = []

    def send() -> None:
        parts.extend(part for piece in pieces if (part := body.add(piece)))
        parts.extend([part] if (part := body.end()) else [])

    if length not in (None, len(whole)):
        with pytest.raises(InvalidAnswer, match=r"body: got (more|fewer) bytes"):
            send()
        return
    send()
    assert b"".join(part.body for part in parts) == whole
    assert [part.more for part in parts] == [True] * (len(parts) - 1) + [False]


def test_a_body_that_is_too_short_is_detected_before_the_head_is_sent() -> None:
    body = Body(10)
    assert body.add(b"abc") is None
    with pytest.raises(InvalidAnswer, match="fewer"):
        body.end()


def test_a_complete_body_is_one_part() -> None:
    body = Body(3)
    assert body.add(memoryview(b"abc")) == (b"abc", False)
    assert body.end() is None


@pytest.mark.parametrize("piece", ["text", 5, None])
def test_a_piece_that_is_not_bytes_is_refused(piece: object) -> None:
    with pytest.raises(TypeError, match=type(piece).__name__):
        Body(None).add(piece)
