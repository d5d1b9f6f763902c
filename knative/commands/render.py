"""`scalezero render`: print the manifests that an apply uses."""

import os
from pathlib import Path

import click

from knative.commands import arguments
from knative.commands.output import documents, table
from knative.function.configuration import Flags
from knative.function.project import Project, load
from knative.manifests import Pins, Step, desired
from knative.manifests.rbac import deployer, waker
from knative.objects import ref_of


@click.command("render")
@arguments.files
@arguments.deployment
@click.option("-n", "--namespace", help="Namespace.  [default: func.yaml's, or else default]")
@click.option("-o", "--output", "form", type=click.Choice(["table", "yaml", "json"]), default="yaml", show_default=True)
@click.option("--role", is_flag=True, help="Print also the Roles that a deployer needs.")
@click.option("--pinned", is_flag=True, help="Add what a deploy reads from the registry: SHA-256 and variants.")
def command(paths: tuple[Path, ...], form: str, *, role: bool, pinned: bool, **chosen: str | None) -> None:
    """Print the rendered manifests, in the order in which they are applied. Needs no cluster.

    A deploy adds the SHA-256 and the variants of each model, which it looks up in the registry; so does --pinned.
    """
    project = load(paths, Flags(**chosen), environ=os.environ)
    project.require_valid()
    roles = [Step(manifest=each) for each in (deployer(project.options.namespace), waker())] if role else []
    steps = [*roles, *desired(project.resources, project.options, _pins(project) if pinned else {})]
    if form == "table":
        table(("OBJECT", "REVISION"), ((str(ref_of(each.manifest)), each.makes or "") for each in steps))
    else:
        click.echo(documents([each.manifest for each in steps], form), nl=False)


def _pins(project: Project) -> Pins:
    from knative.function.pins import pins_of
    from runtime.registry import find

    return pins_of(project.resources, find, report=lambda line: click.echo(f"note: {line}", err=True))
