"""Whether two schemas leave anything that fits both, as far as their types, properties and sizes say. Pure.

What this does not understand counts as fitting: a finding is a contradiction, never a doubt.
Source: OpenAPI 3.0.3 and 3.1, "Schema Object".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]

_KINDS: Final = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems"),
}


def contradiction(one: Schema, taken: Schema, place: str = "the body") -> str | None:
    """What of `one` can never be `taken`, in words with its place; None: nothing is known to be.

    `one` is what clients are promised, `taken` what the function takes.
    """
    if alternatives := one.get("anyOf") or one.get("oneOf"):
        return _of_all(contradiction(each, taken, place) for each in alternatives)
    if alternatives := taken.get("anyOf") or taken.get("oneOf"):
        return _of_all(contradiction(one, each, place) for each in alternatives)
    for part in taken.get("allOf", ()):
        if said := contradiction(one, part, place):
            return said
    for part in one.get("allOf", ()):
        if said := contradiction(part, taken, place):
            return said
    return _types(one, taken, place) or _values(one, taken, place) or _inside(one, taken, place)


def _of_all(found: Iterable[str | None]) -> str | None:
    """The first contradiction, where every alternative has one."""
    said = list(found)
    return said[0] if all(said) else None


def _types(one: Schema, taken: Schema, place: str) -> str | None:
    promised, accepted = _named(one), _named(taken)
    if not promised or not accepted or promised & accepted:
        return None
    return f"{place} is {_or(promised)}, and the function takes {_or(accepted)}"


def _named(schema: Schema) -> set[str]:
    """The types that a schema names; every integer is a number."""
    types = schema.get("type", ())
    named = {types} if isinstance(types, str) else set(types)
    if not named:
        named = {kind for kind, words in _KINDS.items() if any(word in schema for word in words)}
        return named if len(named) == 1 else set()
    if schema.get("nullable"):
        named.add("null")
    return named | {"integer"} if "number" in named else named


def _or(types: set[str]) -> str:
    shown = sorted(types - {"integer"} if "number" in types else types)
    return " or ".join(shown)


def _values(one: Schema, taken: Schema, place: str) -> str | None:
    promised, accepted = _listed(one), _listed(taken)
    if promised is None or accepted is None or any(each in accepted for each in promised):
        return None
    return f"{place} is one of {_some(promised)}, and the function takes {_some(accepted)}"


def _listed(schema: Schema) -> Sequence[object] | None:
    if "const" in schema:
        return [schema["const"]]
    values: Sequence[object] | None = schema.get("enum")
    return values


def _some(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")  # noqa: PLR2004 - enough to see


def _inside(one: Schema, taken: Schema, place: str) -> str | None:
    kinds = _named(one) & _named(taken)
    if kinds == {"object"}:
        return _object(one, taken, place)
    return _array(one, taken, place) if kinds == {"array"} else None


def _object(one: Schema, taken: Schema, place: str) -> str | None:
    promised, accepted = one.get("properties", {}), taken.get("properties", {})
    lacking = [name for name in taken.get("required", ()) if name not in promised]
    if promised and lacking:
        return f"{place} has {', '.join(promised)}, and the function needs {', '.join(lacking)}"
    for name, schema in promised.items():
        where = name if place == "the body" else f"{place}.{name}"
        if name in accepted:
            if said := contradiction(schema, accepted[name], where):
                return said
        elif taken.get("additionalProperties") is False:
            return f"{where} is no property that the function takes; it takes {', '.join(accepted) or 'none'}"
    return None


def _array(one: Schema, taken: Schema, place: str) -> str | None:
    least, most = one.get("minItems", 0), one.get("maxItems")
    fewest, largest = taken.get("minItems", 0), taken.get("maxItems")
    if (most is not None and most < fewest) or (largest is not None and least > largest):
        return f"{place} has {_bounds(least, most)} items, and the function takes {_bounds(fewest, largest)}"
    if "items" not in one or "items" not in taken:
        return None
    return contradiction(one["items"], taken["items"], f"{place}[]")


def _bounds(least: int, most: int | None) -> str:
    if least == most:
        return str(least)
    return f"at least {least}" if most is None else f"{least} to {most}"
