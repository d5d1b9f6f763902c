"""The messages of a stream do not depend on how its body is split into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, PayloadTooLarge
from runtime.frontends.grpc.framing import frame
from runtime.frontends.grpc.messages import Frames

LIMIT = 300


def taken(frames: Frames, pieces: list[bytes]) -> list[bytes]:
    """Feed the pieces, and return all complete frames."""
    found = []
    for piece in pieces:
        frames.feed(piece)
        while (each := frames.take()) is not None:
            found.append(each)
    return found


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.binary(max_size=LIMIT), max_size=8), st.lists(st.integers(0, 5000), max_size=20))
def test_messages_are_the_same_for_any_split_of_the_body(messages: list[bytes], places: list[int]) -> None:
    framed = [frame(each, gzip=False) for each in messages]
    frames = Frames(LIMIT)
    assert taken(frames, cut(b"".join(framed), places)) == framed
    assert frames.size == 0
    frames.end()


@given(st.binary(max_size=LIMIT), st.integers(1, 400))
def test_a_body_that_ends_within_a_message_is_refused(message: bytes, missing: int) -> None:
    body = frame(message, gzip=False)
    frames = Frames(LIMIT)
    incomplete = body[: max(1, len(body) - missing)]
    assert taken(frames, [incomplete]) == []
    assert frames.size == len(incomplete)
    with pytest.raises(
        InvalidInput, match=f"got {len(incomplete)} bytes of an incomplete message; expected the complete last"
    ):
        frames.end()


def test_a_message_above_the_limit_is_refused_from_its_prefix() -> None:
    frames = Frames(LIMIT)
    frames.feed(b"\0" + (LIMIT + 1).to_bytes(4, "big"))
    with pytest.raises(PayloadTooLarge, match="message: got 301 bytes; expected at most 300 bytes"):
        frames.take()


def test_an_invalid_flag_is_refused_after_the_messages_before_it() -> None:
    frames = Frames(LIMIT)
    frames.feed(frame(b"x", gzip=False) + b"\2\0\0\0\0")
    assert frames.take() == frame(b"x", gzip=False)
    with pytest.raises(InvalidInput, match="got flag 2; expected flag 0, or 1"):
        frames.take()
