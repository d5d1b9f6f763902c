"""A request becomes the variables and arguments of CGI, and a guest's output a response, or an error that says why."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import GuestAnswerInvalid, InvalidInput
from runtime.frontends.functions.wsgi import environment
from runtime.frontends.wasm import cgi

HTML = ("Content-Type", "text/html")


def environ(**scope: Any) -> dict[str, Any]:  # noqa: ANN401 - the values of a scope
    body = scope.pop("body", b"")
    defaults = {
        "method": "POST",
        "path": "/a/ä b",
        "query_string": b"x=1&y=%20",
        "http_version": "1.1",
        "headers": [(b"host", b"example.com"), (b"content-type", b"text/plain"), (b"x-me", b"you")],
        "server": ("127.0.0.1", 8080),
        "client": ("10.0.0.1", 99),
    }
    return environment({**defaults, **scope}, body)


def test_a_request_has_the_variables_of_cgi_and_wagi() -> None:
    assert dict(cgi.variables(environ(body=b"hello"))) == {
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "text/plain",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_HOST": "example.com",
        "HTTP_X_ME": "you",
        "PATH_INFO": "/a/ä b",
        "QUERY_STRING": "x=1&y=%20",
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "99",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "scalezero",
        "X_FULL_URL": "http://example.com/a/%C3%A4%20b?x=1&y=%20",
        "X_MATCHED_ROUTE": "/...",
        "X_RAW_PATH_INFO": "/a/%C3%A4%20b",
    }


def test_a_request_without_a_body_has_no_content_length() -> None:
    """Source: RFC 3875, section 4.1.2."""
    assert "CONTENT_LENGTH" not in dict(cgi.variables(environ()))


@pytest.mark.parametrize("header", [b"authorization", b"proxy", b"proxy-authorization", b"connection"])
def test_credentials_and_settings_of_proxies_are_withheld(header: bytes) -> None:
    names = dict(cgi.variables(environ(headers=[(header, b"secret")])))
    assert not [name for name in names if name.startswith("HTTP_")]
    assert names["X_FULL_URL"].startswith("http://127.0.0.1:8080/")


def test_a_header_is_utf_8_or_latin_1() -> None:
    sent = [(b"x-u", "ä".encode()), (b"x-l", b"\xe4")]
    assert {"HTTP_X_U": "ä", "HTTP_X_L": "ä"}.items() <= dict(cgi.variables(environ(headers=sent))).items()


def test_a_path_with_nul_is_refused_because_a_guest_would_read_another_one() -> None:
    with pytest.raises(InvalidInput, match=r"path: got the character U\+0000"):
        cgi.variables(environ(path="/public\0/secret"))


@pytest.mark.parametrize(
    ("query", "expected"), [(b"", ["g"]), (b"a=1&b=%26", ["g", "a=1", "b=%26"]), (b"word", ["g", "word"])]
)
def test_the_arguments_are_the_name_and_the_parameters_of_the_query(query: bytes, expected: list[str]) -> None:
    assert cgi.arguments("g", environ(query_string=query)) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"Content-Type: text/html\n\nhi", (200, [HTML], b"hi")),
        (b"Content-Type: text/html\r\n\r\nhi\n\n", (200, [HTML], b"hi\n\n")),
        (b"Content-Type:text/html\nStatus: 404 Not Found\n\nno", (404, [HTML], b"no")),
        (b"status: 204\n\n", (204, [], b"")),
        (b"Location: https://example.com/\n\n", (302, [("Location", "https://example.com/")], b"")),
        (b"Location: /x\nStatus: 307\n\n", (307, [("Location", "/x")], b"")),
        (b"Content-Type: text/html\nX-A: 1\nX-A: 2\n\n", (200, [HTML, ("X-A", "1"), ("X-A", "2")], b"")),
        (b"Content-Type: text/html\nContent-Length: 2\n\nhi", (200, [HTML, ("Content-Length", "2")], b"hi")),
    ],
)
def test_an_output_is_a_response(output: bytes, expected: cgi.Response) -> None:
    assert cgi.response(output, method="GET") == expected


def test_the_body_of_an_answer_to_head_is_discarded() -> None:
    """Source: RFC 3875, section 4.3.2."""
    answer = cgi.response(b"Content-Type: text/html\nContent-Length: 9\n\nhi", method="HEAD")
    assert answer == (200, [HTML, ("Content-Length", "9")], b"")


@pytest.mark.parametrize(
    ("output", "headers"),
    [
        (b"Content-Type: text/html\n\nhi", [HTML, ("Content-Length", "2")]),
        (b"Content-Type: text/html\n\n", [HTML]),
        (b"Content-Type: text/html\nStatus: 204\n\nhi", [HTML]),
    ],
)
def test_the_answer_to_head_has_the_length_of_the_body(output: bytes, headers: list[tuple[str, str]]) -> None:
    assert cgi.response(output, method="HEAD").headers == headers


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (b"", "head: got 0 bytes without an empty line; expected header lines, an empty line and the body"),
        (b"hello", "head: got 5 bytes without an empty line"),
        (b"X: 1\n" * 20_000, "head: got no empty line in 65536 bytes"),
        (b"hello\n\nworld", "line 1 of the head: got no colon"),
        (b"\nbody", "head: got none of them; expected a header Content-Type, Location or Status"),
        (b"X-Other: 1\n\n", "head: got none of them"),
        (b"Status: 200\nSTATUS: 201\n\n", "STATUS: got the header twice; expected one value"),
        (b"Status: OK\n\n", "Status: got another text; expected three digits and a text, such as 404 Not Found"),
        (b"Status: 200\n\nbody", "head: got a body without Content-Type"),
        (b"Status: 204\nContent-Type: a/b\n\nbody", "body: got 4 bytes; expected no bytes after status 204"),
        (b"Content-Type: a/b\nContent-Length: 9\n\nbody", "Content-Length: got another value; expected 4, the number"),
        (b"Content-Type: a/b\nContent-Length: 9\n\n", "Content-Length: got another value; expected 0, the number"),
        (b"Status: 204\nContent-Length: 9\n\n", "Content-Length: got another value; expected 0, the number"),
        (b"Content-Type: a/b\nContent-Length: 2\ncontent-length: 9\n\nhi", "content-length: got the header twice"),
        (b"Content-Length: 0\n\n", "head: got none of them; expected a header Content-Type"),
    ],
)
def test_another_output_is_an_error_that_names_the_part(output: bytes, message: str) -> None:
    with pytest.raises(GuestAnswerInvalid) as caught:
        cgi.response(output, method="GET")
    assert caught.value.message.startswith(f"output of the guest: {message}")


@given(
    headers=st.lists(
        st.tuples(st.from_regex(r"X-[A-Za-z]{1,8}", fullmatch=True), st.from_regex(r"[!-~]{0,9}", fullmatch=True)),
        max_size=4,
    ),
    body=st.binary(max_size=64),
    end=st.sampled_from(["\n", "\r\n"]),
    status=st.integers(200, 599).filter(lambda status: status not in {204, 304}),
)
def test_what_is_rendered_is_parsed(headers: list[tuple[str, str]], body: bytes, end: str, status: int) -> None:
    lines = [HTML, *headers, ("Status", str(status))]
    head = "".join(f"{name}: {value}{end}" for name, value in lines) + end
    assert cgi.response(head.encode() + body, method="GET") == (status, [HTML, *headers], body)


@given(st.binary(max_size=200))
def test_any_output_is_a_response_or_an_error_of_the_guest(output: bytes) -> None:
    with suppress(GuestAnswerInvalid):
        cgi.response(output, method="GET")
