"""Variants and their measurements as JSON, and back. Pure.

The names of the fields are those of the values, in camel case. Readers ignore unknown fields. They raise ValueError
with the path of the field.
"""

# ruff: noqa: ANN401 - JSON values are of any type

from collections.abc import Mapping
from typing import Any, get_args

from runtime.variants.json_fields import (
    amount,
    camel,
    digest,
    field,
    integer,
    list_of,
    mapping_of,
    number,
    one_of,
    optional,
    size,
    text,
)
from runtime.variants.values import (
    Assessment,
    Cost,
    Measurement,
    PreparedForm,
    RowsProof,
    RowsState,
    StoredFile,
    Variant,
)


def data_of(value: Any) -> Any:
    """Return a frozen value as JSON values."""
    if isinstance(value, Mapping):
        return {name: data_of(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [data_of(each) for each in value]
    if not hasattr(value, "__dataclass_fields__"):
        return value
    return {camel(name): data_of(getattr(value, name)) for name in value.__dataclass_fields__}


def object_fields(data: Any, at: str) -> dict[str, Any]:
    """Read where an object is, its digest and its size."""
    return {
        "uri": field(data, at, "uri", text),
        "sha256": field(data, at, "sha256", digest),
        "size": field(data, at, "size", size),
    }


def stored_file(data: Any, at: str) -> StoredFile:
    """Read one object of a model."""
    return StoredFile(**object_fields(data, at))


def variant(data: Any, at: str) -> Variant:
    """Read a variant."""
    return Variant(
        name=field(data, at, "name", text),
        provider=field(data, at, "provider", text),
        precision=field(data, at, "precision", optional(text)),
        **object_fields(data, at),
        files=field(data, at, "files", list_of(stored_file)),
        prepared=field(data, at, "prepared", list_of(_prepared), default=()),
        rows=field(data, at, "rows", optional(rows_proof), default=None),
    )


def _prepared(data: Any, at: str) -> PreparedForm:
    return PreparedForm(
        **object_fields(data, at),
        files=field(data, at, "files", list_of(stored_file)),
        cpu_class=field(data, at, "cpuClass", optional(text)),
        provider_version=field(data, at, "providerVersion", optional(text)),
    )


def rows_proof(data: Any, at: str) -> RowsProof:
    """Read whether rows are independent."""
    return RowsProof(
        state=field(data, at, "state", one_of(get_args(RowsState))), reason=field(data, at, "reason", text)
    )


def cost(data: Any, at: str) -> Cost:
    """Read the cost model of a variant."""
    return Cost(fixed=field(data, at, "fixed", amount), per_row=field(data, at, "perRow", amount))


def assessment(data: Any, at: str) -> Assessment:
    """Read the measurements of one CPU class."""
    return Assessment(
        cpu_class=field(data, at, "cpuClass", text),
        measured_at=field(data, at, "measuredAt", text),
        threads=field(data, at, "threads", integer),
        batch_size=field(data, at, "batchSize", integer),
        metric=field(data, at, "metric", optional(text)),
        score=field(data, at, "score", optional(number)),
        max_accuracy_loss=field(data, at, "maxAccuracyLoss", number),
        min_speedup=field(data, at, "minSpeedup", number),
        chosen=field(data, at, "chosen", text),
        reason=field(data, at, "reason", text),
        measurements=field(data, at, "measurements", list_of(_measurement)),
        packages=field(data, at, "packages", mapping_of(text)),
    )


def _measurement(data: Any, at: str) -> Measurement:
    return Measurement(
        variant=field(data, at, "variant", text),
        provider=field(data, at, "provider", text),
        one_row=field(data, at, "oneRow", optional(number)),
        full_batch=field(data, at, "fullBatch", optional(number)),
        cost=field(data, at, "cost", optional(cost)),
        speedup=field(data, at, "speedup", optional(number)),
        score=field(data, at, "score", optional(number)),
        loss=field(data, at, "loss", optional(number)),
        rejected=field(data, at, "rejected", optional(text)),
    )
