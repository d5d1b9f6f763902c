"""What a kind expects at a field: read from the kind itself, so an error and the model cannot disagree."""

import difflib
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Meta, Struct
from msgspec.structs import fields


def expected_at(kind: type[Struct], path: Sequence[str | int]) -> str:
    """Say what may stand at a path of the kind. Raises `KeyError` for a path that the kind has not."""
    here: Any = kind
    for step in path:
        here = _below(here, step)
    return _described(here)


def nearest(kind: type[Struct], path: Sequence[str | int], unknown: str) -> str:
    """Say what may stand instead of a field that the mapping at the path does not know."""
    here: Any = kind
    for step in path:
        here = _below(here, step)
    return nearest_of(unknown, _names(here))


def nearest_of(unknown: str, known: Sequence[str]) -> str:
    """Name the known word that is most like the unknown one, and all of them."""
    near = difflib.get_close_matches(unknown, known, n=1)
    if len(known) == 1:
        return known[0]
    return f"one of {', '.join(known)}" + (f"; the nearest is {near[0]}" if near else "")


def _below(kind: Any, step: str | int) -> Any:  # noqa: ANN401 - an annotation has no narrower type
    bare = _bare(kind)
    if isinstance(step, int):
        return get_args(bare)[0]
    if get_origin(bare) is dict:
        return get_args(bare)[1]
    return {each.encode_name: _given(each.type) for each in fields(bare)}[step]


def _described(kind: Any) -> str:  # noqa: ANN401 - as above
    if get_origin(kind) is Annotated:
        meta = next(each for each in get_args(kind)[1:] if isinstance(each, Meta))
        return str(meta.description)
    return f"a mapping with {', '.join(_names(kind))}"


def _names(kind: Any) -> list[str]:  # noqa: ANN401 - as above
    return [each.encode_name for each in fields(_bare(kind))]


def _bare(kind: Any) -> Any:  # noqa: ANN401 - as above
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _given(kind: Any) -> Any:  # noqa: ANN401 - as above
    """Take an optional field as what it is when it is given: the first of its union."""
    return get_args(kind)[0] if get_origin(kind) in {Union, UnionType} else kind
