"""The setting SCALEZERO_GUEST_CODE: what is rendered is parsed again, and an error has the place of the field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.configuration.guest_code import KINDS, GuestCode, GuestCodes, parse_code, render_code

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)
CODES = st.builds(
    GuestCode,
    compiler=TEXTS,
    cpu=TEXTS,
    kind=st.sampled_from(KINDS),
    uri=TEXTS,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
)
VALID = {"compiler": "wasmtime-1", "cpu": "arm", "kind": "core", "uri": "s3://b/c", "sha256": "a" * 64}


@given(st.lists(CODES, max_size=3))
def test_what_is_rendered_is_parsed(codes: list[GuestCode]) -> None:
    assert parse_code(render_code(codes)) == tuple(codes)
    assert str(GuestCodes(codes)) == render_code(codes)


def test_unknown_fields_are_ignored() -> None:
    assert parse_code(json.dumps([{**VALID, "newer": 1}])) == (GuestCode(**VALID),)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "module"}, r"\[0\]\.kind: got 'module'; expected core or component"),
        ({"sha256": "abc"}, r"\[0\]\.sha256: got 'abc'"),
        ({"uri": 1}, r"\[0\]\.uri: got 1; expected a string"),
    ],
)
def test_an_error_has_the_place_of_the_field(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_code(json.dumps([{**VALID, **change}]))


def test_other_json_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_code("{}")
