"""A text may be split only where both sides can be parsed separately."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.json.cuts import splits, string_cut, string_end
from tests.runtime.protocols.json.texts import texts


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (b'{"a":[1,2,3', b"^    ^   ^  "),
        (b'{"a":[1,2],"b":{"c":', b"^         ^         "),
        (b"1,2,3", b"   ^ "),
        (b"3,4],[5,6],[7,8", b"   ^      ^^ ^ "),
        (b"3]],{},[1],2", b" ^^       ^ "),
        (b'"a,[":"b]","c', b"          ^  "),
        (b'"\\",",1,"\\\\",2', b"            ^ "),
        (b"12345", b"     "),
        (b"[[[", b"   "),
    ],
)
def test_a_text_is_split_where_containers_stay_open(text: bytes, marked: bytes) -> None:
    assert splits(text, whole=False).positions == [at for at, mark in enumerate(marked) if mark == ord("^")]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (b"[[[", b"^^^"),
        (b"1,2]}", b"   ^^"),
        (b"1,[2,3]]", b"       ^"),
        (b'{"a":1}', b"       "),
        (b"[1,2],3", b"     ^ "),
    ],
)
def test_a_whole_text_is_also_split_after_its_last_comma(text: bytes, marked: bytes) -> None:
    found = [at for at, mark in enumerate(marked) if mark == ord("^")]
    assert splits(text, whole=True).positions == found


@pytest.mark.parametrize(("text", "depth"), [(b"1,2,", 0), (b"[[1,2],3,", 2), (b"]],1,", -1), (b'"[[[",1,', 0)])
def test_the_largest_depth_is_found(text: bytes, depth: int) -> None:
    assert splits(text, whole=False).deepest == depth


@pytest.mark.parametrize(("text", "begin"), [(b'"a","b', 4), (b'"a\\"', 0), (b'"a","b"', None), (b"1,2", None)])
def test_the_string_that_is_open_at_the_end_is_found(text: bytes, begin: int | None) -> None:
    assert splits(text, whole=False).open_string == begin


@given(text=texts(), cut=st.integers(0, 200))
def test_every_bracket_between_two_splits_has_its_pair(text: bytes, cut: int) -> None:
    text = text[:cut]
    positions = splits(text, whole=False).positions
    for begin, end in zip([-1, *positions], positions, strict=False):
        inside = splits(text[begin + 1 : end], whole=True).positions
        assert not [at for at in inside if text[begin + 1 + at] != ord(",")]


@given(string=st.text(alphabet='ab"\\\n\x00é€😀\ud7ff', max_size=40), ascii_only=st.booleans(), end=st.integers(0, 400))
def test_both_sides_of_a_split_string_are_strings(string: str, end: int, *, ascii_only: bool) -> None:
    inside = json.dumps(string, ensure_ascii=ascii_only).encode()[1:-1]
    cut = string_cut(inside[:end]) if inside[:end] else 0
    assert 0 <= cut <= end
    assert orjson.loads(b'"' + inside[:cut] + b'"') + orjson.loads(b'"' + inside[cut:] + b'"') == string


@given(text=st.text(alphabet="a\\é😀", min_size=30, max_size=60).map(lambda text: json.dumps(text).encode()[1:-1]))
def test_a_string_is_split_near_its_end(text: bytes) -> None:
    assert len(text) - string_cut(text) <= 24


@given(string=st.text(alphabet='a"\\,é', max_size=20), after=st.binary(max_size=9))
def test_the_end_of_a_string_is_its_first_unescaped_quote(string: str, after: bytes) -> None:
    inside = json.dumps(string).encode()[1:]
    assert string_end(inside + after) == len(inside) - 1
    assert string_end(inside[:-1]) is None


@pytest.mark.parametrize("text", [b"\x80" * 20, b"\\udc00" * 20])
def test_an_invalid_string_is_also_split_near_its_end(text: bytes) -> None:
    assert string_cut(text) > len(text) - 73
