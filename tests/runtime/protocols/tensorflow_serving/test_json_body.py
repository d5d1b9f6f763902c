"""Bodies that are not strict JSON, as TensorFlow Serving's parser accepts them."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, RefusedInput
from runtime.protocols.json import slices
from runtime.protocols.tensorflow_serving import json_body
from tests.runtime.protocols.json.texts import drained, plain

LARGE = 70_000  # bytes: more than `slices` parses at once
FLOATS = st.floats(width=64) | st.just(math.nan) | st.sampled_from([math.inf, -math.inf])
VALUES = st.recursive(
    FLOATS | st.text() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def nothing(_: int) -> None:
    """Accept any number of bytes."""


def restored(document: json_body.Document) -> Any:  # noqa: ANN401 - any JSON value
    """Return the document as Python values, with NaN and infinity in place of the placeholders."""
    return _restored(plain(document.value)) if document.special else plain(document.value)


def _restored(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _restored(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_restored(each) for each in value]
    return json_body.special_numbers(np.array([value]))[0].item() if isinstance(value, float) else value


def text(document: object, **options: Any) -> bytes:  # noqa: ANN401 - json's own options
    return json.dumps(document, **options).encode()


def same(one: object, other: object) -> bool:
    return json.dumps(one) == json.dumps(other)  # NaN is equal to NaN there


@given(value=VALUES, after=st.sampled_from([b"", b"x", b"}]", b'"', b' {"a": 1}', b"\x00", b"NaN"]))
@example(value='NaN, "Infinity", [', after=b"")
@example(value="\\", after=b'"')
def test_tokens_are_parsed_and_bytes_after_the_document_are_ignored(value: object, after: bytes) -> None:
    document = {"inputs": value}
    assert same(restored(json_body.load(text(document, ensure_ascii=False) + after)), document)


@pytest.mark.parametrize("after", [b"", b"  ", b"]]]}", b'"' * LARGE, b"," * LARGE])
@pytest.mark.parametrize(
    "values",
    [
        [1.5, math.nan, -math.inf, math.inf] * 10_000,
        [[math.nan, 1.0]] * 10_000,
        ["é\\" * 40_000, math.nan],
        ["\\" * 40_001, "NaN,[", math.nan] * 2,
        ["a,b]", "Infinity"] * 10_000,
    ],
)
def test_a_large_body_is_parsed_in_the_same_way(values: list[Any], after: bytes) -> None:
    document = {"inputs": values, "signature_name": "x"}
    body = text(document, ensure_ascii=False)
    assert len(body) > slices.WINDOW
    parsed, steps = drained(json_body.load_slices(body + after, nothing))
    assert steps > 1
    assert same(restored(parsed), document)


def test_a_large_body_that_is_rewritten_counts_twice() -> None:
    held: list[int] = []
    body = text({"inputs": [math.nan] * LARGE})
    drained(json_body.load_slices(body, held.append))
    assert sum(held) == len(body) + LARGE * (len(json_body.NAN_TEXT) - len("NaN"))
    held.clear()
    drained(json_body.load_slices(text({"inputs": [1.5] * LARGE}), held.append))
    assert not held


def test_a_small_body_is_parsed_in_one_step() -> None:
    assert drained(json_body.load_slices(b'{"a": 1}', nothing)) == (json_body.Document({"a": 1}, special=False), 0)


@pytest.mark.parametrize(
    ("token", "number"),
    [("NaN", math.nan), ("-NaN", math.nan), ("Inf", math.inf), ("-Inf", -math.inf), ("-Infinity", -math.inf)],
)
def test_every_token_of_rapidjson_is_accepted(token: str, number: float) -> None:
    document = json_body.load(b'{"inputs": [%s]}' % token.encode())
    assert document.special
    np.testing.assert_equal(json_body.special_numbers(np.array(document.value["inputs"])), [number])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b" ", "JSON Parse error: The document is empty. at offset: 0"),
        (b"x", "JSON Parse error: Invalid value. at offset: 0"),
        (b'{"a": [1, }', "JSON Parse error: Invalid value. at offset: 10"),
        (b'{"a": [NaN, Infinity, x]}', "JSON Parse error: Invalid value. at offset: 22"),
        (b'{"a": [1 2]}', "JSON Parse error: Missing a comma or ] after an array element. at offset: 9"),
        (b"{a: 1}", "JSON Parse error: Missing a name for object member. at offset: 1"),
        (b'{"a": aNaN}', "JSON Parse error: Invalid value. at offset: 6"),
        (b'{"a": 1NaN}', "JSON Parse error: Missing a comma or } after an object member. at offset: 7"),
        ('{"a": ["é", x]}'.encode(), "JSON Parse error: Invalid value. at offset: 13"),
        ('{"a": ["é", NaN, x]}'.encode(), "JSON Parse error: Invalid value. at offset: 18"),
        (b'["\\ud800"]', "JSON Parse error: The surrogate pair in string is invalid. at offset: 2"),
        (b"[1", "JSON Parse error: Invalid value. at offset: 2"),
    ],
)
def test_invalid_json_is_refused_with_its_offset(body: bytes, message: str) -> None:
    with pytest.raises(RefusedInput) as refused:
        json_body.load(body)
    assert refused.value.message == message


@pytest.mark.parametrize("number", [b"1Infinity", b"1.5Inf", b"1.Inf", b"-0Infinity", b"Infinity5", b"NaN1", b"Inf.5"])
def test_a_token_that_touches_a_number_is_refused(number: bytes) -> None:
    with pytest.raises(RefusedInput, match="JSON Parse error"):
        json_body.load(b'{"inputs": [NaN, %s]}' % number)
    for size in range(32 * 1024 - 12, 32 * 1024):  # the end of a step at each offset of the number
        body = b'{"inputs": [' + b" " * (size - 12) + number + b", NaN" * LARGE + b"]}"
        with pytest.raises(RefusedInput, match="JSON Parse error"):
            drained(json_body.load_slices(body, nothing))


@pytest.mark.parametrize("token", [b"1", b"NaN"])
def test_large_invalid_json_is_refused_with_its_offset(token: bytes) -> None:
    before = b'{"inputs": [' + (token + b",") * LARGE
    with pytest.raises(RefusedInput) as refused:
        drained(json_body.load_slices(before + b"x]}", nothing))
    assert refused.value.message == f"JSON Parse error: Invalid value. at offset: {len(before)}"


def test_a_large_body_beyond_the_limits_of_slices_is_refused() -> None:
    with pytest.raises(InvalidInput, match="levels of lists and objects"):
        drained(json_body.load_slices(b"[" * LARGE, nothing))
    with pytest.raises(InvalidInput, match="a key or a number"):
        drained(json_body.load_slices(b'{"' + b"k" * 3 * LARGE + b'": 1}', nothing))
    with pytest.raises(InvalidInput, match="levels of lists and objects"):
        drained(json_body.load_slices(b'{"inputs": [' + b"NaN," * LARGE + b"[" * LARGE, nothing))
