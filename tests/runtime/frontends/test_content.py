"""Compressed bodies are read within the limit, and answers are compressed where a client asks and it is worth it."""

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
    """Deflate without zlib's header, as some clients send it."""
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(body) + engine.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, bare": bare,
    "identity": bytes,
}


def asked(body: bytes = b"", **headers: str) -> Request:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request("POST", "/x", b"/x", b"", fields, "1.1", body)


def inflated(request: Request, limit: int = LIMIT) -> bytes:
    held: list[int] = []
    request.hold = held.append
    asyncio.run(content.inflate(request, limit))
    assert sum(held) in {0, len(request.body)}
    return request.body


def compressed(name: str, body: bytes) -> Request:
    return asked(CODINGS[name](body), content_encoding=name.partition(",")[0])


@given(st.sampled_from(sorted(CODINGS)), st.binary(max_size=2000))
def test_a_compressed_body_is_what_was_compressed(name: str, body: bytes) -> None:
    assert inflated(compressed(name, body)) == body


def test_a_body_without_a_coding_is_left_alone() -> None:
    assert inflated(asked(b"\x1f\x8bnot gzip")) == b"\x1f\x8bnot gzip"


def test_gzip_of_several_members_is_one_body() -> None:
    assert inflated(asked(gzip.compress(b"one ") + gzip.compress(b"two"), content_encoding="GZIP")) == b"one two"


def test_gzip_of_very_many_members_is_refused_soon() -> None:
    """Each member costs some work even where it is empty."""
    with pytest.raises(InvalidInput, match="more than 4096 gzip members"):
        inflated(asked(gzip.compress(b"") * 1_000_000, content_encoding="gzip"))


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare"])
def test_a_large_body_that_compresses_badly_is_what_was_compressed(name: str) -> None:
    body = random.Random(3).randbytes(900_000)  # noqa: S311 - nothing secret
    assert inflated(compressed(name, body)) == body


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare"])
def test_what_one_step_has_no_room_for_comes_with_the_next(name: str) -> None:
    for more in range(-2, 260, 13):  # a run of up to 258 bytes may wait inside zlib when all of its input is taken
        body = b"0" * (content._STEP + more)
        assert inflated(compressed(name, body)) == body


def test_what_follows_gzip_must_be_gzip() -> None:
    with pytest.raises(InvalidInput, match="no gzip"):
        inflated(asked(gzip.compress(b"one") + b"two", content_encoding="gzip"))


def test_what_a_body_inflates_to_is_counted_before_it_is_kept() -> None:
    def hold(size: int) -> None:
        raise Overloaded("bodies", limit=size, unit="bytes", retry_after=1)

    request = compressed("gzip", b"0" * LIMIT)
    request.hold = hold
    with pytest.raises(Overloaded):
        asyncio.run(content.inflate(request, LIMIT))


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare"])
def test_a_body_is_counted_as_what_it_inflates_to(name: str) -> None:
    assert len(inflated(compressed(name, b"0" * LIMIT))) == LIMIT
    with pytest.raises(PayloadTooLarge, match=f"more than {LIMIT} bytes"):
        inflated(compressed(name, b"0" * (LIMIT + 1)))


def test_a_bomb_is_given_up_at_the_limit() -> None:
    bomb = asked(zlib.compress(b"0" * 200_000_000, 9), content_encoding="deflate")
    bomb.hold = lambda _: None
    steps = content.inflated(bomb, "deflate", bomb.body, LIMIT)
    taken = [next(steps) for _ in range(LIMIT // content._STEP)]
    with pytest.raises(PayloadTooLarge):
        next(steps)
    assert len(taken) < 5


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, bare"])
@given(cut=st.integers(1, 8))
def test_a_body_that_is_cut_off_is_refused(name: str, cut: int) -> None:
    request = compressed(name, b"some text, long enough to be cut")
    request.body = request.body[:-cut]
    with pytest.raises(InvalidInput, match="cut off"):
        inflated(request)


def test_a_body_that_is_not_what_it_says_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no gzip"):
        inflated(asked(b'{"inputs": [1]}', content_encoding="gzip"))


def test_an_unknown_coding_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnsupportedEncoding, match=r"got 'br'; expected one of gzip, deflate, identity"):
        inflated(asked(b"x", content_encoding="br"))


LONG = b"0123456789" * 1000


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "*", "GZIP", "x-gzip", "gzip ; q=1"])
def test_a_long_answer_is_compressed_where_the_client_takes_it(accepted: str) -> None:
    answer = Answer(200, LONG)
    content.compress(asked(accept_encoding=accepted), answer)
    assert gzip.decompress(cast("bytes", answer.body)) == LONG
    assert (b"content-encoding", b"gzip") in answer.headers
    assert (b"vary", b"accept-encoding") in answer.headers


@pytest.mark.parametrize("accepted", ["", "br", "identity", "gzip;q=0", "gzip; q=0.000", "*;q=0"])
def test_an_answer_stays_as_it_is_where_the_client_does_not_take_gzip(accepted: str) -> None:
    answer = Answer(200, LONG)
    content.compress(asked(accept_encoding=accepted), answer)
    content.compress(asked(), answer)
    assert answer.body == LONG
    assert len(answer.headers) == 1


def test_a_short_or_compressed_answer_stays_as_it_is() -> None:
    short, done = Answer(200, LONG[:1000]), Answer(200, LONG, [(b"content-encoding", b"br")])
    for answer in (short, done):
        before = answer.body
        content.compress(asked(accept_encoding="gzip"), answer)
        assert answer.body is before


def test_an_answer_with_trailers_keeps_the_framing_that_it_has() -> None:
    answer = Answer(200, b"a" * 10_000, [], [(b"grpc-status", b"0")])
    content.compress(asked(accept_encoding="gzip"), answer)
    assert (answer.body, answer.headers) == (b"a" * 10_000, [])


def pieces() -> Iterator[bytes]:
    yield from (LONG, b"", LONG)


async def later_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


@pytest.mark.parametrize(
    ("body", "whole"),
    [(pieces, LONG * 2), (later_pieces, LONG * 2), (lambda: LONG * 100, LONG * 100)],
    ids=["pieces", "pieces that come later", "a large body"],
)
def test_a_body_in_pieces_is_compressed_piece_by_piece(body: object, whole: bytes) -> None:
    answer = Answer(200, body())  # type: ignore[operator]
    content.compress(asked(accept_encoding="gzip"), answer)

    async def read() -> bytes:
        return b"".join([piece async for piece in cast("AsyncIterator[bytes]", answer.body)])

    assert gzip.decompress(asyncio.run(read())) == whole


def test_others_have_their_turn_between_the_slices() -> None:
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
        return await content.in_turns(slices())

    assert asyncio.run(both()) == "done"
    assert turns.index("other") < len(turns) - 1 - turns[::-1].index("slice")


def test_random_bytes_never_do_more_than_be_refused() -> None:
    chance = random.Random(7)  # noqa: S311 - nothing secret
    for _ in range(300):
        request = asked(chance.randbytes(chance.randrange(60)), content_encoding=chance.choice(["gzip", "deflate"]))
        try:
            inflated(request)
        except InvalidInput:
            continue
