"""Errors in a manifest: the place, the value, and what is allowed."""

import json
from enum import StrEnum

from runtime.errors import ScalezeroError


class Violation(StrEnum):
    """The rule that a manifest violates, as the code of a finding of `scalezero check`."""

    FIELD = "bad-manifest"  # one field alone
    SYNTAX = "bad-syntax"  # the file is not YAML
    DECLARED_TWICE = "declared-twice"
    DUPLICATE_VARIABLE = "duplicate-variable"
    SCALE_BOUNDS = "scale-bounds"
    SPLIT_NOT_WHOLE = "split-not-whole"
    UNKNOWN_MODEL = "unknown-model"
    WAIT_NOT_BELOW_TIMEOUT = "wait-not-below-timeout"


class BadManifest(ScalezeroError):
    """A field of a manifest is invalid. Stops the command, as an invalid setting does."""

    code = "bad_manifest"

    def __init__(
        self,
        file: str,
        line: int | None,
        field: str,
        *,
        value: str,
        allowed: str,
        violation: Violation = Violation.FIELD,
    ) -> None:
        self.violation = violation
        place = file if line is None else f"{file}:{line}"
        super().__init__(
            f"{place}: {field}: got {value}; expected {allowed}",
            file=file,
            line=line,
            field=field,
            value=value,
            allowed=allowed,
        )


class FieldFault(ValueError):
    """A resource's own check failed: the field's path in the resource, its value, and what is allowed.

    `value` is the value as a message shows it. A resource does not know its file, so the reader adds the file and the
    line, and raises `BadManifest` from this error.
    """

    def __init__(self, *field: str | int, value: str, allowed: str, violation: Violation = Violation.FIELD) -> None:
        super().__init__(f"{field}: got {value}; expected {allowed}")
        self.violation = violation
        self.field = field
        self.value = value
        self.allowed = allowed


def as_yaml(value: object) -> str:
    """Format a value as in YAML. A long value is truncated; for a mapping or a list, return only its type."""
    if isinstance(value, dict | list):
        return f"{'a' if value else 'an empty'} {'mapping' if isinstance(value, dict) else 'list'}"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - enough to recognize it
