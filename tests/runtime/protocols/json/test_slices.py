"""A body parsed in slices has orjson's result or error, and no step takes long."""

import gzip
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.protocols.json import slices
from runtime.protocols.json.slices import parse
from tests.runtime.protocols.json.texts import broken, drained, plain, same, sliced, texts

MIB = 2**20
windows = st.sampled_from([1, 2, 3, 5, 8, 13, 21, 64])


@given(body=texts(), window=windows)
@settings(max_examples=200)
@example(body=b'["b","\\n\\u2028\\ud7ff",[2.5,2,1]]', window=16)
@example(body=b'{"b":1,"a":[1,2,3,4,5,6],"b":{"a":[1,2,3]}}', window=5)
def test_slices_have_the_result_of_orjson(body: bytes, window: int) -> None:
    assert same(plain(sliced(body, window)), orjson.loads(body))


_NUMBERS = np.random.default_rng(8).standard_normal(60_000)


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": _NUMBERS.tolist()},
        {"inputs": _NUMBERS.reshape(-1, 30).tolist()},
        {
            "inputs": {
                "ids": np.arange(60_000).reshape(-1, 4).tolist(),
                "image": _NUMBERS.reshape(2, 3, 100, 100).tolist(),
            }
        },
        {
            "inputs": [{"name": "x", "shape": [60_000], "datatype": "FP64", "data": _NUMBERS.tolist()}],
            "parameters": {"a": 1},
        },
        {"instances": [{"b64": "QUJD" * 20_000}, {"b64": ""}, {"b64": "QUJD" * 40_000}], "signature_name": "x"},
        {"instances": [{"age": each, "sex": "m", "note": 'a "quoted", word'} for each in range(5_000)]},
        {"inputs": ["é" * 50_000, "a,[", "😀" * 30_000]},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_large_body_of_any_protocol_has_the_result_of_orjson(document: object, indent: int | None) -> None:
    body = json.dumps(document, indent=indent).encode()
    parsed, steps = drained(parse(body))
    assert steps > 1
    assert same(plain(parsed), orjson.loads(body))


@given(body=broken(), window=windows)
@settings(max_examples=200)
def test_slices_refuse_exactly_the_bodies_that_orjson_refuses(body: bytes, window: int) -> None:
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        with pytest.raises(InvalidInput, match=r"^body: got .+ at byte \d+; expected a JSON object in UTF-8"):
            sliced(body, window)
    else:
        assert same(plain(sliced(body, window)), whole)


@pytest.mark.parametrize("window", [1, 4, 1000])
@pytest.mark.parametrize(
    ("body", "byte"),
    [
        (b'{"inputs": [1, x]}', 15),
        ('{"ä": x, "b": 1}'.encode(), 7),
        (b"[1, 2, 3", 8),
        (b"[1, 2], 3", 6),
        (b"[1, 2]] ", 6),
        (b"[1, 2] [3, 4]", 7),
        (b"[[1, 2] [3, 4]]", 8),
        (b"[[1, 2] 3, 4]", 8),
        (b"[1, 2}, 3", 5),
        (b"[,1, 2]", 1),
        (b'{"a": 1, "b"}', 12),
        (b'["abcdefgh\\x", 1]', 10),
        (b"1, 2", 1),
    ],
)
def test_the_offset_of_an_error_is_stated(body: bytes, byte: int, window: int) -> None:
    with pytest.raises(InvalidInput, match=f"at byte {byte};"):
        sliced(body, window)


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_number_that_json_does_not_have_is_refused_with_advice(token: bytes) -> None:
    with pytest.raises(InvalidInput, match="with null for NaN and no infinity"):
        sliced(b'{"inputs": [1.0, ' + token + b", 2.0, 3.0]}", 8)


@pytest.mark.parametrize("window", [8, 1000])
def test_the_error_about_a_compressed_body_says_so(window: int) -> None:
    with pytest.raises(InvalidInput, match=r"^body: got a gzip-compressed body"):
        sliced(gzip.compress(b"{}", mtime=0), window)


@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [
        ([1, 2, -3], "i8"),
        ([1, 2**63, 3], "u8"),
        ([1, 2**63, 2.0], None),  # no type represents both
        ([1, 2**63, 0.5], "f8"),  # no integer input accepts it, so that it may be rounded
        ([1, -(2**62), None], "f8"),
        ([1, 0.5, 3], "f8"),
        ([1, None, 3], "f8"),
        ([2**53, 0.5], "f8"),
        ([2**53 + 1, 2.0], None),
        ([-1, 2**63], None),
        ([1e300, 1], "f8"),
        ([True, False], "?"),
        ([True, 1], None),
        ([True, None], None),
        (["a"], None),
    ],
)
def test_a_long_list_is_an_array_only_if_one_type_represents_it_exactly(numbers: list[Any], dtype: str | None) -> None:
    values = numbers * 100
    array = sliced(orjson.dumps({"inputs": values}), 64)["inputs"]
    if dtype is None:
        assert isinstance(array, list)
    else:
        assert array.dtype == dtype
    assert same(plain(array), values)


@pytest.mark.parametrize("shape", [(5000,), (2500, 2), (2, 2500), (5, 10, 100), (1, 1, 5000), (5000, 1), (5000, 0)])
def test_nested_lists_are_one_array_of_their_shape(shape: tuple[int, ...]) -> None:
    whole = np.arange(np.prod(shape)).reshape(shape)
    array = sliced(orjson.dumps({"a": whole.tolist(), "b": [{"c": whole.tolist()}]}), 256)
    for each in (array["a"], array["b"][0]["c"]):
        np.testing.assert_array_equal(each, whole)
        assert each.shape == shape


@pytest.mark.parametrize(
    "value",
    [
        [[1]] * 200 + [[1, 1]],
        [[1] * 200, [1] * 199],
        [[1] * 200, 1, 2],
        [1] * 200 + [[1] * 200],
        [[1] * 200, ["a"] * 200],
        [["a"] * 200, [1] * 200],
        [[1] * 200, {"a": [1] * 200}],
        [[[1] * 99, [2] * 99], [[1] * 99, {"a": 1}]],
        [[None, 1.5] * 50, ["x"]],
        [["a"] * 200, 1, [True] * 200],
    ],
)
def test_a_long_list_of_several_kinds_or_shapes_stays_a_list(value: list[Any]) -> None:
    array = sliced(orjson.dumps(value), 64)
    assert isinstance(array, list)
    assert same(plain(array), value)


@pytest.mark.parametrize("piece", ["a", "é", "😀", "\\", '"', "\n", "\x01", "😀\\n", "\u2028,[]{}"])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("form", [["{}"], {"a": "{}", "b": [1]}, [1, "{}", 2], [{"a": {"b": ["{}"]}}, "{}"]])
def test_a_long_string_is_parsed_over_many_windows(piece: str, form: Any, *, ascii_only: bool) -> None:  # noqa: ANN401 - any JSON value
    value = json.loads(json.dumps(form).replace("{}", json.dumps(piece * 500)[1:-1]))
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    for window in (16, 37, 100):
        assert sliced(body, window) == value


@pytest.mark.parametrize("string", [b'["' + b"a" * 100, b'["' + b"a" * 100 + b'\\"', b'["' + b"\\udc00" * 100 + b'"]'])
def test_an_invalid_or_unfinished_long_string_is_refused(string: bytes) -> None:
    with pytest.raises(InvalidInput, match="at byte"):
        sliced(string, 16)


@pytest.mark.parametrize("space", [b" ", b"\n", b"\t\r\n "])
def test_white_space_between_tokens_needs_no_memory_and_has_no_effect(space: bytes) -> None:
    much = space * (3 * slices.MAX_TOKEN_BYTES // len(space))
    body = much.join([b"", b"{", b'"a"', b":", b"[", b"1", b",", b"2", b"]", b"}", b""])
    assert plain(drained(parse(body))[0]) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("body", "got"),
    [
        (b'{"' + b"a" * MIB + b'":1}', "a key or a number of more than 131,072 bytes"),
        (b"[0." + b"0" * MIB + b"1]", "a key or a number of more than 131,072 bytes"),
        (b'"' + b"a" * MIB + b'"', "a key or a number of more than 131,072 bytes"),
        (b"0." + b"0" * MIB, "a key or a number of more than 131,072 bytes"),
        (b"[1" + b"1" * MIB + b"]", "number is infinity"),
        (b"x" * MIB, "unexpected character, expected a JSON value at byte 0"),
        (b"[1,2] " + b"x" * MIB, "unexpected content after document"),
        (b'{"a":1,"b":' + b"x" * MIB, "unexpected character"),
        (b'{"a":[1,2] ' + b"x" * MIB, "unexpected"),
        (b"[" * MIB, "more than 64 levels of lists and objects"),
        (b'[{"a":1,' + b'"a":[1,{"a":1,' * MIB, "more than 64 levels of lists and objects"),
        (b'{"a":' * MIB, "more than 64 levels of lists and objects"),
        (b'["' + "😀".encode() * (5 * MIB), "a longer string before byte"),
        (b"[" + b"{}," * MIB, "more than 1,000,000 values"),
        (b"[" + b"[1],[1,2]," * MIB, "more than 1,000,000 values"),
        (b"[" + b"1," * MIB + b'"a"]', "more than 1,000,000 values"),
        (b"[" + b"[1]," * MIB + b"[1,1]]", "more than 1,000,000 values"),
        (b"{" + b'"a":1,' * MIB, "more than 1,000,000 values"),
        (b"[" + b'{"a":[' * 1 + b'{"a":"b"},' * MIB, "more than 1,000,000 values"),
    ],
)
def test_a_body_beyond_a_limit_is_refused_with_the_limit(body: bytes, got: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        drained(parse(body))
    assert got in str(refused.value.details["got"])
    assert len(str(refused.value)) < 300


def test_a_body_yields_once_for_each_window() -> None:
    body = b"[" + b"[1.5,2]," * 100_000 + b"[3,4]]"
    array, steps = drained(parse(memoryview(body)))
    assert array.shape == (100_001, 2)
    assert steps >= len(body) // slices.WINDOW


def test_a_small_body_is_parsed_in_one_step() -> None:
    assert drained(parse(b'{"inputs": [1, 2.5]}')) == ({"inputs": [1, 2.5]}, 0)


def test_a_change_of_type_at_the_end_is_done_in_steps() -> None:
    body = b"[" + b"1," * 500_000 + b"1.5]"
    array, steps = drained(parse(body))
    assert array.dtype == np.float64
    assert array[-2:].tolist() == [1, 1.5]
    assert steps > len(body) / slices.WINDOW + 5


def test_no_step_takes_long() -> None:
    """Compares a step with the whole, in CPU time of this thread, so that other processes do not matter."""
    body = b'{"inputs":[' + b"[1]," * MIB + b"[1]]}"
    begun = time.thread_time()
    orjson.loads(body)
    whole = time.thread_time() - begun
    steps, longest = parse(body), 0.0
    while True:
        begun = time.thread_time()
        if next(steps, "done") is not None:
            break
        longest = max(longest, time.thread_time() - begun)
    assert longest < whole / 3


@pytest.mark.parametrize("piece", ["1,", "0.5,", "[1],", "true,", '{"a":1},', '"ab",'])
def test_memory_is_proportional_to_the_body(piece: str) -> None:
    program = f"""
import resource, numpy
from runtime.errors import InvalidInput
from runtime.protocols.json.slices import parse
body = b"[" + b'{piece}' * ({16 * MIB} // {len(piece)})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for _ in parse(body):
        pass
except InvalidInput:
    pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / len(body))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 11  # including the body itself
