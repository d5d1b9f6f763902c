"""Each field of each kind says what it takes, so that every fault of it can be told."""

from collections.abc import Iterator
from typing import get_args

import pytest
from msgspec import Struct
from msgspec.structs import fields

from knative.resources.expectations import expected_at, nearest_of
from knative.resources.read import KINDS


def paths(kind: type[Struct]) -> Iterator[tuple[str | int, ...]]:
    """Walk to every field, into lists and mappings too."""
    for each in fields(kind):
        yield (each.encode_name,)
        below: object = each.type
        within: tuple[str | int, ...] = (each.encode_name,)
        if str(below).find("tuple[") >= 0:
            below, within = get_args(get_args(below)[0])[0], (*within, 0)
        if isinstance(below, type) and issubclass(below, Struct):
            yield from ((*within, *deeper) for deeper in paths(below))


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind in KINDS for path in paths(KINDS[kind])])
def test_every_field_says_what_it_takes(kind: str, path: tuple[str | int, ...]) -> None:
    said = expected_at(KINDS[kind], path)
    assert said
    assert said != "None"


def test_the_walk_reaches_the_leaves() -> None:
    assert ("spec", "traffic", 0, "percent") in paths(KINDS["Service"])
    assert ("spec", "storage", "path") in paths(KINDS["ModelVersion"])


def test_the_nearest_word_comes_with_all_the_known_ones() -> None:
    assert nearest_of("blu", ["red", "blue"]) == "one of red, blue; the nearest is blue"
    assert nearest_of("xyz", ["red", "blue"]) == "one of red, blue"
    assert nearest_of("rad", ["red"]) == "red"
