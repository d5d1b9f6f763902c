"""A key is valid for its API until it expires."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.torchserve import keys
from runtime.protocols.torchserve.keys import Key, Kind

KEY = Key("secret", expires=100.0)


@pytest.mark.parametrize("header", [b"Bearer secret", b"bearer secret", b"BEARER  secret", b"Bearer secret "])
def test_the_key_of_a_bearer_header_is_accepted(header: bytes) -> None:
    assert keys.allows(KEY, header, now=0.0)


@pytest.mark.parametrize(
    "header",
    [None, b"", b"secret", b"Bearer", b"Bearer ", b"Basic secret", b"Bearer Secret", b"Bearer secret x", b"\xff"],
)
def test_any_other_header_is_refused(header: bytes | None) -> None:
    assert not keys.allows(KEY, header, now=0.0)


@given(st.binary())
def test_only_the_key_is_accepted(header: bytes) -> None:
    assert keys.allows(KEY, b"Bearer " + header, now=0.0) == (header.strip() == b"secret")


def test_a_key_is_valid_until_it_expires() -> None:
    assert keys.allows(KEY, b"Bearer secret", now=99.9)
    assert not keys.allows(KEY, b"Bearer secret", now=100.0)
    assert keys.allows(Key("secret"), b"Bearer secret", now=1e12)


def test_keys_are_unique() -> None:
    texts = {keys.new().text for _ in range(100)}
    assert len(texts) == 100
    assert {len(text) for text in texts} == {32}


def test_the_key_file_has_torchserves_format() -> None:
    written = {Kind.MANAGEMENT: Key("m", 0.25), Kind.INFERENCE: Key("i", 60.0), Kind.API: Key("a")}
    assert orjson.loads(keys.document(written)) == {
        "management": {"key": "m", "expiration time": "1970-01-01T00:00:00.250000Z"},
        "inference": {"key": "i", "expiration time": "1970-01-01T00:01:00Z"},
        "API": {"key": "a"},
    }
