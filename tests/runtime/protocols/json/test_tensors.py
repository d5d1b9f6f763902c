"""JSON values to checked tensors: nothing is truncated or wrapped, and an error names the place of the value."""

import gzip
import math
import time
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.model.signature import Signature
from runtime.protocols.json import tensors as json_tensors
from runtime.tensors import STRING, TensorSpec, as_array
from tests import strategies


def spec(dtype: npt.DTypeLike, *shape: int | str | None) -> TensorSpec:
    return TensorSpec("x", np.dtype(dtype), shape or ("n",))


NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)


def read(value: object, dtype: npt.DTypeLike) -> np.ndarray:
    return json_tensors.tensor("inputs", value, spec(dtype))


@given(example=strategies.tensors_of_one_input())
@pytest.mark.filterwarnings("ignore:overflow encountered in dot")
def test_tensors_survive_a_round_trip(example: tuple[Signature, np.ndarray]) -> None:
    signature, array = example
    written = json_tensors.dump(json_tensors.plain(array))
    again = json_tensors.tensor("inputs", json_tensors.load(written), signature.inputs[0])
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("value", [1.0, 1, -3, 0])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_float_input_accepts_any_number(value: float, dtype: str) -> None:
    assert read([value], dtype).tolist() == [value]
    assert read([value], dtype).dtype == dtype


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_null_is_nan_in_requests_and_answers(dtype: str) -> None:
    got = json_tensors.tensor("inputs", [[1, None], [None, 2.5]], spec(dtype, "n", 2))
    np.testing.assert_array_equal(got, [[1, np.nan], [np.nan, 2.5]])
    assert json_tensors.dump(got) == b"[[1.0,null],[null,2.5]]"
    assert np.isnan(read([None], dtype)).all()


def test_an_infinite_output_is_null() -> None:
    assert json_tensors.dump(np.array([np.inf, -np.inf, 1], np.float32)) == b"[null,null,1.0]"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_json_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^body: got .* at byte 1[12]; expected a JSON object in UTF-8"):
        json_tensors.load(b'{"inputs":[' + text.encode() + b"]}")


@pytest.mark.parametrize(
    ("value", "dtype", "path", "got"),
    [
        ([1.0, 70000.0], "f2", "inputs[1]", "70000.0"),
        ([0.0, -3.5e38], "f4", "inputs[1]", "-3.5e+38"),
        ([1.0, None, 3.5e38], "f4", "inputs[2]", "3.5e+38"),
        ([1, 10**30], "f2", "inputs[1]", "1e+30"),
        ([1, 10**400], "f8", "inputs[1]", "a Python int"),
        ([1, 128], "i1", "inputs[1]", "128"),
        ([1, -1], "u1", "inputs[1]", "-1"),
        ([1, 2**63], "i8", "inputs[1]", str(2**63)),
        ([-1, 2**63], "u8", "inputs[0]", "-1"),
        ([1, 2**64], "u8", "inputs[1]", "a Python int"),
        ([1, 2.5], "i8", "inputs[1]", "2.5"),
        ([None, 1], "i8", "inputs[0]", "null"),
        (["a", None], "O", "inputs[1]", "null"),
        ([True], "f4", "inputs[0]", "true"),
        ([True, None], "f4", "inputs[0]", "true"),
        ([False], "i8", "inputs[0]", "false"),
        (["1.5"], "f4", "inputs[0]", '"1.5"'),
        ([1.5, "2"], "f4", "inputs[1]", '"2"'),
        ([1], "?", "inputs[0]", "1"),
        ([True, 0], "?", "inputs[1]", "0"),
        ([1], "O", "inputs[0]", "1"),
        (["a", 1], "O", "inputs[1]", "1"),
        ([{"a": 1}], "f4", "inputs[0]", "an object"),
        ([[1, 2], [3]], "f4", "inputs[1]", "1 elements where inputs[0] has 2"),
        ([[1, 2], [3]], "i8", "inputs[1]", "1 elements where inputs[0] has 2"),
        ([[[1], [2]], [[3], [4, 5]]], "f4", "inputs[1][1]", "2 elements where inputs[1][0] has 1"),
        ([[1, 2], 3], "f4", "inputs[1]", "3"),
        ([1, [2]], "f4", "inputs[1]", "a list"),
        ([[1], [[[2]]]], "f4", "inputs[1][0]", "a list"),
        ("x" * 100, "f4", "inputs", '"' + "x" * 59 + "…"),
    ],
)
def test_the_error_names_the_place_of_the_first_element_that_does_not_fit(
    value: object, dtype: str, path: str, got: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(value, dtype)
    details = refused.value.details
    assert (details["field"], details["got"]) == (path, got)
    assert spec(dtype).describe() in str(details["expected"])


def test_whole_numbers_on_both_sides_of_2_to_63_are_exact() -> None:
    assert read([1, 2**63 + 1], "u8").tolist() == [1, 2**63 + 1]
    assert read([2**64 - 1], "u8").tolist() == [2**64 - 1]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    "dtype",
    ["f2", "f4", "f8"],
)
def test_the_largest_number_of_a_type_is_accepted(dtype: str, sign: int) -> None:
    largest = sign * float(np.finfo(dtype).max)
    assert read([largest, 1.0], dtype).tolist() == [largest, 1.0]


@pytest.mark.parametrize(
    ("text", "dtype"), [(b"[3.4028235e38]", "f4"), (b"[65504.0]", "f2"), (b"[-3.4028235e38]", "f4")]
)
def test_the_shortest_text_of_the_largest_number_is_accepted(text: bytes, dtype: str) -> None:
    """The shortest text, 3.4028235e38, is a little more than the largest float32, and rounds to it."""
    assert abs(read(json_tensors.load(text), dtype)) == np.finfo(dtype).max


@given(numbers=st.lists(st.floats(-3e38, 3e38), min_size=1, max_size=40))
def test_no_float_in_range_is_refused(numbers: list[float]) -> None:
    np.testing.assert_array_equal(read(numbers, "f4"), np.array(numbers, np.float32))


def test_a_number_far_beyond_range_is_refused_without_a_warning() -> None:
    with pytest.raises(InvalidInput, match=r"inputs\[0\]: got 1e\+300"):
        read([1e300], "f4")


@pytest.mark.parametrize(("value", "dtype"), [([True, 0.5], "f4"), ([True, 2], "i8"), ([[0.5], [False]], "f4")])
def test_true_among_numbers_is_refused(value: object, dtype: str) -> None:
    with pytest.raises(InvalidInput, match=r"got (true|false)"):
        read(value, dtype)


@pytest.mark.parametrize("dtype", ["f4", "i8", "?", "O"])
@pytest.mark.parametrize("value", [[], [[], []]])
def test_empty_lists_have_the_type_or_are_refused(value: object, dtype: str) -> None:
    try:
        assert read(value, dtype).size == 0
    except InvalidInput as refused:
        assert refused.details["got"] == "no elements"  # noqa: PT017 - either is right


@pytest.mark.parametrize("depth", [65, 500, 1000, 1023])
@pytest.mark.parametrize("dtype", ["f4", "i8", "?", "O"])
def test_the_error_about_deep_lists_states_their_depth(depth: int, dtype: str) -> None:
    value = json_tensors.load(b"[" * depth + b"]" * depth)
    with pytest.raises(InvalidInput, match=f"{depth} levels of lists"):
        read(value, dtype)


@pytest.mark.parametrize(
    "body",
    [b"", b"nul", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a":1', b'{"a":1}}', b"[" * 5000, b'{"a":"\\ud800"}', b"\x00"],
)
def test_invalid_json_is_refused_with_its_offset(body: bytes) -> None:
    with pytest.raises(
        InvalidInput, match=r"^body: got (an empty body|.+ at byte \d+); expected a JSON object in UTF-8$"
    ):
        json_tensors.load(body)


@pytest.mark.parametrize(("body", "byte"), [(b'{"inputs": [1, x]}', 15), ('{"ä": x}'.encode(), 7), (b"[1, 2", 5)])
def test_the_offset_counts_bytes(body: bytes, byte: int) -> None:
    with pytest.raises(InvalidInput, match=f"at byte {byte};"):
        json_tensors.load(body)


@given(value=strategies.json_values, dtype=st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u8", "?", "O"]))
@pytest.mark.filterwarnings("ignore:overflow encountered in dot")
def test_any_json_is_a_tensor_of_the_type_or_a_short_error(value: object, dtype: str) -> None:
    again = json_tensors.load(orjson.dumps(value)) if not _has_huge(value) else value
    try:
        array = read(again, dtype)
    except InvalidInput as refused:
        assert len(str(refused)) < 400  # noqa: PT017 - either is right
        assert str(refused.details["field"]).startswith("inputs")  # noqa: PT017 - as above
    else:
        assert array.dtype == np.dtype(dtype)


def _has_huge(value: object) -> bool:
    """Return whether an integer is beyond orjson's range; an author's Python code can pass one."""
    if isinstance(value, list):
        return any(map(_has_huge, value))
    if isinstance(value, dict):
        return any(map(_has_huge, value.values()))
    return isinstance(value, int) and not -(2**63) <= value < 2**64


@pytest.mark.parametrize(
    "value",
    [
        [object()],
        [np.array([1.0]), np.array(["a"])],
        [np.zeros((2, 1)), np.zeros((2, 2))],
        [{1, 2}],
        [b"bytes"],
        [1j],
        ["\ud800"],
        [10**5000],
    ],
)
def test_invalid_python_values_of_an_author_are_refused(value: Any) -> None:  # noqa: ANN401 - any object
    with pytest.raises(InvalidInput) as refused:
        read(value, "f4")
    assert len(str(refused.value)) < 300
    assert orjson.dumps(dict(refused.value.details))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.array(2.5, np.float32), b"2.5"),
        (np.array([True])[0], b"true"),
        (np.array([["a", "b"]], dtype=object), b'[["a","b"]]'),
        (np.array([0.1], np.float32), b"[0.1]"),
        (np.array([1.5], np.float16), b"[1.5]"),
        (np.float32(0.1), b"0.1"),
        (np.int64(7), b"7"),
        (np.array(0.1, np.float32), b"0.1"),
        (np.array(0.5, np.float16), b"0.5"),
        (np.array(7), b"7"),
        (np.array([1.5]).astype(ml_dtypes.bfloat16)[0], b"1.5"),
        (np.array([3]).astype(ml_dtypes.int4)[0], b"3"),
        (np.array(-2.0).astype(ml_dtypes.bfloat16), b"-2.0"),
    ],
)
def test_outputs_are_written_in_their_shortest_form(value: object, written: bytes) -> None:
    assert json_tensors.dump(json_tensors.plain(value)) == written


def test_the_whole_numbers_of_a_map_are_written_as_keys() -> None:
    rows = np.empty(1, dtype=object)
    rows[0] = {0: 0.25, 1: 0.75}
    assert json_tensors.dump(json_tensors.plain(rows)) == b'[{"0":0.25,"1":0.75}]'


def test_strings_of_any_length_and_alphabet_are_unchanged() -> None:
    words = ["", "ä€𝄞", "trailing\x00", "x" * 1000]
    assert json_tensors.tensor("inputs", words, spec(STRING)).tolist() == words


@pytest.mark.parametrize("dtype", ["O", "f4"])
def test_one_long_string_among_many_needs_only_its_own_memory(dtype: str) -> None:
    """With the same size for each, they would need 36 TiB; slightly shorter strings would exhaust the pod's memory."""
    words = ["x" * 10_000_000, *["y"] * 1_000_000]
    if dtype == "O":
        assert read(words, dtype).size == len(words)
    else:
        with pytest.raises(InvalidInput):
            read(words, dtype)


@given(
    value=st.lists(
        st.lists(st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False), min_size=1),
        min_size=1,
    ),
    dtype=st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u8"]),
)
def test_the_fast_path_has_the_result_of_the_exact_check(value: list[list[float]], dtype: str) -> None:
    try:
        exact = read(value, dtype)
    except InvalidInput:
        with pytest.raises(InvalidInput):
            json_tensors.tensor("inputs", value, spec(dtype), numbers_only=True)
    else:
        fast = json_tensors.tensor("inputs", value, spec(dtype), numbers_only=True)
        assert fast.dtype == exact.dtype
        np.testing.assert_array_equal(fast, exact)


@pytest.mark.parametrize("value", ["x", "true", True, False, [True], {"a": False}, [[1, "2"]], 'a":', "\\"])
def test_other_values_than_numbers_are_detected(value: object) -> None:
    """A number with an exponent contains an e, as true and false do."""
    for other in (0.5, 5e-7):
        keys = 2 if isinstance(value, dict) else 1
        assert not json_tensors.numbers_only(orjson.dumps({"inputs": [other, value]}), keys=keys)


@pytest.mark.parametrize("value", [[1, 2.5, -3e-7], [[1], [None]], {"a": [1.0], "b 2, x": [[3]]}, [], {}])
def test_only_numbers_in_lists_and_objects_are_detected(value: object) -> None:
    keys = 1 + len(value) if isinstance(value, dict) else 1
    assert json_tensors.numbers_only(orjson.dumps({"inputs": value}, option=orjson.OPT_INDENT_2), keys=keys)


@pytest.mark.parametrize("dtype", ["i1", "i8", "u8", "longlong", "ulonglong", "f2", "f4", "?"])
def test_an_element_of_any_array_can_be_written(dtype: str) -> None:
    """ONNX Runtime's int64 is NumPy's longlong; orjson supports its arrays, but not its numbers."""
    array = np.array([1], dtype)
    assert json_tensors.load(json_tensors.dump(json_tensors.plain(array[0]))) == 1
    assert json_tensors.load(json_tensors.dump(json_tensors.plain(array))) == [1]


def test_the_error_about_a_compressed_body_says_so() -> None:
    with pytest.raises(InvalidInput, match=r"^body: got a gzip-compressed body; expected a JSON object in UTF-8$"):
        json_tensors.load(gzip.compress(b"{}"))


@pytest.mark.parametrize(
    ("text", "dtype", "numbers"),
    [
        (b"[1.0, 2, 3e0, 1e2]", "i8", [1, 2, 3, 100]),
        (b"[-0.0, 255.0]", "u1", [0, 255]),
        (b"[1.0, 9007199254740993]", "i8", [1, 9007199254740993]),
        (b"[1.0, 18446744073709551615]", "u8", [1, 18446744073709551615]),
        (b"[1e18]", "i8", [10**18]),
    ],
)
@pytest.mark.parametrize("numbers_only", [True, False])
def test_a_whole_number_may_have_any_notation(
    text: bytes,
    dtype: str,
    numbers: list[int],
    numbers_only: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    got = json_tensors.tensor("inputs", json_tensors.load(text), spec(dtype), numbers_only=numbers_only)
    assert (got.tolist(), got.dtype) == (numbers, np.dtype(dtype))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 1.5], r"inputs\[1\]: got 1\.5; expected a whole number from -128 to 127 \(int8\[n\]\)"),
        ([1e30], r"inputs\[0\]: got 1e\+30; expected a whole number from -128 to 127"),
        ([127, 128.0], r"inputs\[1\]: got 128; expected a whole number from -128 to 127"),
    ],
)
def test_any_other_number_is_refused_with_the_range(value: list[float], message: str) -> None:
    for received in (value, np.array(value)):
        with pytest.raises(InvalidInput, match=message.replace("got 128;", r"got 128(\.0)?;")):
            json_tensors.tensor("inputs", received, spec("i1"))


NARROW = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, ml_dtypes.uint4]


@pytest.mark.parametrize("dtype", NARROW)
def test_narrow_types_are_parsed_and_written_as_numbers(dtype: type) -> None:
    got = json_tensors.tensor(
        "inputs", [[1, 2.0], [3, 0]], TensorSpec("x", np.dtype(dtype), ("n", 2)), numbers_only=True
    )
    assert got.dtype == dtype
    assert json_tensors.load(json_tensors.dump(json_tensors.plain(got))) == [[1, 2], [3, 0]]


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        (ml_dtypes.bfloat16, 3.4e38, r"within ±3\.39e\+38 \(bfloat16\[n\]\)"),
        (ml_dtypes.float8_e4m3fn, 500, r"within ±448 \(float8_e4m3fn\[n\]\)"),
        (ml_dtypes.int4, 8, r"from -8 to 7 \(int4\[n\]\)"),
        (ml_dtypes.uint4, -1, r"from 0 to 15 \(uint4\[n\]\)"),
    ],
)
def test_a_number_beyond_a_narrow_type_is_refused_with_its_range(dtype: type, value: float, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        read([value], dtype)


@given(data=st.data(), dtype=st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u1", "u8", "?", "O"]))
def test_an_array_of_a_sliced_body_has_the_result_of_its_list(data: st.DataObject, dtype: str) -> None:
    """NaN in it is null; lists with integers beyond 2**53 and floats are not arrays there."""
    received = data.draw(st.sampled_from(["i8", "u8", "f8", "?", "O"]))
    elements = {
        "f8": st.none() | st.floats(-1e300, 1e300) | st.integers(-300, 300).map(float),
        "i8": st.integers(-300, 300) | st.integers(-(2**63), 2**63 - 1),
        "u8": st.integers(0, 2**64 - 1),
        "?": st.booleans(),
        "O": st.text(max_size=3),
    }[received]
    rows = data.draw(st.lists(st.lists(elements, min_size=2, max_size=2), min_size=1, max_size=3))
    array = np.array(rows, object if received == "O" else received)
    try:
        right = read(rows, dtype)
    except InvalidInput as refused:
        with pytest.raises(InvalidInput) as also:
            read(array, dtype)
        if sum(not _fits(each, dtype) for row in rows for each in row) == 1:
            assert also.value.details["field"] == refused.details["field"]  # noqa: PT017 - both are refused
    else:
        np.testing.assert_array_equal(read(array, dtype), right)
        assert read(array, dtype).dtype == right.dtype


def _fits(value: object, dtype: str) -> bool:
    try:
        read([value], dtype)
    except InvalidInput:
        return False
    return True


def test_lists_of_arrays_and_numpys_numbers_of_an_author_are_accepted() -> None:
    assert read([np.array([1.0, 2.0]), (3, np.float32(4))], "f4").tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InvalidInput, match=r"inputs\[0\]: got 1\.5; expected a whole number"):
        read([np.float64(1.5)], "i8")


def test_the_place_in_a_list_of_records_has_the_name_after_the_first_index() -> None:
    with pytest.raises(InvalidInput, match=r'^inputs\[1\]\.age\[0\]: got "x"'):
        json_tensors.tensor("inputs", [[1], ["x"]], spec("f4"), after_first=".age")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2], 3], r"inputs\[1\]: got 3; expected a list of 2, as in inputs\[0\] \(float32\[n\]\)"),
        (
            [[[1], [2]], [[3, 4], [5]]],
            r"inputs\[1\]\[0\]: got 2 elements where inputs\[0\]\[0\] has 1; expected a number",
        ),
        ([[], [1]], r"inputs\[1\]: got 1 elements where inputs\[0\] has 0"),
    ],
)
def test_the_error_about_unequal_lists_names_the_first_list(value: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}"):
        read(value, "f4")


HOSTILE: dict[str, Callable[[int], list[Any]]] = {
    "ragged at its end": lambda n: [*([1] for _ in range(n)), [1, 1]],
    "a fraction at its end": lambda n: [*([1] * n), 1.5],
    "objects": lambda n: [{} for _ in range(n)],
    "strings": lambda n: ["" for _ in range(n)],
    "null at its end": lambda n: [*([1] * n), None],
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("numbers_only", [True, False])
def test_an_element_that_does_not_fit_is_found_in_linear_time(kind: str, numbers_only: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """Ten times the input takes about ten times as long; the limit allows for noise, not for a square."""

    def seconds(count: int) -> float:
        value = HOSTILE[kind](count)
        best = math.inf
        for _ in range(3):
            started = time.thread_time()
            with pytest.raises(InvalidInput):
                json_tensors.tensor("inputs", value, spec("i8"), numbers_only=numbers_only and kind != "strings")
            best = min(best, time.thread_time() - started)
        return best

    assert seconds(50_000) < 40 * max(seconds(5_000), 1e-4)


def test_outputs_of_containers_are_written_as_lists_objects_and_null() -> None:
    words = as_array([np.array(["a", "b"], object), np.array([], object)])
    assert json_tensors.dump(json_tensors.plain(words)) == b'[["a","b"],[]]'
    tensors = as_array([np.array([[0.5]], np.float32), np.array(7), {"k": np.float64(1.5)}])
    assert json_tensors.dump(json_tensors.plain(tensors)) == b'[[[0.5]],7,{"k":1.5}]'
    assert json_tensors.dump(json_tensors.plain(as_array(None))) == b"null"
    assert json_tensors.dump(json_tensors.plain(as_array({1: 0.5}))) == b'{"1":0.5}'
    assert json_tensors.dump(json_tensors.plain(np.array("word", object))) == b'"word"'
    assert json_tensors.dump(json_tensors.plain(np.empty((0, 2), object))) == b"[]"


@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_the_error_names_the_place_of_an_element_at_the_end_of_a_large_array(dtype: str) -> None:
    array = np.ones((100_000, 2))
    array[90_000, 1] = 1e300
    with pytest.raises(InvalidInput, match=r"^inputs\[90000\]\[1\]: got 1e\+?300; expected a"):
        json_tensors.tensor("inputs", array, spec(dtype))
    array[90_000, 1] = 2
    assert json_tensors.tensor("inputs", array, spec(dtype)).sum() == 200_001


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("value", [[1.5, None], [[None], [2.0]], [None]])
def test_null_on_the_fast_path_is_nan(value: list[Any], dtype: str) -> None:
    fast = json_tensors.tensor("inputs", value, spec(dtype), numbers_only=True)
    assert fast.dtype == dtype
    np.testing.assert_array_equal(fast, np.array(value, dtype))


@pytest.mark.parametrize("value", [[None, 3.5e38], [[3.5e38], [None]]])
def test_a_number_beyond_range_is_refused_with_null_too(value: list[Any]) -> None:
    with pytest.raises(InvalidInput, match=r"got 3\.5e\+38; expected a number or null within"):
        json_tensors.tensor("inputs", value, spec("f4"), numbers_only=True)
