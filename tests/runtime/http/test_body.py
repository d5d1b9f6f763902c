"""Request bodies that arrive in pieces."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.http.body import Partial, extended, whole


def collected(pieces: list[bytes]) -> Partial:
    body: Partial = b""
    for piece in pieces:
        body = extended(body, piece)
    return body


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_a_body_is_its_pieces_in_order(pieces: list[bytes]) -> None:
    body = whole(collected(pieces))
    assert type(body) is bytes
    assert body == b"".join(pieces)


def test_a_body_of_one_piece_is_that_piece() -> None:
    piece = b"whole"
    assert whole(collected([piece])) is piece


@pytest.mark.parametrize("pieces", [2, 100])
def test_the_whole_body_is_returned_without_a_copy(pieces: int) -> None:
    tracemalloc.start()
    try:
        body = collected([bytes(2**20)] * pieces)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        result = whole(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(result) == pieces * 2**20
    assert peak < before + 2**20
