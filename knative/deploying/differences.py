"""What a cluster's object lacks of what was wanted, field by field.

An API server fills in defaults and others add fields of their own, so an object is as wanted where it has everything
that the manifest says. Lists are the exception: they are compared as a whole, by name where their items have one, as a
variable that is no longer wanted must go.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

_ABSENT: Final = object()
_KEYS: Final = ("name", "revisionName")  # what tells the items of a list apart


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: where it is, what stands there and what is wanted; None is nothing."""

    path: str
    before: object
    after: object


def differences(wanted: object, found: object) -> tuple[Difference, ...]:
    """List where `found` is not as `wanted` says, in the order of the wanted fields."""
    return tuple(_differences(wanted, found, ""))


def _differences(wanted: object, found: object, path: str) -> Iterator[Difference]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, value in wanted.items():
            yield from _differences(value, found.get(name, _ABSENT), f"{path}.{name}" if path else name)
    elif isinstance(wanted, list) and isinstance(found, list):
        yield from _listed(wanted, found, path)
    elif not _same(wanted, found):
        yield Difference(path, None if found is _ABSENT else found, wanted)


def _listed(wanted: list[Any], found: list[Any], path: str) -> Iterator[Difference]:
    key = next((key for key in _KEYS if _keyed(wanted, key) and _keyed(found, key)), None)
    before = {_place(each, index, key): each for index, each in enumerate(found)}
    after = {_place(each, index, key): each for index, each in enumerate(wanted)}
    for place, value in after.items():
        at = f"{path}[{place}]"
        yield from _differences(value, before[place], at) if place in before else (Difference(at, None, value),)
    for place, value in before.items():
        if place not in after:
            yield Difference(f"{path}[{place}]", value, None)


def _keyed(items: Sequence[Any], key: str) -> bool:
    """Whether each item has the key, and no two the same."""
    names = [each.get(key) if isinstance(each, dict) else None for each in items]
    return None not in names and len(set(names)) == len(names)


def _place(item: Any, index: int, key: str | None) -> object:  # noqa: ANN401 - JSON
    return index if key is None else item[key]


def _same(wanted: object, found: object) -> bool:
    """Compare two values; what is empty or zero may be left out by the API server."""
    return wanted == found or (found is _ABSENT and wanted in (None, {}, [], "", 0, False))
