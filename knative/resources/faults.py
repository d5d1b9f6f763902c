"""The conversion of msgspec's errors to `BadManifest`, with the place in the file, the value and what is allowed."""

import re
from typing import Any

from msgspec import Struct, ValidationError, convert

from knative.resources.documents import Document, FieldPath, format_path
from knative.resources.errors import BadManifest, FieldFault, Violation, as_yaml
from knative.resources.expectations import expected_at, suggest_field

# msgspec reports only text: the error, then its place, as a path that starts with $.
_FAULT = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[\.\.\.\]")  # [...] is any key of a mapping: msgspec does not say which
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


def fault(error: ValidationError, document: Document, kind: type[Struct]) -> BadManifest:
    """Convert msgspec's error to `BadManifest`, with the place, the value and what is allowed."""
    parts = _FAULT.fullmatch(str(error))
    what, path = (parts["what"], _path(parts["path"] or "", document.data, kind, error)) if parts else (str(error), ())
    if parts and parts["key"]:
        return bad_field(document, path, value="a key that is not a string", allowed="string keys, in quotes")
    if isinstance(error.__cause__, FieldFault):
        cause = error.__cause__
        return bad_field(
            document, (*path, *cause.field), value=cause.value, allowed=cause.allowed, violation=cause.violation
        )
    if missing := _MISSING.fullmatch(what):
        at = (*path, missing[1])
        return bad_field(document, at, value="nothing", allowed=expected_at(kind, at))
    if unknown := _UNKNOWN.fullmatch(what):
        allowed = suggest_field(kind, path, unknown[1])
        return bad_field(document, (*path, unknown[1]), value="an unknown field", allowed=allowed)
    return bad_field(document, path, value=as_yaml(_value(document.data, path)), allowed=expected_at(kind, path))


def _path(text: str, data: object, kind: type[Struct], error: ValidationError) -> FieldPath:
    path: FieldPath = ()
    for step in _STEP.finditer(text):
        name, index = step.groups()
        if name is None and index is None:
            name = _faulty_key(data, path, kind, error)
            data = _with(data, path, {name: _value(data, path)[name]})  # the other entries may have different errors
        path = (*path, int(index) if index else name)
    return path


def _faulty_key(data: object, path: FieldPath, kind: type[Struct], error: ValidationError) -> str:
    """Return the key of the entry that causes the error: the first entry that causes it alone in the mapping."""
    entries: dict[str, object] = _value(data, path)
    return next(key for key, value in entries.items() if _fault_of(_with(data, path, {key: value}), kind) == str(error))


def _fault_of(data: object, kind: type[Struct]) -> str | None:
    try:
        convert(data, kind)
    except ValidationError as error:
        return str(error)
    return None


def _with(data: Any, path: FieldPath, value: object) -> object:  # noqa: ANN401 - any YAML value
    """Copy the data with another value at the path."""
    if not path:
        return value
    step, *below = path
    copy = data.copy()
    copy[step] = _with(data[step], tuple(below), value)
    return copy


def _value(data: Any, path: FieldPath) -> Any:  # noqa: ANN401 - any YAML value
    for step in path:
        data = data[step]
    return data


def bad_field(
    document: Document, path: FieldPath, *, value: str, allowed: str, violation: Violation = Violation.FIELD
) -> BadManifest:
    """Return the error for the field at a path of the document."""
    return BadManifest(
        document.file, document.line(path), format_path(path), value=value, allowed=allowed, violation=violation
    )
