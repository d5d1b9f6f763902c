"""`scalezero render`: what the cluster would be given, and nothing else."""

from pathlib import Path

import click

from knative.commands import options
from knative.commands.options import Chosen
from knative.commands.output import documents
from knative.manifests import desired
from knative.manifests.rbac import deployer
from knative.resources import read_resources


@click.command("render")
@options.files
@options.deployment
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace.")
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@click.option("--role", is_flag=True, help="Also the Role of who deploys, with no right that scalezero does not use.")
def command(paths: tuple[Path, ...], namespace: str, form: str, *, role: bool, **chosen: str | None) -> None:
    """Print the manifests that the resources become, in the order of their applies; talks to no cluster."""
    how = options.options_for(paths, Chosen(namespace=namespace, **chosen), namespace=namespace)
    first = [deployer(namespace)] if role else []
    click.echo(documents([*first, *(step.manifest for step in desired(read_resources(*paths), how))], form), nl=False)
