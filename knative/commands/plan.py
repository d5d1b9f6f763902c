"""`scalezero plan`: what an apply would do, and nothing done."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from knative.commands import options
from knative.commands.intent import intent
from knative.commands.output import answer
from knative.deploying.differences import Difference
from knative.deploying.plan import Action, Plan
from knative.function.options import Flags
from knative.resources.errors import as_yaml

_SIGNS = {"create": "+", "change": "~", "keep": "=", "refuse": "!"}
_LINE = 80  # characters of one value


@click.command("plan")
@options.files
@options.deployment
@options.cluster
@options.output
@options.force
def command(paths: tuple[Path, ...], context: str | None, form: str, *, force: bool, **chosen: str | None) -> None:
    """Print what an apply would create and change. Exit code 2: the apply would be refused."""
    planned = intent(paths, Flags(**chosen), context=context, force=force).plan
    if form == "table":
        click.echo("\n".join(lines(planned)))
    else:
        click.echo(answer(as_data(planned), form), nl=False)
    sys.exit(2 if planned.refusals else 0)


def lines(planned: Plan) -> Iterator[str]:
    """Write a plan for people: a line for each action, and one for each field of it."""
    for action in planned.actions:
        yield f"{_SIGNS[action.verb]} {action.ref}  {action.verb}{f': {action.why}' if action.why else ''}"
        yield from (f"    {_changed(each)}" for each in action.differences)
    if not planned.changes and not planned.refusals:
        yield "nothing to do"


def as_data(planned: Plan) -> list[dict[str, object]]:
    """Give a plan as plain values."""
    return [_plain(action) for action in planned.actions]


def _plain(action: Action) -> dict[str, object]:
    return {
        "verb": action.verb,
        "kind": action.ref.kind,
        "name": action.ref.name,
        "why": action.why,
        "differences": [asdict(each) for each in action.differences],
        "manifest": action.manifest,
    }


def _changed(difference: Difference) -> str:
    before, after = (None if value is None else _shown(value) for value in (difference.before, difference.after))
    if before is None:
        return f"{difference.path}: {after}"
    return f"{difference.path}: {before} -> {after or 'nothing'}"


def _shown(value: object) -> str:
    """Show a value with what is in it, as far as a line holds it."""
    if not isinstance(value, dict | list):
        return as_yaml(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LINE else f"{text[: _LINE - 3]}..."
