"""The setting SCALEZERO_COMPANIONS: what is rendered is parsed again, and an error has the place of the field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.configuration.companions import MAX_BYTES, Companion, Companions, parse_companions, render_companions
from runtime.variants.pinned import PinnedClass, PinnedCost, PinnedModel, PinnedVariant

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
COMPANIONS = st.builds(
    Companion,
    name=NAMES,
    version=st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,9}", fullmatch=True),
    uri=st.text(st.characters(codec="utf-8"), min_size=1),
    sha256=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    batch_size=st.none() | st.integers(1, 4096),
    max_wait=st.none() | st.floats(0, 86400),
    timeout=st.none() | st.floats(0.001, 86400),
)
VALID: dict[str, Any] = {"name": "reader", "version": "1.0", "uri": "s3://models/reader.onnx"}


VARIANTS = PinnedModel(
    (
        PinnedVariant("original", "CPUExecutionProvider", "float32", "s3://models/reader.onnx", "a" * 64),
        PinnedVariant("int8", "CPUExecutionProvider", "uint8", "s3://models/reader.onnx.variants/int8.onnx", "b" * 64),
    ),
    {"amd-avx2": PinnedClass(("int8", "original"), {"int8": PinnedCost(0.001, 0.002)})},
)


def test_the_pinned_variants_of_a_companion_are_parsed_as_the_same() -> None:
    companion = Companion(**VALID, sha256="a" * 64, variants=VARIANTS)
    text = render_companions([companion])
    assert parse_companions(text) == (companion,)
    assert isinstance(json.loads(text)[0]["variants"], dict)


def test_companions_lose_their_variants_before_the_json_is_too_long() -> None:
    long = tuple(VARIANTS.variants[1]._replace(name=f"int8-{number}" + "x" * 1000) for number in range(25))
    many = PinnedModel((VARIANTS.original, *long))
    companions = [
        Companion(**VALID | {"name": f"m{number}"}, variants=VARIANTS if number == 1 else many) for number in range(9)
    ]
    text = render_companions(companions)
    assert len(text) <= MAX_BYTES
    kept = parse_companions(text)
    assert [each._replace(variants=None) for each in kept] == [each._replace(variants=None) for each in companions]
    assert kept[1].variants == VARIANTS
    assert sum(each.variants is not None for each in kept) > 2


def test_an_error_in_the_variants_of_a_companion_has_its_place() -> None:
    with pytest.raises(ValueError, match=r"^\[0\]\.variants: .*variants"):
        parse_companions(json.dumps([{**VALID, "variants": {}}]))


@given(st.lists(COMPANIONS, max_size=4, unique_by=lambda each: each.name))
def test_rendered_companions_are_parsed_as_the_same(companions: list[Companion]) -> None:
    text = render_companions(companions)
    assert parse_companions(text) == Companions(companions)
    assert str(Companions(companions)) == text
    assert text.isascii()


def test_the_json_is_compact_and_has_no_field_without_a_value() -> None:
    text = render_companions([Companion("reader", "1.0", "s3://models/reader.onnx", batch_size=8)])
    assert text == '[{"name":"reader","version":"1.0","uri":"s3://models/reader.onnx","batchSize":8}]'


def test_unknown_fields_are_ignored() -> None:
    assert parse_companions(json.dumps([{**VALID, "later": [1]}])) == (Companion(**VALID),)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "got {}; expected a list"),
        (["reader"], r"\[0\]: got 'reader'; expected an object"),
        ([{"name": "reader"}], r"\[0\]\.version: missing"),
        ([{**VALID, "name": "a/b"}], r"\[0\]\.name: got 'a/b'; expected one segment"),
        ([{**VALID, "version": "-1"}], r"\[0\]\.version: got '-1'; expected at most 63 characters"),
        ([{**VALID, "uri": ""}], r"\[0\]\.uri: got ''; expected s3://"),
        ([{**VALID, "uri": 3}], r"\[0\]\.uri: got 3; expected a string"),
        ([VALID, {**VALID, "name": "b", "sha256": "ab"}], r"\[1\]\.sha256: got 'ab'; expected 64 hexadecimal digits"),
        ([{**VALID, "batchSize": 0}], r"\[0\]\.batchSize: got 0; expected 1 to 4096"),
        ([{**VALID, "batchSize": 1.5}], r"\[0\]\.batchSize: got 1\.5; expected an integer"),
        ([{**VALID, "maxWaitSeconds": -1}], r"\[0\]\.maxWaitSeconds: got -1\.0; expected 0 to 86400"),
        ([{**VALID, "timeoutSeconds": 0}], r"\[0\]\.timeoutSeconds: got 0\.0; expected 0\.001 to 86400"),
        ([VALID, VALID], r"\[1\]\.name: got 'reader'; expected each name once"),
    ],
)
def test_an_invalid_field_is_an_error_with_its_place(document: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_companions(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_text_that_is_no_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_companions(text)
