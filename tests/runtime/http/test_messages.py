"""Requests and responses."""

from collections.abc import Iterator

import pytest

from runtime.http.messages import JSON, Answer, Request, bodiless, body_of, header_size


def asked(method: str = "GET", headers: list[tuple[bytes, bytes]] | None = None) -> Request:
    return Request(method, "/a b", b"/a%20b", b"c=d", headers or [], "1.1", b"body")


def test_header_returns_the_first_header_of_a_name_or_none() -> None:
    request = asked(headers=[(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    assert (request.header(b"a"), request.header(b"b"), request.header(b"c")) == (b"1", b"2", None)


def test_with_body_changes_only_the_body_and_the_time() -> None:
    first = asked("POST", [(b"a", b"1")])
    first.match = object()
    again = first.with_body(b"other")
    same = ("method", "path", "raw_path", "query", "headers", "version")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
    assert (again.body, again.match) == (b"other", None)
    assert again.started >= first.started


def test_parameters_are_those_of_the_matched_route() -> None:
    class Match:
        parameters = {"name": "m"}  # noqa: RUF012 - a value of this test

    request = asked()
    assert request.parameters == {}
    request.match = Match()
    assert request.parameters == {"name": "m"}


def test_an_answer_is_json_by_default() -> None:
    assert Answer(200).headers == [JSON]
    assert Answer(200, b"", []).headers == []


def test_a_header_counts_as_32_bytes_plus_its_name_and_value() -> None:
    assert header_size(b"name", b"value") == 4 + 5 + 32


@pytest.mark.parametrize(
    ("method", "status", "without"),
    [("GET", 200, False), ("HEAD", 200, True), ("GET", 204, True), ("POST", 304, True), ("POST", 205, False)],
)
def test_responses_to_head_and_with_some_statuses_have_no_body(method: str, status: int, without: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert bodiless(method, status) is without


def test_a_small_body_is_returned_whole() -> None:
    assert body_of([b"ab", memoryview(b"cd"), b""]) == b"abcd"


def test_a_large_body_is_returned_in_pieces_of_limited_size() -> None:
    parts: list[bytes | memoryview] = [b"head", memoryview(bytes(range(256)) * 10_000), b""]
    body = body_of(parts)
    assert isinstance(body, Iterator)
    pieces = list(body)
    assert b"".join(pieces) == b"".join(parts)
    assert max(map(len, pieces)) == 256 * 1024
