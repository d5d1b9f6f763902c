"""A manifest that cannot be taken: where it is wrong, what stands there and what may."""

import json

from runtime.errors import ScalezeroError


class BadManifest(ScalezeroError):
    """A field of a manifest is not allowed. Stops the command, as a bad setting does."""

    code = "bad_manifest"

    def __init__(self, file: str, line: int | None, field: str, *, value: str, allowed: str) -> None:
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
    """What a resource says of itself when two of its fields do not fit: a field under it, what came, what may.

    `value` is what came, as an error shows it. The resource knows no file; reading adds the place and raises
    `BadManifest` from it.
    """

    def __init__(self, *field: str | int, value: str, allowed: str) -> None:
        super().__init__(f"{field}: got {value}; expected {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed


def told(value: object) -> str:
    """Show a value as YAML would write it, a long one cut short and a nested one by its shape alone."""
    if isinstance(value, dict | list):
        return f"{'a' if value else 'an empty'} {'mapping' if isinstance(value, dict) else 'list'}"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - enough to know it again
