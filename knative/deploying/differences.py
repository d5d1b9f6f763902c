"""The differences between a manifest and the cluster's object, field by field.

The API server fills in defaults and controllers add fields, so only the fields of the manifest are compared. Lists are
compared as a whole, by the names of their items if they have names: a variable that the manifest lacks must be removed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

_ABSENT: Final = object()
_KEYS: Final = ("name", "revisionName")  # identify the items of a list


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: its path, the value in the cluster and the value in the manifest; None: there is no value."""

    path: str
    before: object
    after: object


def differences(wanted: object, found: object) -> tuple[Difference, ...]:
    """List the fields in which `found` differs from `wanted`, in the order of `wanted`."""
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
    """Whether each item has the key, with a unique value."""
    names = [each.get(key) if isinstance(each, dict) else None for each in items]
    return None not in names and len(set(names)) == len(names)


def _place(item: Any, index: int, key: str | None) -> object:  # noqa: ANN401 - JSON
    return index if key is None else item[key]


def _same(wanted: object, found: object) -> bool:
    """Compare two values. The API server may omit an empty or zero value."""
    return wanted == found or (found is _ABSENT and wanted in (None, {}, [], "", 0, False))
