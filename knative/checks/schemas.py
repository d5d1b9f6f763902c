"""Contradictions between two schemas: types, properties or sizes that no value can satisfy in both. Pure.

Unsupported keywords are ignored, so a reported contradiction is certain. Some contradictions are not detected.
Source: OpenAPI 3.0.3 and 3.1, "Schema Object".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]

_KINDS: Final = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems"),
}


def contradiction(declared: Schema, accepted: Schema, place: str = "the body") -> str | None:
    """Describe a part of `declared` that `accepted` excludes, with its place. Return None if none is found.

    `declared` is the schema of the APIDefinition, `accepted` the schema of the function.
    """
    if alternatives := declared.get("anyOf") or declared.get("oneOf"):
        return _first_if_all(contradiction(each, accepted, place) for each in alternatives)
    if alternatives := accepted.get("anyOf") or accepted.get("oneOf"):
        return _first_if_all(contradiction(declared, each, place) for each in alternatives)
    for part in accepted.get("allOf", ()):
        if found := contradiction(declared, part, place):
            return found
    for part in declared.get("allOf", ()):
        if found := contradiction(part, accepted, place):
            return found
    return _types(declared, accepted, place) or _values(declared, accepted, place) or _nested(declared, accepted, place)


def _first_if_all(found: Iterable[str | None]) -> str | None:
    """Return the first contradiction if every alternative has one, else None."""
    contradictions = list(found)
    return contradictions[0] if all(contradictions) else None


def _types(declared: Schema, accepted: Schema, place: str) -> str | None:
    declared_types, accepted_types = _types_of(declared), _types_of(accepted)
    if not declared_types or not accepted_types or declared_types & accepted_types:
        return None
    return f"{place} is {_join_types(declared_types)}, but the function expects {_join_types(accepted_types)}"


def _types_of(schema: Schema) -> set[str]:
    """Return the types that a schema allows, or an empty set if they are unknown. Every integer is a number."""
    types = schema.get("type", ())
    found = {types} if isinstance(types, str) else set(types)
    if not found:
        found = {kind for kind, keywords in _KINDS.items() if any(keyword in schema for keyword in keywords)}
        return found if len(found) == 1 else set()
    if schema.get("nullable"):
        found.add("null")
    return found | {"integer"} if "number" in found else found


def _join_types(types: set[str]) -> str:
    distinct = sorted(types - {"integer"} if "number" in types else types)
    return " or ".join(distinct)


def _values(declared: Schema, accepted: Schema, place: str) -> str | None:
    declared_values, accepted_values = _values_of(declared), _values_of(accepted)
    if declared_values is None or accepted_values is None or any(each in accepted_values for each in declared_values):
        return None
    return (
        f"{place} is one of {_join_values(declared_values)}, but the function expects {_join_values(accepted_values)}"
    )


def _values_of(schema: Schema) -> Sequence[object] | None:
    if "const" in schema:
        return [schema["const"]]
    values: Sequence[object] | None = schema.get("enum")
    return values


def _join_values(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")  # noqa: PLR2004 - a short message


def _nested(declared: Schema, accepted: Schema, place: str) -> str | None:
    types = _types_of(declared) & _types_of(accepted)
    if types == {"object"}:
        return _object(declared, accepted, place)
    return _array(declared, accepted, place) if types == {"array"} else None


def _object(declared: Schema, accepted: Schema, place: str) -> str | None:
    declared_properties, accepted_properties = declared.get("properties", {}), accepted.get("properties", {})
    missing = [name for name in accepted.get("required", ()) if name not in declared_properties]
    if declared_properties and missing:
        return f"{place} has {', '.join(declared_properties)}, but the function requires {', '.join(missing)}"
    for name, schema in declared_properties.items():
        where = name if place == "the body" else f"{place}.{name}"
        if name in accepted_properties:
            if found := contradiction(schema, accepted_properties[name], where):
                return found
        elif accepted.get("additionalProperties") is False:
            allowed = ", ".join(accepted_properties) or "no properties"
            return f"{where} is not a property that the function accepts; it accepts {allowed}"
    return None


def _array(declared: Schema, accepted: Schema, place: str) -> str | None:
    declared_min, declared_max = declared.get("minItems", 0), declared.get("maxItems")
    accepted_min, accepted_max = accepted.get("minItems", 0), accepted.get("maxItems")
    if (declared_max is not None and declared_max < accepted_min) or (
        accepted_max is not None and declared_min > accepted_max
    ):
        found, expected = _bounds(declared_min, declared_max), _bounds(accepted_min, accepted_max)
        return f"{place} has {found} items, but the function expects {expected}"
    if "items" not in declared or "items" not in accepted:
        return None
    return contradiction(declared["items"], accepted["items"], f"{place}[]")


def _bounds(minimum: int, maximum: int | None) -> str:
    if minimum == maximum:
        return str(minimum)
    return f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"
