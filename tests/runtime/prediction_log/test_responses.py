"""The reader of responses: whole responses in any pieces, and an error for everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.prediction_log.responses import Response, ResponseReader

HEAD = b"HTTP/1.1 202 Accepted\r\n"
VALID = {
    "empty": (HEAD + b"content-length: 0\r\n\r\n", Response(202, None, keeps_alive=True, text=b"")),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", Response(204, None, keeps_alive=True, text=b"")),
    "body": (
        b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy",
        Response(503, "3", keeps_alive=True, text=b"busy"),
    ),
    "chunked": (
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        Response(202, None, keeps_alive=True, text=b"abc"),
    ),
    "trailer": (
        HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n",
        Response(202, None, keeps_alive=True, text=b""),
    ),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"content-length: 0\r\n\r\n",
        Response(202, None, keeps_alive=True, text=b""),
    ),
    "closed": (
        HEAD + b"connection: close\r\ncontent-length: 0\r\n\r\n",
        Response(202, None, keeps_alive=False, text=b""),
    ),
    "until close": (HEAD + b"\r\n", Response(202, None, keeps_alive=False, text=b"")),
}


@pytest.mark.parametrize(("data", "expected"), VALID.values(), ids=VALID)
def test_a_response_is_read_byte_by_byte_and_at_once(data: bytes, expected: Response) -> None:
    reader = ResponseReader({})
    for _ in range(2):
        parts = [reader.feed(data[at : at + 1]) for at in range(len(data))]
        assert parts == [None] * (len(data) - 1) + [expected]
        assert reader.feed(data) == expected


@given(st.sampled_from(sorted(VALID)), st.data())
def test_a_response_is_read_in_any_two_pieces(name: str, draw: st.DataObject) -> None:
    data, expected = VALID[name]
    at = draw.draw(st.integers(1, len(data) - 1))
    reader = ResponseReader({})
    assert (reader.feed(data[:at]), reader.feed(data[at:])) == (None, expected)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n\r\n",
        HEAD + b"content-length: 1\r\n\r\nab",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\na",
        HEAD + b"transfer-encoding: chunked\r\n\r\nx\r\n",
        HEAD + b"x: " + b"y" * 300_000,
    ],
    ids=["no HTTP", "too long", "two lengths", "no chunk", "too large"],
)
def test_anything_else_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"response|Content-Length"):
        ResponseReader({}).feed(data)


def test_a_large_body_is_read_and_only_its_start_is_kept() -> None:
    data = b"x" * 100_000
    assert ResponseReader({}).feed(HEAD + b"content-length: 100000\r\n\r\n" + data) == Response(
        202, None, keeps_alive=True, text=b"x" * 200
    )


def test_known_responses_are_bounded() -> None:
    known: dict[bytes, Response] = {}
    reader = ResponseReader(known)
    for number in range(1000):
        reader.feed(HEAD + b"x-id: %d\r\ncontent-length: 0\r\n\r\n" % number)
    assert len(known) <= 64
