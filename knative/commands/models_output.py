"""What `scalezero models` prints: tables for people, and JSON values."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import click

from knative.commands.output import table
from runtime.registry import (
    Added,
    AddedResult,
    Assessment,
    Entry,
    Manifest,
    Variant,
    added_data,
    as_data,
    assessment_data,
    assessments_of,
    variants_of,
)
from runtime.registry.terminal import size_text
from runtime.variants import table as measured

LISTED: Final = ("KIND", "NAME", "VERSION", "FORMAT", "SIZE", "CHOSEN", "PUBLISHED", "URI")
_VARIANTS: Final = ("VARIANT", "PROVIDER", "PRECISION", "SIZE", "ROWS", "PREPARED", "SHA256", "URI")


def entry_data(entry: Entry) -> dict[str, object]:
    """Return a model of a listing as JSON values."""
    return {
        "kind": "model",
        "uri": entry.uri,
        "manifest": None if entry.manifest is None else as_data(entry.manifest),
        "problem": entry.problem,
        "added": [_added_data(each) for each in entry.added],
        "leftovers": list(entry.leftovers),
        "guest": None,
    }


def shown_data(manifest: Manifest, added: Sequence[Added]) -> dict[str, object]:
    """Return a model as JSON values: its manifest, and the assessments beside it."""
    return {**as_data(manifest), "added": [_added_data(each) for each in added]}


def added_result_data(result: AddedResult) -> dict[str, object]:
    """Return the result of a measurement as JSON values."""
    return {"uri": result.place, "assessment": assessment_data(result.assessment)}


def _added_data(added: Added) -> dict[str, object]:
    document = None if added.document is None else added_data(added.document)
    return {"uri": added.place, "problem": added.problem, "document": document}


def row(entry: Entry) -> tuple[str, ...]:
    """Return the row of a model in a listing."""
    manifest = entry.manifest
    if manifest is None:
        state = "no manifest" if not entry.problem else "unreadable manifest"
        return ("model", "-", "-", "-", "-", "-", state, entry.uri)
    size = size_text(manifest.size + sum(each.size for each in manifest.files))
    chosen = measured.choices(assessments_of(manifest, entry.added))
    published = manifest.provenance.published_at
    return ("model", manifest.name, manifest.version, manifest.format, size, chosen, published, manifest.uri)


def notes(entry: Entry) -> Iterator[str]:
    """Yield lines about what cannot be read, and what an interrupted publication left."""
    if entry.problem:
        yield f"{entry.uri}: its manifest cannot be read: {entry.problem}"
    for each in entry.added:
        if each.problem:
            yield f"{each.place}: this assessment cannot be read: {each.problem}"
    if entry.leftovers:
        count = len(entry.leftovers)
        left = f"{count} unused object{'s' if count > 1 else ''}"
        step = f"scalezero models delete '{entry.uri}'" + (" --leftovers" if entry.manifest else "")
        yield f"{entry.uri}: an interrupted publication left {left}; {step}"


def show(manifest: Manifest, added: Sequence[Added]) -> None:
    """Print the facts of a model, its inputs and outputs, its variants, and what was measured on each CPU class."""
    for line in _facts(manifest):
        click.echo(line)
    click.echo()
    values = [("input", each) for each in manifest.inputs] + [("output", each) for each in manifest.outputs]
    table(("", "NAME", "TYPE", "SHAPE"), ((kind, each.name, each.dtype, _shape(each.shape)) for kind, each in values))
    click.echo()
    table(_VARIANTS, map(_variant, variants_of(manifest, added)))
    for assessment in assessments_of(manifest, added):
        click.echo()
        show_assessment(assessment)
    for each in added:
        if each.problem:
            click.echo(f"{each.place}: this assessment cannot be read: {each.problem}", err=True)


def show_assessment(assessment: Assessment) -> None:
    """Print what was measured on one CPU class, and the choice."""
    for line in measured.facts(assessment):
        click.echo(line)
    table(measured.columns(assessment), measured.rows(assessment))


def _variant(variant: Variant) -> tuple[str, ...]:
    own = variant.size + sum(each.size for each in variant.files)
    rows = "-" if variant.rows is None else variant.rows.state
    prepared = ", ".join(each.cpu_class or "any CPU" for each in variant.prepared) or "-"
    provider = variant.provider.removesuffix("ExecutionProvider")
    facts = (variant.name, provider, variant.precision or "-", size_text(own), rows, prepared)
    return (*facts, variant.sha256, variant.uri)


def _facts(manifest: Manifest) -> Iterator[str]:
    provenance = manifest.provenance
    yield f"{manifest.name} {manifest.version}  {manifest.uri}"
    yield f"published  {provenance.published_at} by {provenance.published_by} from {provenance.source}"
    yield f"sha256     {manifest.sha256}, {size_text(manifest.size)}"
    yield f"format     {', '.join(_format(manifest))}"
    for each in manifest.files:
        yield f"data       {each.uri}, {size_text(each.size)}, sha256 {each.sha256}"
    if manifest.metrics:
        yield f"metrics    {_pairs((name, f'{value:g}') for name, value in manifest.metrics.items())}"
    yield f"packages   {_pairs(provenance.packages.items())}"


def _format(manifest: Manifest) -> Iterator[str]:
    yield manifest.format
    if manifest.ir_version is not None:
        yield f"IR {manifest.ir_version}"
    if manifest.domains:
        yield f"opset {_pairs((name, str(version)) for name, version in manifest.domains.items())}"
    if manifest.producer:
        yield f"written by {manifest.producer} {manifest.producer_version}".rstrip()


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {text}" for name, text in pairs)


def _shape(shape: tuple[int | str | None, ...] | None) -> str:
    return "?" if shape is None else f"[{', '.join('dynamic' if size is None else str(size) for size in shape)}]"
