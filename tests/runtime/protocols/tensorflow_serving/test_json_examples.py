"""Examples in JSON, and the results of classify and regress."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, RefusedInput
from runtime.protocols.tensorflow_serving import json_body, json_examples
from runtime.protocols.tensorflow_serving.json_request import Body
from tests.runtime.protocols.json.texts import drained
from tests.runtime.protocols.tensorflow_serving.arrays import f32

LARGE = 20_000  # values: more than `slices` keeps as Python objects


def read(text: str | bytes) -> list[Any]:
    body = text.encode() if isinstance(text, str) else text
    document, special = drained(json_body.load_slices(body, lambda _: None))[0]
    return json_examples.read(Body(document, special, None))


def refusal(document: object) -> str:
    with pytest.raises(RefusedInput) as refused:
        read(json.dumps(document))
    return refused.value.message


@pytest.mark.parametrize(
    ("value", "dtype", "values"),
    [
        (1, "i8", [1]),
        ([1, True, False], "i8", [1, 1, 0]),
        ([0.5, 1e39, -1e39], "f4", [0.5, np.inf, -np.inf]),
        ([float("nan"), float("inf")], "f4", [np.nan, np.inf]),
        ("a", "O", ["a"]),
        (["a", {"b64": "w6k="}], "O", ["a", "é"]),
        ([], "i8", []),
        ([0.5] * LARGE, "f4", [0.5] * LARGE),
        ([1] * LARGE, "i8", [1] * LARGE),
        ([True] * LARGE, "i8", [1] * LARGE),
        ([float("nan")] * LARGE, "f4", [np.nan] * LARGE),
    ],
)
def test_a_feature_has_the_type_of_its_values(value: object, dtype: str, values: list[object]) -> None:
    (example,) = read(json.dumps({"examples": [{"x": value}]}))
    assert example["x"].dtype == np.dtype(dtype)
    np.testing.assert_array_equal(example["x"], np.array(values, dtype))


def test_the_context_is_the_default_of_the_features_of_each_example() -> None:
    found = read('{"context": {"a": 1, "b": 2}, "examples": [{}, {"b": 3}]}')
    assert [{name: feature.tolist() for name, feature in each.items()} for each in found] == [
        {"a": [1], "b": [2]},
        {"a": [1], "b": [3]},
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "When method is classify, key 'examples' is expected and was not found"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [[]]}, "Example must be JSON object but got JSON Array"),
        ({"examples": [1] * LARGE * 4}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{}], "context": "a"}, "Example must be JSON object but got JSON String"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": [{"a": 1}]}]}, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [None] + [0.5] * LARGE}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[0.5, 0.5]] * LARGE}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": [1, 0.5]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": [0.5, "a"]}]}, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": ["a", 1]}]}, "Unexpected element type in feature: x expecting type: bytes"),
        ({"examples": [{"x": [2**63]}]}, "Feature: x has uint64 element. Only int64 is supported."),
        ({"examples": [{"x": [2**63] * LARGE}]}, "Feature: x has uint64 element. Only int64 is supported."),
        ({"examples": [{"x": {"b64": "!"}}]}, "Unable to base64 decode"),
    ],
)
def test_errors_have_tensorflow_servings_messages(document: object, message: str) -> None:
    assert refusal(document).endswith(message)


def test_base64_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read('{"examples": [{"x": {"b64": "/w=="}}]}')


SCORES = st.floats(width=32)


@given(rows=st.lists(st.lists(st.tuples(st.text(), SCORES), min_size=1), min_size=1))
def test_classes_survive_a_round_trip(rows: list[list[tuple[str, float]]]) -> None:
    found = json.loads(b"".join(json_examples.results(iter([json_examples.classifications(rows)]))))
    assert [[label for label, _ in row] for row in found["results"]] == [[label for label, _ in row] for row in rows]
    scores = [f32([score for _, score in row]) for row in found["results"]]
    for one, other in zip(scores, rows, strict=True):
        np.testing.assert_array_equal(one, f32([score for _, score in other]))


@given(values=st.lists(SCORES))
def test_values_survive_a_round_trip(values: list[float]) -> None:
    found = json.loads(b"".join(json_examples.results(iter([json_examples.regressions(values)]))))
    np.testing.assert_array_equal(f32(found["results"]), f32(values))
