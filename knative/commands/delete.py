"""`scalezero delete`: delete the objects that files declare, or a model with the objects that belong to it."""

import os
from dataclasses import asdict
from pathlib import Path

import click

from knative.api.client import Cluster
from knative.commands import arguments
from knative.commands.output import answer, exit_on_failure, progress
from knative.commands.target import connect, connect_for
from knative.deploying.removing import belongings, delete, kept_after, kept_brokers
from knative.function.configuration import Flags
from knative.function.project import load
from knative.manifests import desired
from knative.objects import Ref, ref_of
from runtime.errors import BadSetting

_ANY_IMAGE = "none"  # objects are deleted by their names


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
@arguments.cluster
@arguments.output
@arguments.timeout
def command(
    model: str | None, paths: tuple[Path, ...], namespace: str | None, context: str | None, form: str, timeout: float
) -> None:
    """Delete MODEL with its splits, or what the files of -f declare, and wait.

    Deletes only what scalezero created, and prints what it keeps: Secrets, ConfigMaps, Brokers that others use, and the
    models and guests in S3.
    """
    if (model is None) == (not paths):
        raise BadSetting("MODEL", value=model, allowed="the name of a model, or -f with its files, and not both")
    if model is None:
        cluster, refs = _declared(paths, Flags(image=_ANY_IMAGE, namespace=namespace), context=context)
    else:
        cluster = connect_for(model, namespace=namespace, context=context)
        refs = belongings(cluster, model)
    brokers = kept_brokers(cluster, refs)
    refs = tuple(ref for ref in refs if str(ref) not in {each.name for each in brokers})
    kept = (*kept_after(cluster, refs), *brokers)
    with exit_on_failure():
        deleted = delete(cluster, refs, seconds=timeout, tell=progress(form))
    if form == "table":
        for each in kept:
            click.echo(str(each))
        return
    result = {"deleted": [ref._asdict() for ref in deleted], "kept": [asdict(each) for each in kept]}
    click.echo(answer(result, form), nl=False)


def _declared(paths: tuple[Path, ...], flags: Flags, *, context: str | None) -> tuple[Cluster, tuple[Ref, ...]]:
    """List the objects that an apply of the files creates, and find their namespace."""
    project, cluster = connect(load(paths, flags, environ=os.environ), context=context)
    for fault in project.faults:  # a function that no image contains can be deleted
        raise fault
    declared = (ref_of(step.manifest) for step in desired(project.resources, project.options))
    return cluster, tuple(dict.fromkeys(declared))
