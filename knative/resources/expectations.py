"""The allowed value of each field, as text for errors. It is read from the type, so errors always match the type."""

import difflib
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Meta, Struct
from msgspec.structs import fields


def expected_at(kind: type[Struct], path: Sequence[str | int]) -> str:
    """Describe the allowed value at a path of the kind. Raises `KeyError` for a path that the kind does not have."""
    current: Any = kind
    for step in path:
        current = _type_at(current, step)
    return _description(current)


def suggest_field(kind: type[Struct], path: Sequence[str | int], unknown: str) -> str:
    """List the fields of the mapping at the path, with the one that is most similar to the unknown field."""
    current: Any = kind
    for step in path:
        current = _type_at(current, step)
    return suggest(unknown, _field_names(current))


def suggest(unknown: str, known: Sequence[str]) -> str:
    """List all known names, with the one that is most similar to the unknown name."""
    similar = difflib.get_close_matches(unknown, known, n=1)
    if len(known) == 1:
        return known[0]
    return f"one of {', '.join(known)}" + (f"; did you mean {similar[0]}?" if similar else "")


def _type_at(kind: Any, step: str | int) -> Any:  # noqa: ANN401 - an annotation has no narrower type
    bare = _unwrapped(kind)
    if isinstance(step, int):
        return get_args(bare)[0]
    if get_origin(bare) is dict:
        return get_args(bare)[1]
    return {each.encode_name: _without_none(each.type) for each in fields(bare)}[step]


def _description(kind: Any) -> str:  # noqa: ANN401 - as above
    if get_origin(kind) is Annotated:
        meta = next(each for each in get_args(kind)[1:] if isinstance(each, Meta))
        return str(meta.description)
    return f"a mapping with {', '.join(_field_names(kind))}"


def _field_names(kind: Any) -> list[str]:  # noqa: ANN401 - as above
    return [each.encode_name for each in fields(_unwrapped(kind))]


def _unwrapped(kind: Any) -> Any:  # noqa: ANN401 - as above
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _without_none(kind: Any) -> Any:  # noqa: ANN401 - as above
    """Return the type of an optional field without None: the first of its union."""
    return get_args(kind)[0] if get_origin(kind) in {Union, UnionType} else kind
