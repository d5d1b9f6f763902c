"""Forms: parts and fields of any number and size, split at any byte, are parsed completely or refused within limits."""

import contextlib
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, PayloadTooLarge, ScalezeroError
from runtime.http.messages import Request
from runtime.protocols.torchserve import forms
from tests.runtime.protocols.torchserve.requests import BOUNDARY, multipart, request

T = TypeVar("T")
FIELDS = "application/x-www-form-urlencoded"


def all_of(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            whole: T = end.value
            return whole


def parts(request: Request) -> list[tuple[str, bytes]]:
    return [(part.name, bytes(part.data)) for part in all_of(forms.parts(request))]


def test_a_body_that_is_not_a_form_is_one_part() -> None:
    [part] = all_of(forms.parts(request(b"abc", "Application/Octet-Stream; x=y")))
    assert (part.name, bytes(part.data), part.octets, part.text) == ("body", b"abc", True, False)


@given(st.lists(st.tuples(st.text("abcXY -_ä", min_size=1), st.binary(max_size=300)), min_size=1, max_size=8))
def test_multipart_forms_survive_a_round_trip(sent: list[tuple[str, bytes]]) -> None:
    sent = [(name, data) for name, data in sent if BOUNDARY.encode() not in data]
    if sent:
        assert parts(request(*multipart(*sent))) == sent


def test_a_large_part_is_parsed_in_steps() -> None:
    data = b"\r\n--" * 800_000
    steps = forms.parts(request(*multipart(("data", data), ("more", b"x"))))
    assert sum(1 for _ in iter(lambda: next(steps, "end"), "end")) > 3
    assert parts(request(*multipart(("data", data), ("more", b"x")))) == [("data", data), ("more", b"x")]


def test_the_parser_may_report_bytes_before_a_step() -> None:
    start = len(multipart(("data", b""))[0]) - len(f"\r\n--{BOUNDARY}--\r\n")
    for shift in range(12):  # a false boundary across two steps
        data = b"x" * (2**20 - start - shift) + f"\r\n--{BOUNDARY[:2]}".encode() + b"y" * 20
        assert parts(request(*multipart(("data", data)))) == [("data", data)]


def test_a_partial_boundary_across_two_steps_is_data() -> None:
    start = len(multipart(("data", b""))[0]) - len(f"\r\n--{BOUNDARY}--\r\n")
    for data in (b"\r\n-", b"\r\n--", b"\r", b"\r\n--X"):
        padding = b"p" * (2**20 - 2 * start - len("\r\n") - 2)
        for shift in range(8):
            sent = [("padd", padding[shift:]), ("data", data), ("more", b"x")]
            assert parts(request(*multipart(*sent))) == sent


def test_a_part_has_its_content_type_and_whether_it_is_a_field() -> None:
    [part] = all_of(forms.parts(request(*multipart(("a", b""), kind="Text/CSV; charset=x"))))
    assert (part.kind, part.text) == (b"text/csv", False)
    [part] = all_of(forms.parts(request(*multipart(("a", b""), file=False))))
    assert (part.kind, part.text) == (b"", True)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", "multipart/form-data", "without a boundary"),
        (b"--a\r\n", "multipart/form-data; boundary=" + "a" * 300, "Boundary length"),
        (b"hello", f"multipart/form-data; boundary={BOUNDARY}", "an invalid form"),
        (b"", f"multipart/form-data; boundary={BOUNDARY}", "an incomplete form"),
        (multipart(("a", b"1"))[0][:-4], f"multipart/form-data; boundary={BOUNDARY}", "an incomplete form"),
        (f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}", "without a field"),
        (f"--{BOUNDARY}\r\n\r\n\r\n--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}", "name"),
        (
            f"--{BOUNDARY}\r\n".encode() + b"a: b\r\n" * 17 + b"\r\n",
            f"multipart/form-data; boundary={BOUNDARY}",
            "an invalid form",
        ),
        (
            f"--{BOUNDARY}\r\na: ".encode() + b"b" * 9000,
            f"multipart/form-data; boundary={BOUNDARY}",
            "an invalid form",
        ),
        (b"", FIELDS, "without a field"),
        (b'{"inputs": [1, 2]}', FIELDS, "add the header Content-Type: application/json"),
    ],
)
def test_an_invalid_form_is_refused(body: bytes, kind: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parts(request(body, kind))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        multipart(*[("a", b"")] * 257),
        (b"&".join([b"a=1"] * 257), FIELDS),
        (b"a=" + b"1" * 2**16, FIELDS),
    ],
    ids=["parts", "fields", "bytes"],
)
def test_a_form_beyond_the_limits_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(PayloadTooLarge):
        parts(request(body, kind))


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_any_form_is_parsed_or_refused(head: bytes, data: bytes) -> None:
    mark = BOUNDARY.encode()
    body = b"--" + mark + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n--" + mark + b"--\r\n"
    for each, kind in ((body, f"multipart/form-data; boundary={BOUNDARY}"), (head + b"=" + data, FIELDS)):
        with contextlib.suppress(ScalezeroError):
            assert parts(request(each, kind))
