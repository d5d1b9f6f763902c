"""`scalezero render`: what the cluster would be given, and nothing else."""

from pathlib import Path

import click

from knative.commands import options
from knative.commands.output import documents, table
from knative.function.options import Flags
from knative.manifests import Step, desired
from knative.manifests.rbac import deployer, waker
from knative.objects import ref_of
from knative.resources import read_resources


@click.command("render")
@options.files
@options.deployment
@click.option("-n", "--namespace", help="Namespace.  [default: func.yaml's, or else default]")
@click.option("-o", "--output", "form", type=click.Choice(["table", "yaml", "json"]), default="yaml", show_default=True)
@click.option("--role", is_flag=True, help="Print also the Roles that a deployer needs.")
def command(paths: tuple[Path, ...], form: str, *, role: bool, **chosen: str | None) -> None:
    """Print the rendered manifests, in the order in which they are applied. Needs no cluster."""
    resources = read_resources(*paths)
    how = options.options_for(paths, resources, Flags(**chosen), namespace="default")
    roles = [Step(manifest=each) for each in (deployer(how.namespace), waker())] if role else []
    steps = [*roles, *desired(resources, how)]
    if form == "table":
        table(("OBJECT", "REVISION"), ((str(ref_of(each.manifest)), each.makes or "") for each in steps))
    else:
        click.echo(documents([each.manifest for each in steps], form), nl=False)
