"""A field block means the same whether it is known or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.http.http2_head import Decoded, FieldBlocks, Fields

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
    return (*facts, request.header(b"host"), request.header(b"cookie"), decoded.announced, decoded.size)


@given(FIELDS)
def test_a_block_that_is_known_means_what_it_meant(fields: list[tuple[bytes, bytes]]) -> None:
    block = (*HEAD, *fields)
    blocks = FieldBlocks()
    first = blocks.decode(block)
    first.request.body = b"of the first"
    assert meaning(blocks.decode(block)) == meaning(FieldBlocks().decode(block))


def test_each_request_is_its_own() -> None:
    blocks = FieldBlocks()
    requests = [blocks.decode(HEAD).request for _ in range(3)]
    assert len({id(each) for each in requests}) == len(requests)


def test_cookies_are_joined_and_the_authority_is_the_host() -> None:
    fields = (*HEAD, (b"cookie", b"a=1"), (b"host", b"other"), (b"cookie", b"b=2"))
    request = FieldBlocks().decode(fields).request
    assert request.headers == [(b"cookie", b"a=1; b=2"), (b"host", b"a.example")]
    assert (request.path, request.raw_path, request.query) == ("/a b", b"/a%20b", b"c=d")


def test_the_blocks_that_are_remembered_are_bounded_in_number_and_length() -> None:
    blocks = FieldBlocks()
    for number in range(1000):
        blocks.decode((*HEAD, (b"x-request-id", b"%d" % number)))
    blocks.decode((*HEAD, (b"x-long", b"x" * 10_000)))
    known = blocks._known
    assert 0 < len(known) <= 256
    assert all(each.size <= 4096 for each in known.values())


def test_a_path_that_is_no_ascii_is_refused_each_time() -> None:
    blocks = FieldBlocks()
    for _ in range(2):
        with pytest.raises(UnicodeDecodeError):
            blocks.decode(((b":method", b"GET"), (b":path", b"/\xff")))
