"""The open containers: values are added to the innermost one, and Python objects are counted."""

from typing import Any

import pytest

from runtime.errors import InvalidInput
from runtime.protocols.json import tree as tree_module
from runtime.protocols.json.tree import Tree
from tests.runtime.protocols.json.texts import drained


def opened(*containers: str) -> Tree:
    tree = Tree()
    for each in containers:
        tree.push(is_list=each == "[", key="k", room=1000)
    return tree


def closed(tree: Tree) -> Any:  # noqa: ANN401 - any JSON value
    while tree.open:
        drained(tree.pop())
    return tree.root


def test_lists_within_lists_share_one_array() -> None:
    tree = opened("{", "[", "[")
    tree.add([1, 2], b"1,2")
    drained(tree.pop())
    tree.add([[3, 4], [5, 6]], b"[3,4],[5,6]")
    assert closed(tree)["k"].tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("values", [["a"], [None, "a"], [[1], 2], [[1, 2, 3]], [True]])
def test_values_that_do_not_fit_convert_all_lists_to_objects(values: list[Any]) -> None:
    tree = opened("[", "[")
    tree.add([1, 2], b"1,2")
    drained(tree.pop())
    tree.add(values, repr(values).replace("'", '"').replace("None", "null").replace("True", "true").encode())
    assert closed(tree) == [[1, 2], *values]


def test_a_row_of_another_length_converts_all_lists_to_objects() -> None:
    tree = opened("[", "[")
    tree.add([1, 2], b"1,2")
    drained(tree.pop())
    tree.push(is_list=True, key="", room=1000)
    tree.add([3], b"3")
    assert closed(tree) == [[1, 2], [3]]


def test_equal_keys_have_the_last_value_at_the_first_place() -> None:
    tree = opened("{")
    tree.add({"k": 1, "b": 2}, b'"k":1,"b":2')
    tree.push(is_list=True, key="k", room=1000)
    tree.add(["x"], b'"x"')
    assert list(closed(tree).items()) == [("k", ["x"]), ("b", 2)]


@pytest.mark.parametrize("container", ["[", "{"])
def test_the_last_value_can_be_replaced(container: str) -> None:
    tree = opened(container)
    tree.add([1, ""] if container == "[" else {"a": 1, "b": ""}, b'""')
    tree.replace_last("long")
    assert closed(tree) == ([1, "long"] if container == "[" else {"a": 1, "b": "long"})


@pytest.mark.parametrize(
    ("container", "values", "text", "weight"),
    [
        ("[", ["a", "b"], b'"a","b"', 2),
        ("[", [{}, []], b"{},[]", 2 + 16),
        ("{", {"a": 1}, b'"a":1', 8 + 4),
        ("[", [[1], [1, 2]], b"[1],[1,2]", 3 + 16),
    ],
)
def test_python_objects_are_counted(
    container: str,
    values: Any,  # noqa: ANN401 - any JSON value
    text: bytes,
    weight: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree_module, "MAX_VALUES", weight)
    opened(container).add(values, text)
    monkeypatch.setattr(tree_module, "MAX_VALUES", weight - 1)
    with pytest.raises(InvalidInput, match=r"^body: got more than -?\d+ values outside of arrays of numbers; expected"):
        opened(container).add(values, text)


def test_numbers_in_arrays_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_VALUES", 0)
    tree = opened("[")
    tree.add([[1, 2]] * 100, b"[1,2]," * 99 + b"[1,2]")
    assert closed(tree).shape == (100, 2)
