"""How a verb's answer is printed: a table for people, YAML or JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from knative.resources.documents import text_of


def documents(values: Sequence[object], form: str) -> str:
    """Write plain values as YAML documents, or as one JSON list."""
    return text_of(values) if form == "yaml" else json.dumps(values, indent=2) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns, as kubectl does: no frame, nothing cut off where it is not a terminal."""
    made = Table(*columns, box=None, pad_edge=False, header_style="")
    for row in rows:
        made.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(made)


def answer(values: Mapping[str, object] | Sequence[object], form: str) -> str:
    """Write one value as YAML or JSON."""
    return text_of([values]) if form == "yaml" else json.dumps(values, indent=2) + "\n"
