"""Compressed bodies are read within the limit, and responses are compressed if the client accepts it."""

import asyncio
import gzip
import random
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, Overloaded, PayloadTooLarge, UnsupportedEncoding
from runtime.frontends import content
from runtime.http.messages import Answer, Request

LIMIT = 1_000_000


def bare(body: bytes) -> bytes:
    """Compress with deflate without zlib's header, as some clients do."""
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(body) + engine.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, bare": bare,
    "identity": bytes,
}


def make_request(body: bytes = b"", **headers: str) -> Request:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request("POST", "/x", b"/x", b"", fields, "1.1", body)


def inflated(request: Request, limit: int = LIMIT) -> bytes:
    held: list[int] = []
    request.reserve = held.append
    asyncio.run(content.inflate(request, limit))
    assert sum(held) in {0, len(request.body)}
    return request.body


def compressed(name: str, body: bytes) -> Request:
    return make_request(CODINGS[name](body), content_encoding=name.partition(",")[0])


@given(st.sampled_from(sorted(CODINGS)), st.binary(max_size=2000))
def test_a_compressed_body_is_decompressed(name: str, body: bytes) -> None:
    assert inflated(compressed(name, body)) == body


def test_a_body_without_a_coding_is_unchanged() -> None:
    assert inflated(make_request(b"\x1f\x8bnot gzip")) == b"\x1f\x8bnot gzip"


def test_gzip_members_are_concatenated() -> None:
    assert inflated(make_request(gzip.compress(b"one ") + gzip.compress(b"two"), content_encoding="GZIP")) == b"one two"


def test_too_many_gzip_members_are_refused() -> None:
    """Even an empty member needs some work."""
    with pytest.raises(InvalidInput, match="more than 4096 gzip members"):
        inflated(make_request(gzip.compress(b"") * 1_000_000, content_encoding="gzip"))


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare"])
def test_a_large_incompressible_body_is_decompressed(name: str) -> None:
    body = random.Random(3).randbytes(900_000)  # noqa: S311 - nothing secret
    assert inflated(compressed(name, body)) == body


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare"])
def test_output_that_does_not_fit_into_a_step_is_in_the_next(name: str) -> None:
    for more in range(-2, 260, 13):  # zlib may hold back a run of up to 258 bytes after it has read all of its input
        body = b"0" * (content._STEP + more)
        assert inflated(compressed(name, body)) == body


def test_data_after_a_gzip_member_must_be_gzip() -> None:
    with pytest.raises(InvalidInput, match="invalid gzip data"):
        inflated(make_request(gzip.compress(b"one") + b"two", content_encoding="gzip"))


def test_decompressed_bytes_are_counted_before_they_are_kept() -> None:
    def hold(size: int) -> None:
        raise Overloaded("bodies", limit=size, unit="bytes", retry_after=1)

    request = compressed("gzip", b"0" * LIMIT)
    request.reserve = hold
    with pytest.raises(Overloaded):
        asyncio.run(content.inflate(request, LIMIT))


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare"])
def test_a_body_counts_with_its_decompressed_size(name: str) -> None:
    assert len(inflated(compressed(name, b"0" * LIMIT))) == LIMIT
    with pytest.raises(PayloadTooLarge, match=f"more than {LIMIT} bytes"):
        inflated(compressed(name, b"0" * (LIMIT + 1)))


def test_a_decompression_bomb_is_stopped_at_the_limit() -> None:
    bomb = make_request(zlib.compress(b"0" * 200_000_000, 9), content_encoding="deflate")
    bomb.reserve = lambda _: None
    steps = content.inflated(bomb, "deflate", bomb.body, LIMIT)
    taken = [next(steps) for _ in range(LIMIT // content._STEP)]
    with pytest.raises(PayloadTooLarge):
        next(steps)
    assert len(taken) < 5


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare"])
@given(cut=st.integers(1, 8))
def test_a_truncated_body_is_refused(name: str, cut: int) -> None:
    request = compressed(name, b"some text, long enough to be cut")
    request.body = request.body[:-cut]
    with pytest.raises(InvalidInput, match="truncated"):
        inflated(request)


def test_a_body_that_does_not_match_its_coding_is_refused() -> None:
    with pytest.raises(InvalidInput, match="invalid gzip data"):
        inflated(make_request(b'{"inputs": [1]}', content_encoding="gzip"))


def test_an_unknown_coding_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnsupportedEncoding, match=r"got 'br'; expected one of gzip, deflate, identity"):
        inflated(make_request(b"x", content_encoding="br"))


LONG = b"0123456789" * 1000


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "*", "GZIP", "x-gzip", "gzip ; q=1"])
def test_a_long_response_is_compressed_if_the_client_accepts_gzip(accepted: str) -> None:
    answer = Answer(200, LONG)
    content.compress(make_request(accept_encoding=accepted), answer)
    assert gzip.decompress(cast("bytes", answer.body)) == LONG
    assert (b"content-encoding", b"gzip") in answer.headers
    assert (b"vary", b"accept-encoding") in answer.headers


@pytest.mark.parametrize("accepted", ["", "br", "identity", "gzip;q=0", "gzip; q=0.000", "*;q=0"])
def test_a_response_is_unchanged_if_the_client_does_not_accept_gzip(accepted: str) -> None:
    answer = Answer(200, LONG)
    content.compress(make_request(accept_encoding=accepted), answer)
    content.compress(make_request(), answer)
    assert answer.body == LONG
    assert len(answer.headers) == 1


def test_a_short_or_compressed_response_is_unchanged() -> None:
    short, done = Answer(200, LONG[:1000]), Answer(200, LONG, [(b"content-encoding", b"br")])
    for answer in (short, done):
        before = answer.body
        content.compress(make_request(accept_encoding="gzip"), answer)
        assert answer.body is before


def test_a_response_with_trailers_is_unchanged() -> None:
    answer = Answer(200, b"a" * 10_000, [], [(b"grpc-status", b"0")])
    content.compress(make_request(accept_encoding="gzip"), answer)
    assert (answer.body, answer.headers) == (b"a" * 10_000, [])


def pieces() -> Iterator[bytes]:
    yield from (LONG, b"", LONG)


async def later_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


@pytest.mark.parametrize(
    ("body", "decompressed"),
    [(pieces, LONG * 2), (later_pieces, LONG * 2), (lambda: LONG * 100, LONG * 100)],
    ids=["pieces", "pieces that come later", "a large body"],
)
def test_a_body_in_pieces_is_compressed_in_pieces(body: object, decompressed: bytes) -> None:
    answer = Answer(200, body())  # type: ignore[operator]
    content.compress(make_request(accept_encoding="gzip"), answer)

    async def read() -> bytes:
        return b"".join([piece async for piece in cast("AsyncIterator[bytes]", answer.body)])

    assert gzip.decompress(asyncio.run(read())) == decompressed


def test_other_tasks_run_between_the_slices() -> None:
    turns: list[str] = []

    def slices() -> content.Slices[str]:
        for _ in range(3):
            turns.append("slice")
            yield
        return "done"

    async def both() -> str:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            loop.call_soon(turns.append, "other")
            loop.call_soon(loop.call_soon, turns.append, "other")
        return await content.run_slices(slices())

    assert asyncio.run(both()) == "done"
    assert turns.index("other") < len(turns) - 1 - turns[::-1].index("slice")


def test_random_bytes_are_decompressed_or_refused() -> None:
    chance = random.Random(7)  # noqa: S311 - nothing secret
    for _ in range(300):
        request = make_request(
            chance.randbytes(chance.randrange(60)), content_encoding=chance.choice(["gzip", "deflate"])
        )
        try:
            inflated(request)
        except InvalidInput:
            continue
