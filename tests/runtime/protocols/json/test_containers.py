"""Sequences, maps and optional values are converted item by item; an error names the place of the item."""

from typing import Any

import numpy as np
import pytest

from runtime.errors import InvalidInput
from runtime.protocols.json import containers as json_containers
from runtime.tensors import STRING, TensorSpec


def spec(*containers: str, dtype: str = "f4") -> TensorSpec:
    return TensorSpec("x", STRING if dtype == "O" else np.dtype(dtype), None, containers)


def read(value: object, *containers: str, dtype: str = "f4") -> Any:  # noqa: ANN401 - a value of ONNX Runtime
    array = json_containers.read("inputs.x", value, spec(*containers, dtype=dtype))
    return list(array) if array.ndim else array.item()


def test_a_sequence_has_tensors_of_any_shape() -> None:
    first, second = read([[1, 2], [[3], [4]]], "sequence")
    assert (first.tolist(), second.tolist()) == ([1, 2], [[3], [4]])
    assert {first.dtype, second.dtype} == {np.dtype("f4")}
    assert read([], "sequence") == []
    (words,) = read([["a", "b"]], "sequence", dtype="O")
    assert words.tolist() == ["a", "b"]
    assert [each.tolist() for each in read(np.array([[1.0], [2.0]]), "sequence")] == [[1], [2]]


def test_the_keys_of_a_map_are_names_or_whole_numbers() -> None:
    assert read({"a": 1, "b": 2.5}, "map of string") == {"a": 1.0, "b": 2.5}
    assert read({"1": 1, "-2": 2}, "map of int64", dtype="i8") == {1: 1, -2: 2}
    assert read([{"a": 1}], "sequence", "map of string") == [{"a": 1.0}]


def test_an_optional_value_may_be_absent() -> None:
    assert read(None, "optional") is None
    assert json_containers.read("inputs.x", [1, 2], spec("optional")).tolist() == [1, 2]
    (item,) = read([[1]], "optional", "sequence")
    assert item.tolist() == [1]


@pytest.mark.parametrize(
    ("value", "containers", "message"),
    [
        (5, ["sequence"], "inputs.x: got 5; expected a list (sequence(float32))"),
        ([[1], ["a"]], ["sequence"], 'inputs.x[1][0]: got "a"; expected a number or null (float32[?])'),
        ([1], ["map of string"], "inputs.x: got a list; expected an object (map(string, float32))"),
        ({"a": "b"}, ["map of string"], 'inputs.x.a: got "b"; expected a number or null (float32[?])'),
        ({"a": [1]}, ["map of string"], "inputs.x.a: got a list; expected one float32"),
        ({"a": 1}, ["map of int64"], 'inputs.x.a: got "a"; expected an int64 as the key'),
        ({"1" * 30: 1}, ["map of int64"], f'inputs.x.{"1" * 30}: got "{"1" * 30}"; expected an int64 as the key'),
        ({str(2**63): 1}, ["map of int64"], f'inputs.x.{2**63}: got "{2**63}"; expected an int64 as the key'),
        (
            {str(-(2**63) - 1): 1},
            ["map of int64"],
            'inputs.x.-9223372036854775809: got "-9223372036854775809"; expected',
        ),
        (None, ["sequence"], "inputs.x: got null; expected a list (sequence(float32))"),
    ],
)
def test_the_error_names_the_place_of_the_first_item_that_does_not_fit(
    value: object, containers: list[str], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(value, *containers)
    assert str(refused.value).startswith(message)
