"""Answers of predict requests: their form, and numbers that survive a round trip."""

import json
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtime.errors import RefusedInput
from runtime.protocols.tensorflow_serving import json_answer
from runtime.tensors import STRING, TensorSpec
from tests.runtime.protocols.tensorflow_serving.arrays import f16, f32, f64

MAPS = TensorSpec("maps", np.dtype("f4"), None, ("sequence", "map of int64"))


def render(outputs: Sequence[np.ndarray], *names: str, rows: bool = True) -> str:
    specs = [TensorSpec(name, array.dtype, None) for name, array in zip(names, outputs, strict=True)]
    body = json_answer.render(outputs, specs, rows=rows)
    pieces = [body] if isinstance(body, bytes) else list(body)
    assert all(pieces)
    return b"".join(pieces).decode()


def rendered(outputs: Sequence[np.ndarray], *names: str, rows: bool = True) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(render(outputs, *names, rows=rows))


def strings(*texts: str) -> np.ndarray:
    return np.array(texts, object)


ONE, TWO = f32([[1, 2], [3, 4]]), np.array([5, 6])


@pytest.mark.parametrize(
    ("outputs", "names", "rows", "document"),
    [
        ([ONE], "y", True, {"predictions": [[1, 2], [3, 4]]}),
        ([ONE, TWO], "ab", True, {"predictions": [{"a": [1, 2], "b": 5}, {"a": [3, 4], "b": 6}]}),
        ([ONE], "y", False, {"outputs": [[1, 2], [3, 4]]}),
        ([ONE, TWO], "ab", False, {"outputs": {"a": [[1, 2], [3, 4]], "b": [5, 6]}}),
        ([f32(2)], "y", False, {"outputs": 2}),
        ([np.zeros((0, 2))], "y", True, {"predictions": []}),
        ([np.zeros((0, 2)), np.zeros(0)], "ab", True, {"predictions": []}),
        ([strings("a", "é")], "y", True, {"predictions": ["a", "é"]}),
        ([np.array([True, False])], "y", True, {"predictions": [True, False]}),
        ([np.array([1, -2], ml_dtypes.int4)], "y", True, {"predictions": [1, -2]}),
    ],
)
def test_the_form_of_an_answer(outputs: list[np.ndarray], names: str, *, rows: bool, document: object) -> None:
    assert rendered(outputs, *names, rows=rows) == document


def test_strings_of_a_bytes_output_are_in_base64_and_no_others() -> None:
    found = rendered([strings("é", ""), strings("a", "b"), TWO], "image_bytes", "bytes_image", "n_bytes")["predictions"]
    assert [b64decode(each["image_bytes"]["b64"]).decode() for each in found] == ["é", ""]
    assert [(each["bytes_image"], each["n_bytes"]) for each in found] == [("a", 5), ("b", 6)]
    assert rendered([strings("a")], "image_bytes") == {"predictions": [{"b64": "YQ=="}]}


def test_outputs_that_are_not_tensors_are_omitted() -> None:
    maps = np.array([{1: 0.5}], object)
    specs = [TensorSpec("label", np.dtype("i8"), ("n",)), MAPS]
    assert json_answer.render([np.array([1]), maps], specs, rows=True) == b'{"predictions":[1]}'
    with pytest.raises(RefusedInput, match="Cannot convert empty tensor map to JSON"):
        json_answer.render([maps], [MAPS], rows=True)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([f32(1)], "Tensor name: a has no shape information "),
        ([ONE, np.zeros(3)], "Tensor name: b has inconsistent batch size: 3 expecting: 2"),
    ],
)
def test_the_row_form_needs_the_same_number_of_rows_in_each_output(outputs: list[np.ndarray], message: str) -> None:
    with pytest.raises(RefusedInput) as refused:
        render(outputs, *"ab"[: len(outputs)])
    assert refused.value.message == message


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@given(data=st.data())
def test_numbers_survive_a_round_trip_and_have_a_point_or_an_exponent(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays.arrays(dtype, arrays.array_shapes(max_dims=3)))
    text = render([array], "y")
    for token in text.partition(":")[2].translate(str.maketrans("[]{}", "    ")).split(","):
        assert {*token} & {*".eN"} or "Infinity" in token
    found = np.array(json.loads(text)["predictions"], np.float64).astype(dtype)
    np.testing.assert_array_equal(found, array)


def test_a_float_has_the_shortest_text_of_its_type() -> None:
    assert render([f32([0.1, 1e16, 3, 1e-7])], "y") == '{"predictions":[0.1,1e+16,3.0,1e-7]}'


@pytest.mark.parametrize("size", [3, 30_000])
@pytest.mark.parametrize("rows", [True, False])
def test_tokens_are_written_with_any_other_values(size: int, *, rows: bool) -> None:
    special = np.resize(f32([np.nan, np.inf, -np.inf]), size)
    # The first placeholders; they cannot be used, as these outputs contain them.
    near = np.resize(f64([*(float(f"-1.{number}e-37") for number in range(11, 21)), 1.13e-37, -1.14e-300]), size)
    texts = np.resize(strings("-1.13e-37", "null", "NaN"), size)
    half = np.resize(f16([np.nan, 0.5, np.inf]), size)
    whole = np.arange(size)
    found = rendered([special, near, texts, half, whole], *"snthw", rows=rows)
    columns = found["outputs"] if not rows else {key: [row[key] for row in found["predictions"]] for key in "snthw"}
    for key, array in {"s": special, "n": near, "h": half}.items():
        np.testing.assert_array_equal(np.array(columns[key]), array.astype("f8"))
    assert columns["t"] == texts.tolist()
    assert columns["w"] == whole.tolist()


def test_null_in_a_string_is_not_a_token() -> None:
    assert render([strings("null"), f32([1])], "a", "b") == '{"predictions":[{"a":"null","b":1.0}]}'


@pytest.mark.parametrize("rows", [True, False])
def test_a_large_answer_is_written_in_pieces(*, rows: bool) -> None:
    tall, wide, deep = np.random.default_rng(0).random((20_000, 1)), np.zeros((3, 20_000)), strings("a" * 100_000)
    for outputs in ([tall], [tall, tall], [wide, wide], [deep], [deep, deep], [f32([[np.nan]] * 20_000)]):
        names = "ab"[: len(outputs)]
        body = json_answer.render(
            outputs,
            [TensorSpec(name, array.dtype, None) for name, array in zip(names, outputs, strict=True)],
            rows=rows,
        )
        assert not isinstance(body, bytes)
        pieces = list(body)
        assert len(pieces) > 1
        assert all(pieces)
        found = json.loads(b"".join(pieces))
        columns = found["outputs"] if not rows else found["predictions"]
        if len(outputs) > 1:
            columns = columns["a"] if not rows else [row["a"] for row in columns]
        expected = outputs[0] if outputs[0].dtype == STRING else outputs[0].astype("f8")
        np.testing.assert_array_equal(np.array(columns, expected.dtype), expected)
