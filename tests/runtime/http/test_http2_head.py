"""A cached field block is decoded as an uncached one is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.http.http2_head import Decoded, FieldBlockCache, Fields

HEAD: Fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", b"/a%20b?c=d"))
FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"cookie", b"host", b"x-request-id", b"content-length", b"accept"]),
        st.sampled_from([b"1", b"22"]),
    ),
    max_size=6,
)


def meaning(decoded: Decoded) -> tuple[object, ...]:
    request = decoded.request
    facts = (
        request.method,
        request.path,
        request.raw_path,
        request.query,
        request.headers,
        request.version,
        request.body,
    )
    return (*facts, request.header(b"host"), request.header(b"cookie"), decoded.content_length, decoded.size)


@given(FIELDS)
def test_a_cached_block_has_the_same_result(fields: list[tuple[bytes, bytes]]) -> None:
    block = (*HEAD, *fields)
    blocks = FieldBlockCache()
    first = blocks.decode(block)
    first.request.body = b"of the first"
    assert meaning(blocks.decode(block)) == meaning(FieldBlockCache().decode(block))


def test_each_request_is_a_new_object() -> None:
    blocks = FieldBlockCache()
    requests = [blocks.decode(HEAD).request for _ in range(3)]
    assert len({id(each) for each in requests}) == len(requests)


def test_requests_with_the_same_block_share_a_memo() -> None:
    blocks = FieldBlockCache()
    first, second = (blocks.decode(HEAD).request for _ in range(2))
    assert first.memo == {}
    assert second.memo is first.memo


def test_cookies_are_joined_and_the_authority_is_the_host() -> None:
    fields = (*HEAD, (b"cookie", b"a=1"), (b"host", b"other"), (b"cookie", b"b=2"))
    request = FieldBlockCache().decode(fields).request
    assert request.headers == [(b"cookie", b"a=1; b=2"), (b"host", b"a.example")]
    assert (request.path, request.raw_path, request.query) == ("/a b", b"/a%20b", b"c=d")


def test_the_cache_is_limited_in_number_and_size_of_blocks() -> None:
    blocks = FieldBlockCache()
    for number in range(1000):
        blocks.decode((*HEAD, (b"x-request-id", b"%d" % number)))
    blocks.decode((*HEAD, (b"x-long", b"x" * 10_000)))
    cache = blocks._cache
    assert 0 < len(cache) <= 256
    assert all(each.size <= 4096 for each in cache.values())


def test_a_path_that_is_not_ascii_is_refused_every_time() -> None:
    blocks = FieldBlockCache()
    for _ in range(2):
        with pytest.raises(UnicodeDecodeError):
            blocks.decode(((b":method", b"GET"), (b":path", b"/\xff")))
