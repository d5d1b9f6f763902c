"""Each field of each kind has a description of its allowed value."""

from collections.abc import Iterator
from typing import get_args

import pytest
from msgspec import Struct
from msgspec.structs import fields

from knative.resources.expectations import expected_at, suggest
from knative.resources.read import KINDS


def paths(kind: type[Struct]) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every field, also in lists and mappings."""
    for each in fields(kind):
        yield (each.encode_name,)
        below: object = each.type
        within: tuple[str | int, ...] = (each.encode_name,)
        if str(below).find("tuple[") >= 0:
            below, within = get_args(get_args(below)[0])[0], (*within, 0)
        if isinstance(below, type) and issubclass(below, Struct):
            yield from ((*within, *deeper) for deeper in paths(below))


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind in KINDS for path in paths(KINDS[kind])])
def test_every_field_has_a_description(kind: str, path: tuple[str | int, ...]) -> None:
    description = expected_at(KINDS[kind], path)
    assert description
    assert description != "None"


def test_the_walk_reaches_nested_fields() -> None:
    assert ("spec", "traffic", 0, "percent") in paths(KINDS["Service"])
    assert ("spec", "storage", "path") in paths(KINDS["ModelVersion"])


def test_suggest_lists_the_known_names_and_the_most_similar_one() -> None:
    assert suggest("blu", ["red", "blue"]) == "one of red, blue; did you mean blue?"
    assert suggest("xyz", ["red", "blue"]) == "one of red, blue"
    assert suggest("rad", ["red"]) == "red"
