"""gRPC's framing: exactly one message; anything else is refused with the reason."""

import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, PayloadTooLarge, ScalezeroError, UnsupportedEncoding
from runtime.frontends.grpc import framing
from runtime.http.messages import Answer, Headers, Request

LIMIT = 10_000
NOISE = random.Random(1).randbytes(5000)  # noqa: S311 - incompressible
GZIP: Headers = [(b"grpc-encoding", b"gzip"), (b"grpc-accept-encoding", b"identity, deflate, gzip")]


def call(body: bytes, headers: Headers | None = None) -> Request:
    request = Request("POST", "/s/m", b"/s/m", b"", headers or [], "2", body)
    request.reserve = lambda _: None
    return request


def frame(content: bytes, *, flag: int = 0) -> bytes:
    return bytes([flag]) + len(content).to_bytes(4, "big") + content


def inflated(request: Request, limit: int = LIMIT) -> bytes:
    slices = framing.inflated_message(request, limit)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            content: bytes = end.value
            return content


@given(st.binary(max_size=200))
def test_a_view_is_the_message(content: bytes) -> None:
    assert framing.view(call(frame(content))) == content


@given(st.binary())
def test_a_framed_message_is_read_back(content: bytes) -> None:
    body = framing.answer(content).body
    assert body == frame(content)
    assert framing.message(call(body)) == inflated(call(body)) == content


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "message: got 0 bytes; expected a prefix of 5 bytes and one message"),
        (b"\0\0\0\0", "got 4 bytes"),
        (b"\2\0\0\0\0", "got flag 2; expected flag 0, or 1"),
        (b"\0\0\0\0\2x", "got 1 of 2 bytes; expected the complete message"),
        (b"\0\xff\xff\xff\xffx", "got 1 of 4294967295 bytes"),
        (frame(b"x") + b"y", "got 1 byte after the first message; expected one message"),
        (frame(b"x") * 2, "got 6 bytes after the first message"),
    ],
)
def test_a_body_that_is_not_one_message_is_refused(body: bytes, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        framing.message(call(body))


@given(st.binary(max_size=12))
def test_any_bytes_are_one_message_or_are_refused(body: bytes) -> None:
    try:
        content = framing.message(call(body))
    except InvalidInput:
        return
    assert body[1:] == frame(content)[1:]


@pytest.mark.parametrize(
    ("coding", "compress"), [(b"gzip", gzip.compress), (b"GZIP", gzip.compress), (b"deflate", zlib.compress)]
)
def test_a_compressed_message_is_decompressed(coding: bytes, compress: object) -> None:
    content = b"abc" * 1000
    body = frame(compress(content), flag=1)  # type: ignore[operator]
    assert framing.compressed(call(body))
    assert inflated(call(body, [(b"grpc-encoding", coding)])) == content


@pytest.mark.parametrize(
    ("headers", "content", "kind"),
    [
        ([], b"", InvalidInput),
        ([(b"grpc-encoding", b"identity")], b"", InvalidInput),
        ([(b"grpc-encoding", b"snappy")], b"", UnsupportedEncoding),
        (GZIP, b"no gzip", InvalidInput),
        (GZIP, gzip.compress(b"a" * 100, mtime=0)[:-9], InvalidInput),
        (GZIP, gzip.compress(b"a" * (LIMIT + 1), mtime=0), PayloadTooLarge),
    ],
)
def test_an_invalid_compressed_message_is_refused(headers: Headers, content: bytes, kind: type[ScalezeroError]) -> None:
    with pytest.raises(kind):
        inflated(call(frame(content, flag=1), headers))


def test_an_unknown_coding_is_refused_with_its_header_and_the_known_codings() -> None:
    with pytest.raises(
        UnsupportedEncoding, match="grpc-encoding: got 'snappy'; expected one of gzip, deflate, identity"
    ):
        inflated(call(frame(b"", flag=1), [(b"grpc-encoding", b"snappy")]))


def test_an_unused_coding_is_ignored() -> None:
    assert inflated(call(frame(b"x"), [(b"grpc-encoding", b"snappy")])) == b"x"


def compressed(body: bytes, headers: Headers, content: bytes) -> Answer:
    answer = framing.answer(content)
    framing.compress(call(body, headers), answer)
    return answer


def test_the_response_to_a_compressed_message_is_compressed() -> None:
    content = b"abc" * 1000
    answer = compressed(frame(b"", flag=1), GZIP, content)
    assert isinstance(answer.body, bytes)
    assert (b"grpc-encoding", b"gzip") in answer.headers
    assert answer.body[0] == 1
    assert int.from_bytes(answer.body[1:5], "big") == len(answer.body) - 5
    assert gzip.decompress(answer.body[5:]) == content


@pytest.mark.parametrize(
    ("flag", "headers", "content"),
    [
        (0, GZIP, b"abc" * 1000),  # the client accepts gzip, but its message is not compressed
        (1, [], b"abc" * 1000),
        (1, [(b"grpc-accept-encoding", b"deflate")], b"abc" * 1000),
        (1, GZIP, b"short"),
        (1, GZIP, NOISE),
    ],
)
def test_every_other_response_is_unchanged(flag: int, headers: Headers, content: bytes) -> None:
    answer = compressed(frame(b"", flag=flag), headers, content)
    assert answer.body == frame(content)
    assert all(name != b"grpc-encoding" for name, _ in answer.headers)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"250m", 0.25), (b"99999999u", 99.999999), (b"5n", 5e-9), (b"0S", 0)],
)
def test_a_timeout_is_a_number_and_a_unit(value: bytes, seconds: float) -> None:
    assert framing.timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"S", b"1", b"1s", b"-1S", b"1.5S", b"123456789S", b"+1S", b" 1S", b"1 S"])
def test_any_other_timeout_is_refused(value: bytes) -> None:
    with pytest.raises(
        InvalidInput, match=r"grpc-timeout: got .*expected at most 8 digits and one of H, M, S, m, u, n"
    ):
        framing.timeout(value)
