"""An object matches a manifest if it has all of its fields; a list must have no other items."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.deploying.differences import Difference, differences

Tree = Any  # JSON

names = st.text("abc", min_size=1, max_size=3)
scalars = st.integers(1, 9) | st.text("xyz", min_size=1, max_size=3) | st.just(value=True)
trees = st.recursive(
    scalars,
    lambda below: st.dictionaries(names, below, max_size=3) | st.lists(below, max_size=3),
    max_leaves=8,
)


def with_defaults(tree: Tree) -> Tree:
    """Return the tree with one more field in each mapping, as an API server fills in its defaults."""
    if isinstance(tree, dict):
        return {**{name: with_defaults(value) for name, value in tree.items()}, "defaulted": "by the server"}
    return [with_defaults(each) for each in tree] if isinstance(tree, list) else tree


@given(trees)
def test_a_default_of_the_server_is_not_a_difference(tree: Tree) -> None:
    assert differences(tree, with_defaults(tree)) == ()


@given(trees, trees)
def test_applying_a_manifest_without_differences_changes_nothing(wanted: Tree, found: Tree) -> None:
    if not differences(wanted, found):
        assert merged(wanted, found) == found


def merged(wanted: Tree, found: Tree) -> Tree:
    """Return the object after a server-side apply of `wanted`."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        changed = {name: merged(value, found[name]) for name, value in wanted.items() if name in found}
        return {**found, **changed, **{name: value for name, value in wanted.items() if name not in found and value}}
    if isinstance(wanted, list) and isinstance(found, list):
        return [merged(each, other) for each, other in zip(wanted, found, strict=True)]
    return wanted


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ({"a": 1}, {"a": 2}, Difference("a", 2, 1)),
        ({"a": {"b": 1}}, {}, Difference("a", None, {"b": 1})),
        ({"env": [{"name": "X", "value": "1"}]}, {"env": []}, Difference("env[X]", None, {"name": "X", "value": "1"})),
        ({"env": []}, {"env": [{"name": "X"}]}, Difference("env[X]", {"name": "X"}, None)),
        ({"drop": ["ALL"]}, {"drop": ["NONE"]}, Difference("drop[0]", "NONE", "ALL")),
        (
            {"traffic": [{"revisionName": "m-v1", "percent": 50}]},
            {"traffic": [{"revisionName": "m-v1", "percent": 9}]},
            Difference("traffic[m-v1].percent", 9, 50),
        ),
    ],
)
def test_a_difference_has_its_field_and_both_values(wanted: Tree, found: Tree, expected: Difference) -> None:
    assert differences(wanted, found) == (expected,)


def test_items_with_names_are_compared_in_any_order() -> None:
    first, second = {"name": "A", "value": "1"}, {"name": "B", "value": "2"}
    assert differences({"env": [first, second]}, {"env": [second, first]}) == ()


@pytest.mark.parametrize("empty", [0, "", False, None, [], {}])
def test_the_server_may_omit_an_empty_value(empty: object) -> None:
    assert differences({"containerConcurrency": empty}, {}) == ()
    assert differences({"containerConcurrency": empty}, {"containerConcurrency": 7}) != ()
