"""What `scalezero publish` does and prints: the plan of a dry run, or the publication."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from runtime.published.manifest_json import render
from runtime.published.places import manifest_uri, variants_folder
from runtime.registry.describing import Publication
from runtime.registry.files import PlannedFile, Published
from runtime.registry.optimization import Optimization
from runtime.registry.publishing import PlannedModel, plan_model, publish_planned
from runtime.registry.terminal import print_json, progress_bar, size_text, steps_bar, tell
from runtime.variants import table
from runtime.variants.values_json import data_of


def publish_file(
    path: Path,
    uri: str,
    publication: Publication,
    *,
    optimization: Optimization | None = None,
    dry_run: bool,
    form: str = "table",
) -> None:
    """Publish one model and print what was done; in a dry run, print the plan only. Raises as `publish_model`.

    `form` is "table" or "json".
    """
    planned = plan_model(path, uri, publication)
    if dry_run:
        if form == "json":
            print_json(plan_data(planned))
        else:
            click.echo("\n".join(plan_lines(planned, optimized=optimization is not None)))
        planned.check()
        return
    published = publish_planned(planned, optimization=optimization, watch=progress_bar, steps=steps_bar, tell=tell)
    if form == "json":
        print_json(published_data(published))
        return
    if published.assessment is not None:
        click.echo(table.text(published.assessment))
    state = "published" if published.uploaded else "already exists"
    added = "; its manifest was added" if planned.existing is None and not published.uploaded else ""
    click.echo(f"{published.uri} {state}, sha256 {published.sha256}{added}")


def plan_lines(planned: PlannedModel, *, optimized: bool) -> Iterator[str]:
    """Yield a line for each object: what happens to it, its URI, its size and its SHA-256.

    What is made of the model is unknown until it is made and measured.
    """
    manifest = planned.existing or planned.manifest
    yield f"{manifest.name} {manifest.version}: a dry run, nothing is uploaded"
    if planned.existing is None and planned.may_have_variants:
        what = "variants, made and measured, and prepared forms" if optimized else "prepared forms"
        yield f"upload  {variants_folder(planned.uri)}...  {what}"
    for each in planned.files:
        yield f"{_state(each)}  {each.upload.uri}  {size_text(each.size)}  sha256 {each.upload.sha256}"
    state = "upload" if planned.existing is None else "exists"
    size = f"  {size_text(len(render(manifest)))}" if planned.existing or not planned.may_have_variants else ""
    yield f"{state}  {manifest_uri(planned.uri)}{size}"


def plan_data(planned: PlannedModel) -> list[dict[str, Any]]:
    """Return what happens to each object as JSON values, without those that are made of the model."""
    files = [
        {"state": _state(each), "uri": each.upload.uri, "size": each.size, "sha256": each.upload.sha256}
        for each in planned.files
    ]
    manifest = "upload" if planned.existing is None else "exists"
    return [*files, {"state": manifest, "uri": manifest_uri(planned.uri), "size": None, "sha256": None}]


def published_data(published: Published) -> dict[str, Any]:
    """Return what was published as JSON values."""
    return {
        "uri": published.uri,
        "sha256": published.sha256,
        "uploaded": published.uploaded,
        "manifest": manifest_uri(published.uri),
        "assessment": data_of(published.assessment),
    }


def _state(file: PlannedFile) -> str:
    if not file.is_new:
        return "exists"
    return "upload" if file.existing is None else "refuse"
