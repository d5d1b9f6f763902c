"""What `scalezero publish` prints: the plan of a dry run, and a bar while a large model is uploaded.

And what commands that make files do at SIGTERM.
"""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, current_thread, main_thread
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from runtime.artifacts.upload import Progress as Uploaded
from runtime.published.manifest_json import render
from runtime.published.places import manifest_uri, variants_folder
from runtime.registry.describing import Publication
from runtime.registry.files import PlannedFile, Published
from runtime.registry.optimization import Optimization
from runtime.registry.publishing import PlannedModel, plan_model, publish_planned
from runtime.variants import table
from runtime.variants.values_json import data_of

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from runtime.optimizing import Step
    from runtime.registry.making import Progress

_LARGE: Final = 8 * 2**20  # bytes; uploads in one request are too short for a bar
_UNIT: Final = 1024
_ENDED_BY: Final = 128  # plus the number of the signal: the exit code of a shell
_UNITS: Final = ("B", "KiB", "MiB", "GiB")


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


def print_json(values: object) -> None:
    """Print JSON values on standard output."""
    click.echo(json.dumps(values, indent=2))


def _state(file: PlannedFile) -> str:
    if not file.is_new:
        return "exists"
    return "upload" if file.existing is None else "refuse"


def size_text(size: int) -> str:
    """Format a number of bytes in its largest unit, such as 97.8 MiB."""
    number, unit = float(size), 0
    while number >= _UNIT and unit < len(_UNITS) - 1:
        number, unit = number / _UNIT, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{size} B"


def tell(line: str) -> None:
    """Print a line on standard error, because the result is on standard output."""
    click.echo(line, err=True)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process as an exception does, so that temporary folders and other processes are removed.

    Without a handler it ends the process at once, for example when a CI run is cancelled.
    """
    if current_thread() is not main_thread():  # only the main thread may set a handler
        yield
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(_ENDED_BY + number)


@contextmanager
def steps_bar(label: str = "optimizing") -> "Iterator[Progress | None]":
    """Show a bar on standard error while variants are made and measured; nothing if it is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar: ProgressBar[str | None]
    with click.progressbar(length=1, item_show_func=lambda text: text, label=label, file=sys.stderr) as bar:

        def show(step: "Step") -> None:
            bar.length = step.total
            bar.update(step.done - bar.pos, step.text)
            bar.render_progress()

        yield show
        bar.update((bar.length or 1) - bar.pos, "done")


@contextmanager
def progress_bar(files: Sequence[PlannedFile]) -> Iterator[Uploaded | None]:
    """Show a bar on standard error while large files are uploaded; nothing if it is not a terminal."""
    total = sum(each.size for each in files)
    if total < _LARGE or not sys.stderr.isatty():
        yield None
        return
    lock = Lock()  # boto3 reports from the threads of its parts
    with click.progressbar(length=total, label=f"uploading {size_text(total)}", file=sys.stderr) as bar:

        def advance(sent: int) -> None:
            with lock:
                bar.update(sent)  # less than 0 if a part is sent again

        yield advance
