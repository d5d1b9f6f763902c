"""An assessment that was added after the publication: an object beside the manifest, as JSON. Pure.

    s3://models/m.onnx.manifest.json              the publisher's assessment, if it measured
    s3://models/m.onnx.assessments/intel-amx.json an added one

It lists those variants of its ranking that the manifest does not have: new ones, and those of the manifest that have
more prepared forms or a proof of their rows. docs/registry.md describes the fields.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from runtime.variants.json_fields import check_version, digest, field, list_of, loads, text
from runtime.variants.values import Assessment, Variant
from runtime.variants.values_json import assessment, data_of, variant

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedAssessment:
    """What was measured later, on one CPU class."""

    uri: str  # of the artifact
    sha256: str  # of the artifact
    measured_by: str  # user@host, or the URL of the CI run
    variants: tuple[Variant, ...] = ()
    assessment: Assessment


def render(added: AddedAssessment) -> bytes:
    """Return the JSON in ASCII."""
    return (json.dumps(as_data(added), indent=2, allow_nan=False) + "\n").encode("ascii")


def as_data(added: AddedAssessment) -> dict[str, Any]:
    """Return the JSON values."""
    return {"schemaVersion": SCHEMA_VERSION, **data_of(added)}


def parse(body: bytes) -> AddedAssessment:
    """Read what `render` returned; unknown fields are ignored. Raises ValueError with the path of the field."""
    data = loads(body)
    check_version(data, SCHEMA_VERSION)
    return AddedAssessment(
        uri=field(data, "", "uri", text),
        sha256=field(data, "", "sha256", digest),
        measured_by=field(data, "", "measuredBy", text),
        variants=field(data, "", "variants", list_of(variant)),
        assessment=field(data, "", "assessment", assessment),
    )


def merged(variants: Sequence[Variant], added: Iterable[AddedAssessment]) -> tuple[Variant, ...]:
    """Return the manifest's variants with what the added assessments name, in their order.

    Raises ValueError if an added variant has the name of another one and other bytes or another provider.
    """
    known = {each.name: each for each in variants}
    for each in added:
        for offered in each.variants:
            existing = known.get(offered.name)
            known[offered.name] = offered if existing is None else _joined(existing, offered)
    return tuple(known.values())


def _joined(existing: Variant, offered: Variant) -> Variant:
    if (existing.sha256, existing.provider) != (offered.sha256, offered.provider):
        raise ValueError(
            f"variants: got {offered.name} with the SHA-256 {offered.sha256} on {offered.provider}; "
            f"expected {existing.sha256} on {existing.provider}, as the variant of that name is"
        )
    forms = {form.uri: form for form in (*existing.prepared, *offered.prepared)}
    return replace(existing, prepared=tuple(forms.values()), rows=existing.rows or offered.rows)
