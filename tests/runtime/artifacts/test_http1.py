"""Tests of the bytes of a request and of the head of a response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.artifacts.http1 import Head, Range, chunk_size, content_range, parse_head, render_request


def test_a_request_is_rendered() -> None:
    assert render_request("GET", "/b/k", {"host": "h"}) == b"GET /b/k HTTP/1.1\r\nhost: h\r\n\r\n"
    assert render_request("POST", "/", {"host": "h"}, body=b"a=b").endswith(b"content-length: 3\r\n\r\na=b")


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\n", "\0"])
def test_a_value_with_a_line_break_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control character in 'x'") as raised:
        render_request("GET", "/", {"x": value})
    assert value not in str(raised.value)


def test_a_head_is_parsed_with_names_in_lower_case() -> None:
    head = parse_head(b'HTTP/1.1 206 Partial Content\r\nETag: "e"\r\nX-Amz-Meta-A:  1 \r\nx-amz-meta-a: 2')
    assert head == Head(206, {"etag": '"e"', "x-amz-meta-a": "1, 2"})
    assert parse_head(b"HTTP/1.0 404").status == 404


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_value_error(noise: bytes) -> None:
    for raw in (noise, b"HTTP/1.1 200 OK\r\n" + noise):
        try:
            head = parse_head(raw)
        except ValueError:
            continue
        assert head.chunked or head.length is None or head.length >= 0


@pytest.mark.parametrize(
    ("head", "length", "keeps_alive"),
    [
        (Head(200, {"content-length": "5"}), 5, True),
        (Head(200, {"content-length": "5", "connection": "Close"}), 5, False),
        (Head(200, {"transfer-encoding": "chunked"}), None, True),
        (Head(200, {}), None, False),
        (Head(304, {"content-length": "5"}), 0, True),
        (Head(204, {}), 0, True),
    ],
)
def test_the_head_determines_the_length_of_the_body(head: Head, length: int | None, *, keeps_alive: bool) -> None:
    assert (head.length, head.keeps_alive) == (length, keeps_alive)


def test_only_a_valid_content_range_is_accepted() -> None:
    assert content_range(Head(206, {"content-range": "bytes 5-9/10"})) == Range(5, 10, 10)
    for text in ("", "bytes 9-5/10", "bytes 0-10/10", "bytes 0-4/*", "items 0-4/5", "bytes 0-" + "9" * 30 + "/5"):
        with pytest.raises(ValueError, match="Content-Range"):
            content_range(Head(206, {"content-range": text}))


def test_the_size_of_a_chunk_is_parsed() -> None:
    assert [chunk_size(line) for line in (b"0", b"fF", b"10;name=value", b"1 ")] == [0, 255, 16, 1]
    for line in (b"", b"-1", b"g", b"0x1", b"f" * 17):
        with pytest.raises(ValueError, match="chunk"):
            chunk_size(line)
