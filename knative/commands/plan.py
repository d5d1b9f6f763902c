"""`scalezero plan`: print what an apply would do, and change nothing."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import click

from knative.api.client import Cluster
from knative.commands import arguments
from knative.commands.output import answer
from knative.commands.target import connect
from knative.deploying.action import Action
from knative.deploying.differences import Difference
from knative.deploying.observe import observe
from knative.deploying.plan import Plan, plan
from knative.function.configuration import Flags
from knative.function.guests import CHANGED, FindGuest, changed_guest, guest_uris, sha256_of
from knative.function.pins import Find, ReadVariants, pins_of
from knative.function.project import Project, load
from knative.manifests import desired
from knative.objects import Manifest, Ref
from knative.resources.errors import as_yaml
from runtime.registry import find, find_guest, published_variants

_SIGNS = {"create": "+", "change": "~", "replace": "-", "delete": "-", "keep": "=", "refuse": "!"}
_LINE = 80  # characters of one value


@click.command("plan")
@arguments.files
@arguments.deployment
@arguments.cluster
@arguments.output
@arguments.force
def command(paths: tuple[Path, ...], context: str | None, form: str, *, force: bool, **chosen: str | None) -> None:
    """Print what an apply would create, change and delete. Exit code 2: the apply would be refused."""
    project, cluster = open_project(paths, Flags(**chosen), context=context)
    planned = make_plan(project, cluster, find=find, force=force).plan
    if form == "table":
        click.echo("\n".join(lines(planned)))
    else:
        click.echo(answer(as_data(planned), form), nl=False)
    sys.exit(2 if planned.refusals else 0)


class Planned(NamedTuple):
    """A plan, and the objects from which it was made."""

    plan: Plan
    observed: Mapping[Ref, Manifest]


def open_project(paths: tuple[Path, ...], flags: Flags, *, context: str | None) -> tuple[Project, Cluster]:
    """Read the files and find their namespace, which must exist. Raises the errors of both."""
    project = load(paths, flags, environ=os.environ)
    project.require_valid()
    project, cluster = connect(project, context=context)
    cluster.require_namespace()
    return project, cluster


def make_plan(
    project: Project,
    cluster: Cluster,
    *,
    find: Find,
    force: bool,
    variants: ReadVariants = published_variants,
    guests: FindGuest = find_guest,
) -> Planned:
    """Compare the project with the cluster, and change nothing.

    `find` looks up a model in the registry, `variants` what is published about it, and `guests` a guest. Raises
    `BadSetting` and `ClusterError`.
    """
    pins = pins_of(
        project.resources,
        find,
        variants=variants,
        guests=guests,
        report=lambda line: click.echo(f"note: {line}", err=True),
    )
    here = sha256_of(project.guest)
    for uri in guest_uris(project.resources):
        if uri in pins and (changed := changed_guest(uri, published=pins[uri].sha256, here=here)):
            click.echo(f"note: {changed}; {CHANGED}", err=True)
    steps = desired(project.resources, project.options, pins)
    observed = observe(cluster, steps)
    return Planned(plan(steps, observed, force=force), observed)


def lines(planned: Plan) -> Iterator[str]:
    """Format a plan as text: a line for each action, and one for each field that it changes."""
    for action in planned.actions:
        yield f"{_SIGNS[action.verb]} {action.ref}  {action.verb}{f': {action.why}' if action.why else ''}"
        yield from (f"    {_changed(each)}" for each in action.differences)
    if not planned.changes and not planned.refusals:
        yield "nothing to do"


def as_data(planned: Plan) -> list[dict[str, object]]:
    """Return a plan as JSON values."""
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
    """Format a value, truncated to the length of a line."""
    if not isinstance(value, dict | list):
        return as_yaml(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LINE else f"{text[: _LINE - 3]}..."
