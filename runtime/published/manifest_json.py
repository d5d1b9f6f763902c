"""A manifest as JSON, and back. Pure. A reader ignores unknown fields, and refuses another `schemaVersion`."""

import json
from typing import Any, Final, get_args

from runtime.errors import ScalezeroError
from runtime.published.manifest import Format, Manifest, Provenance, Value
from runtime.published.places import SUFFIX
from runtime.variants.json_fields import (
    check_version,
    field,
    integer,
    list_of,
    loads,
    mapping_of,
    number,
    one_of,
    optional,
    size,
    text,
)
from runtime.variants.values_json import assessment, data_of, object_fields, stored_file, variant

SCHEMA_VERSION: Final = 1


class InvalidManifest(ScalezeroError):
    """The bytes at the URI of a manifest are no manifest that this version of scalezero can read."""

    code = "invalid_manifest"

    def __init__(self, uri: str, reason: str) -> None:
        artifact = uri.removesuffix(SUFFIX)
        super().__init__(
            f"{uri}: this is not a manifest that can be read: {reason}. To replace it: "
            f"scalezero models delete '{artifact}', then scalezero publish",
            uri=uri,
            reason=reason,
        )


def render(manifest: Manifest) -> bytes:
    """Return the manifest as JSON in ASCII. Unknown values are null, so that each field is always there."""
    return (json.dumps(as_data(manifest), indent=2, allow_nan=False) + "\n").encode("ascii")


def as_data(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as JSON values."""
    return {"schemaVersion": SCHEMA_VERSION, **data_of(manifest)}


def parse(body: bytes, *, uri: str) -> Manifest:
    """Parse a manifest. Raises `InvalidManifest` with the field. `uri` is that of the manifest, for the error."""
    try:
        return _document(loads(body), "")
    except ValueError as error:
        raise InvalidManifest(uri, str(error)) from error


def _document(data: Any, at: str) -> Manifest:  # noqa: ANN401
    check_version(data, SCHEMA_VERSION)
    return Manifest(
        name=field(data, at, "name", text),
        version=field(data, at, "version", text),
        **object_fields(data, at),
        files=field(data, at, "files", list_of(stored_file)),
        format=field(data, at, "format", one_of(get_args(Format))),
        ir_version=field(data, at, "irVersion", optional(integer)),
        opset=field(data, at, "opset", optional(integer)),
        domains=field(data, at, "domains", mapping_of(integer)),
        producer=field(data, at, "producer", text),
        producer_version=field(data, at, "producerVersion", text),
        inputs=field(data, at, "inputs", list_of(_value)),
        outputs=field(data, at, "outputs", list_of(_value)),
        metrics=field(data, at, "metrics", mapping_of(number)),
        provenance=field(data, at, "provenance", _provenance),
        variants=field(data, at, "variants", list_of(variant)),
        assessment=field(data, at, "assessment", optional(assessment), default=None),
    )


def _value(data: Any, at: str) -> Value:  # noqa: ANN401
    return Value(
        name=field(data, at, "name", text),
        dtype=field(data, at, "dtype", text),
        shape=field(data, at, "shape", optional(list_of(_axis))),
    )


def _provenance(data: Any, at: str) -> Provenance:  # noqa: ANN401
    return Provenance(
        published_at=field(data, at, "publishedAt", text),
        published_by=field(data, at, "publishedBy", text),
        source=field(data, at, "source", text),
        packages=field(data, at, "packages", mapping_of(text)),
    )


def _axis(value: Any, at: str) -> int | str | None:  # noqa: ANN401
    return value if isinstance(value, str | None) else size(value, at)
