"""What the commands of the registry print: a bar while something takes long, lines and JSON."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

import click

from runtime.artifacts.upload import Progress as Uploaded
from runtime.registry.files import PlannedFile

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from runtime.optimizing import Step
    from runtime.registry.making import Progress

_LARGE: Final = 8 * 2**20  # bytes; uploads in one request are too short for a bar
_UNIT: Final = 1024
_UNITS: Final = ("B", "KiB", "MiB", "GiB")


def print_json(values: object) -> None:
    """Print JSON values on standard output."""
    click.echo(json.dumps(values, indent=2))


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
