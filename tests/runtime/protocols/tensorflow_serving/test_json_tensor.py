"""JSON values to tensors by TensorFlow Serving's rules, on each code path."""

import json
from base64 import b64encode
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtime.errors import InvalidInput, RefusedInput
from runtime.protocols.json import slices
from runtime.protocols.tensorflow_serving import json_body, json_tensor
from runtime.tensors import STRING, TensorSpec
from tests.runtime.protocols.json.texts import drained
from tests.runtime.protocols.tensorflow_serving.arrays import f32

WAYS = ("walk", "quick", "slices")
NUMBERS = ("f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def spec(dtype: npt.DTypeLike) -> TensorSpec:
    return TensorSpec("x", np.dtype(dtype), None)


def read(text: str, dtype: npt.DTypeLike, path: str = "walk") -> np.ndarray:
    """Return the tensor of a JSON text: value by value, by NumPy at once, or from the arrays of `slices`."""
    body = text.encode()
    parsed = json_body.load(body)
    value = parsed.value
    if path == "slices":
        window = max(len(body) // 3, 8)
        value = drained(slices.parse(b" " * window + orjson.dumps(value), window=window))[0]
    clean = path == "quick" and json_tensor.is_clean(body, keys=0)
    return json_tensor.tensor(value, spec(dtype), clean=clean, special=parsed.special)


def refusal(text: str, dtype: npt.DTypeLike, path: str = "walk") -> str:
    with pytest.raises(RefusedInput) as refused:
        read(text, dtype, path)
    return refused.value.message


@pytest.mark.parametrize("path", WAYS)
@pytest.mark.parametrize("dtype", NUMBERS)
@given(data=st.data())
def test_a_tensor_of_numbers_survives_a_round_trip(path: str, dtype: str, data: st.DataObject) -> None:
    elements = {"allow_nan": False, "allow_infinity": False} if dtype[0] == "f" else {}
    shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0)
    array = data.draw(arrays.arrays(dtype, shapes, elements=elements or None))
    if 0 in array.shape:
        array = array.reshape(array.shape[: array.shape.index(0) + 1])  # JSON does not have the axes after an empty one
    found = read(json.dumps(array.tolist()), dtype, path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("path", WAYS)
def test_a_float_accepts_any_number_and_becomes_infinity_beyond_its_range(path: str) -> None:
    np.testing.assert_array_equal(read("[1, 2.5, 1e39, -1e39, 1e-60]", "f4", path), f32([1, 2.5, np.inf, -np.inf, 0]))
    assert read("[1, 65536]", ml_dtypes.bfloat16, path).dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize("path", WAYS)
def test_tokens_are_nan_and_infinity(path: str) -> None:
    found = read("[[NaN, 1.5], [Infinity, -Infinity], [3, 4]]", "f4", path)
    np.testing.assert_array_equal(found, f32([[np.nan, 1.5], [np.inf, -np.inf], [3, 4]]))


@pytest.mark.parametrize("path", WAYS)
@pytest.mark.parametrize(
    ("text", "dtype", "shown", "kind", "word"),
    [
        ("[1, 2, 1.5]", "i4", "1.5", "Number", "int32"),
        ("[1, 2, 3000000000]", "i4", "3000000000", "Number", "int32"),
        ("[1, 2, -1]", "u8", "-1", "Number", "uint64"),
        ("[1, 2, 300]", "u1", "300", "Number", "uint8"),
        ("[1, 2, 18446744073709551616]", "u8", "1.8446744073709552e+19", "Number", "uint64"),
        ("[1, 2, NaN, 2.5]", "i4", "NaN", "Number", "int32"),
        ("[1, 2.5, null]", "f4", "null", "Null", "float"),
        ("[true, false]", "f4", "true", "True", "float"),
        ("[1, 2, 3]", "?", "1", "Number", "bool"),
        ("[1.5, 2, 3]", STRING, "1.5", "Number", "string"),
    ],
)
def test_the_error_names_the_value_and_its_type(
    path: str, text: str, dtype: npt.DTypeLike, shown: str, kind: str, word: str
) -> None:
    message = f"JSON Value: {shown} Type: {kind} is not of expected type: {word}"
    assert refusal(text, dtype, path) == message


@pytest.mark.parametrize(
    ("text", "dtype", "message"),
    [
        ("[1.0]", "i4", "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ('["a"]', "f2", 'JSON Value: "a" Type: String is not of expected type: half'),
        ("[false]", "i8", "JSON Value: false Type: False is not of expected type: int64"),
        ('[{"b64": "YQ=="}]', "f4", 'JSON Value: {\n    "b64": "YQ=="\n} Type: Object is not of expected type: float'),
        ("[[1, 2], [3]]", "f4", "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ("[[1, 2], 3]", "f4", "JSON Value: 3 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ("[1, [2]]", "f4", "Encountered list at unexpected level: 1 expected < 1"),
        ('[{"b64": "YQ==", "a": 1}]', STRING, "not formatted correctly for base64 data"),
        ('[{"b64": 1}]', STRING, "not formatted correctly for base64 data"),
        ('[{"b64": "!"}]', STRING, "Unable to base64 decode"),
        ('[{"b64": "a"}]', STRING, "Unable to base64 decode"),
        ('[{"b64": "\u00e9"}]', STRING, "Unable to base64 decode"),
    ],
)
def test_errors_are_those_of_tensorflow_serving(text: str, dtype: npt.DTypeLike, message: str) -> None:
    assert refusal(text, dtype).endswith(message)


def test_lists_that_numpy_cannot_convert_get_the_error_of_the_walk() -> None:
    for text in ("[[1, 2], [3]]", "[1, {}]", "[1, 2.5]"):
        assert refusal(text, "i4", "quick") == refusal(text, "i4", "walk")
    assert refusal("[1, {}]", "f4", "quick") == refusal("[1, {}]", "f4", "walk")


@given(texts=st.lists(st.text()), padded=st.booleans())
def test_strings_are_text_or_base64(texts: list[str], *, padded: bool) -> None:
    encoded = [{"b64": b64encode(each.encode()).decode()} for each in texts]
    if not padded:
        encoded = [{"b64": each["b64"].rstrip("=")} for each in encoded]
    assert read(json.dumps(texts), STRING).tolist() == texts
    assert read(json.dumps([[each] for each in encoded]), STRING).tolist() == [[each] for each in texts]


def test_base64_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read('[{"b64": "/w=="}]', STRING)


def test_bool_and_a_scalar() -> None:
    assert read("[[true, false]]", "?").tolist() == [[True, False]]
    assert read("2", "i4").shape == ()
    assert read('{"b64": "YQ=="}', STRING)[()] == "a"


def test_arrays_within_lists_are_converted_like_lists() -> None:
    value: Any = [np.array([1, 2]), [3, 4]]
    assert json_tensor.tensor(value, spec("i4"), clean=False, special=False).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(RefusedInput, match="unexpected size: 3"):
        json_tensor.tensor([[1, 2], np.array([1, 2, 3])], spec("i4"), clean=False, special=False)


def test_more_than_64_levels_of_lists_are_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 64 levels of lists"):
        read("[" * 100 + "]" * 100, "f4")


def test_an_error_shows_256_characters_of_a_value_and_visits_no_more() -> None:
    message = refusal(json.dumps({"a": {"b": [], "c": [list(range(10_000))]}}), "f4")
    assert message.startswith(
        'JSON Value: {\n    "a": {\n        "b": [],\n        "c": [\n            [\n                0,'
    )
    assert len(message) == 256 + len("JSON Value:  Type: Object is not of expected type: float")
    long = refusal(json.dumps(["a" * 1000]), "f4")
    assert long == f'JSON Value: "{"a" * 255} Type: String is not of expected type: float'
    assert "[\n    1,\n    2\n]" in refusal(json.dumps({"a": [1, 2]}), "f4").replace("    ", "", 1).replace(
        "\n    ", "\n"
    )
