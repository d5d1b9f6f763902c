"""`scalezero delete`: take away what files declare, or a model with all that belongs to it."""

import os
from pathlib import Path

import click

from knative.api.client import Cluster
from knative.commands import options
from knative.commands.outcome import exit_on_failure
from knative.commands.output import answer
from knative.deploying.removing import belongings, delete
from knative.function.options import Flags, deployment, function_for
from knative.manifests import desired
from knative.objects import Ref, ref_of
from knative.resources import read_resources
from runtime.errors import BadSetting

_ANY_IMAGE = "none"  # what is deleted is known by its name


@click.command("delete")
@click.argument("model", required=False)
@click.option(
    "-f",
    "--filename",
    "paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A manifest or a folder of manifests.",
)
@options.cluster
@options.output
@options.timeout
def command(
    model: str | None, paths: tuple[Path, ...], namespace: str | None, context: str | None, form: str, timeout: float
) -> None:
    """Delete MODEL with its splits, or what the files of -f declare, and wait. Deletes only what scalezero created."""
    if (model is None) == (not paths):
        raise BadSetting("MODEL", value=model, allowed="the name of a model, or -f with its files, and not both")
    cluster = Cluster(context=context, namespace=namespace)
    if model is None:
        cluster, refs = _declared(cluster, paths, namespace)
    else:
        refs = belongings(cluster, model)
    with exit_on_failure():
        deleted = delete(cluster, refs, seconds=timeout, tell=lambda line: click.echo(line, err=form != "table"))
    if form != "table":
        click.echo(answer({"deleted": [ref._asdict() for ref in deleted]}, form), nl=False)


def _declared(cluster: Cluster, paths: tuple[Path, ...], namespace: str | None) -> tuple[Cluster, tuple[Ref, ...]]:
    """Name what the files would make, and the place that they would make it in."""
    resources = read_resources(*paths)
    written = function_for(paths, resources.models)
    flags = Flags(image=_ANY_IMAGE, namespace=namespace)
    how = deployment(written, environ=os.environ, flags=flags, namespace=cluster.namespace)
    steps = desired(resources, how)
    return cluster.within(how.namespace), tuple(ref_of(step.manifest) for step in steps)
