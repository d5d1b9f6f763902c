"""An object is as wanted where it has everything that the manifest says; lists must have nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.deploying.differences import Difference, differences

Tree = Any  # as JSON has it

names = st.text("abc", min_size=1, max_size=3)
scalars = st.integers(1, 9) | st.text("xyz", min_size=1, max_size=3) | st.just(value=True)
trees = st.recursive(
    scalars,
    lambda below: st.dictionaries(names, below, max_size=3) | st.lists(below, max_size=3),
    max_leaves=8,
)


def with_defaults(tree: Tree) -> Tree:
    """The same with a field more in each mapping, as an API server fills in its defaults."""
    if isinstance(tree, dict):
        return {**{name: with_defaults(value) for name, value in tree.items()}, "defaulted": "by the server"}
    return [with_defaults(each) for each in tree] if isinstance(tree, list) else tree


@given(trees)
def test_what_a_server_fills_in_is_no_difference(tree: Tree) -> None:
    assert differences(tree, with_defaults(tree)) == ()


@given(trees, trees)
def test_without_a_difference_applying_what_is_wanted_changes_nothing(wanted: Tree, found: Tree) -> None:
    if not differences(wanted, found):
        assert merged(wanted, found) == found


def merged(wanted: Tree, found: Tree) -> Tree:
    """What an apply makes of it."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        changed = {name: merged(value, found[name]) for name, value in wanted.items() if name in found}
        return {**found, **changed, **{name: value for name, value in wanted.items() if name not in found and value}}
    if isinstance(wanted, list) and isinstance(found, list):
        return [merged(each, other) for each, other in zip(wanted, found, strict=True)]
    return wanted


@pytest.mark.parametrize(
    ("wanted", "found", "told"),
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
def test_a_difference_names_its_field_and_both_values(wanted: Tree, found: Tree, told: Difference) -> None:
    assert differences(wanted, found) == (told,)


def test_items_with_names_are_found_whatever_their_order() -> None:
    first, second = {"name": "A", "value": "1"}, {"name": "B", "value": "2"}
    assert differences({"env": [first, second]}, {"env": [second, first]}) == ()


@pytest.mark.parametrize("nothing", [0, "", False, None, [], {}])
def test_what_is_empty_may_be_left_out(nothing: object) -> None:
    assert differences({"containerConcurrency": nothing}, {}) == ()
    assert differences({"containerConcurrency": nothing}, {"containerConcurrency": 7}) != ()
