"""How a command prints its result and how it ends.

Results: a table for people, YAML or JSON for programs. Exit codes: 0 if everything is Ready, 1 where an object does
not become Ready, 130 after an interrupt; the command line itself ends other errors with 2.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import click
from rich.console import Console
from rich.table import Table

from knative.deploying.errors import DeploymentFailed
from knative.resources.documents import dump_yaml


@contextmanager
def exit_on_failure() -> Iterator[None]:
    """Print a `DeploymentFailed` on standard error and end with 1; end with 130 after an interrupt."""
    try:
        yield
    except DeploymentFailed as error:
        click.echo(f"scalezero: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("scalezero: interrupted; the cluster continues, and the same command resumes the wait", err=True)
        sys.exit(130)


def progress(form: str) -> Callable[[str], None]:
    """Return what prints a line about a step: on standard error if the result on standard output is for programs."""
    return partial(click.echo, err=form != "table")


def documents(values: Sequence[object], form: str) -> str:
    """Format JSON values as YAML documents, or as one JSON list."""
    return dump_yaml(values) if form == "yaml" else json.dumps(values, indent=2) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns as kubectl does: without a frame, and truncated only on a terminal."""
    grid = Table(*columns, box=None, pad_edge=False, header_style="")
    for row in rows:
        grid.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 10_000
    with console.capture() as printed:
        console.print(grid)
    for line in printed.get().splitlines():
        click.echo(line.rstrip())  # a long cell of the last column would make every line as long


def answer(values: Mapping[str, object] | Sequence[object], form: str) -> str:
    """Format one value as YAML or JSON."""
    return dump_yaml([values]) if form == "yaml" else json.dumps(values, indent=2) + "\n"
