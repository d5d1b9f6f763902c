"""Rows of numbers are parsed as a flat list only if the result is the same as row by row."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runtime.protocols.json.rows import flattened

_SHAPES = npst.array_shapes(min_dims=2, max_dims=4, max_side=4)


def text_of(values: Any, *, spaced: bool = False) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps(values, separators=(", " if spaced else ",", ":")).encode()[1:-1]


@given(array=npst.arrays(np.int64, _SHAPES), spaced=st.booleans())
def test_rows_of_one_shape_are_parsed_as_a_flat_list(array: np.ndarray, *, spaced: bool) -> None:
    rows = flattened(text_of(array.tolist(), spaced=spaced))
    if rows is None:
        assert text_of(array.tolist(), spaced=spaced).find(b"]") > 60
    else:
        numbers, text, shape = rows
        assert shape == array.shape
        assert numbers == orjson.loads(b"[" + text + b"]") == array.ravel().tolist()


@given(text=st.text(alphabet="[],1-.5 n", max_size=14).map(str.encode))
@example(text=b"[1],[2]")
@example(text=b"1[2]")
@example(text=b"[1]2")
@example(text=b"[1]2,[3]")
@example(text=b"[1],2[3]")
@example(text=b"[[1]2]")
@example(text=b"[]")
@example(text=b"[[],[]]")
@example(text=b"[[1],[2,3]]")
@example(text=b"[[1,2],[3]]")
@example(text=b"[1],[2],")
def test_the_flat_numbers_are_those_of_orjson(text: bytes) -> None:
    rows = flattened(text)
    if rows is not None:
        numbers, _, shape = rows
        assert np.array(numbers, object).reshape(shape).tolist() == orjson.loads(b"[" + text + b"]")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1,2",
        b'["a"]',
        b"[true]",
        b"[1],[2,3]",
        b"[1] ,[2]",
        b"[1,",
        b"[]",
        b"[" + b"1," * 99 + b"1]",
        b'[{"a":1}]',
    ],
)
def test_any_other_text_is_declined(text: bytes) -> None:
    assert flattened(text) is None


def test_null_is_accepted_as_a_number() -> None:
    assert flattened(b"[null,1],[2,3]") == ([None, 1, 2, 3], b"null,1,2,3", (2, 2))
