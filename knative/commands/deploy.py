"""`scalezero deploy`: publish the models of a function's folder, and apply the folder."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click

from knative.api.client import Cluster
from knative.checks import ReadOnce, Report, Sources, examine
from knative.commands import arguments
from knative.commands.apply import apply
from knative.commands.check import show
from knative.commands.output import progress
from knative.commands.plan import make_plan
from knative.commands.target import connect
from knative.function.configuration import Flags
from knative.function.guests import publish_guests
from knative.function.pins import Find, ReadVariants
from knative.function.project import Project, load
from knative.function.publishing import Complete, publish_versions
from runtime.registry import complete_model, find, find_guest, published_variants
from runtime.registry.interruption import ended_by_sigterm
from runtime.registry.terminal import progress_bar


@click.command("deploy")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--no-publish", is_flag=True, help="Do not train or publish anything.")
@click.option("--strict", is_flag=True, help="Stop on warnings of the check too.")
@arguments.deployment
@arguments.cluster
@arguments.output
@arguments.force
@arguments.timeout
def command(
    folder: Path,
    context: str | None,
    form: str,
    timeout: float,
    *,
    no_publish: bool,
    strict: bool,
    force: bool,
    **chosen: str | None,
) -> None:
    """Publish missing models of FOLDER, check, apply, wait until ready, and print the URLs.

    An error in the files, the flags or the cluster ends it before anything is trained or published.
    """
    project, cluster = connect(load((folder,), Flags(**chosen), environ=os.environ), context=context)
    options = DeployOptions(form=form, timeout=timeout, publish=not no_publish, strict=strict, force=force)
    with ended_by_sigterm():
        deploy(project, cluster, folder, find=find, options=options)


class DeployOptions(NamedTuple):
    """The options of a deploy."""

    form: str = "table"
    timeout: float = 300.0  # s
    publish: bool = True
    strict: bool = False
    force: bool = False


def deploy(
    project: Project,
    cluster: Cluster,
    folder: Path,
    *,
    find: Find,
    options: DeployOptions,
    complete: Complete = complete_model,
    variants: ReadVariants = published_variants,
) -> None:
    """Deploy a loaded project, and look up each model and guest once. Ends the process with 1 after a failure.

    `find` looks up a model, `complete` writes the manifest of a published model that has none, and `variants` reads
    what is published about a model.

    Raises `BadManifest`, `BadSetting`, `ClusterError`, and what publishing raises.
    """
    _stop_at(examine(project), options)
    project.require_valid()
    cluster.require_namespace()
    objects = ReadOnce(cluster)  # publishing changes none of them, and the plan reads again what it compares
    _stop_at(examine(project, sources=Sources(cluster=objects)), options)
    lookup = cache(find)
    if options.publish:
        publish_guests(project.resources, folder, report=progress(options.form))
        published = publish_versions(
            project.resources,
            folder,
            only_missing=True,
            report=progress(options.form),
            lookup=lookup,
            complete=complete,
            variants=variants,
            watch=progress_bar,
        )
        if any(each.uploaded for each in published):
            lookup.cache_clear()
    described, guests = cache(variants), cache(find_guest)
    sources = Sources(find=lookup, variants=described, guests=guests, cluster=objects)
    report = examine(project, sources=sources)
    _stop_at(report, options)
    if report.findings and options.form == "table":
        show(report, options.form)
    planned = make_plan(project, cluster, find=lookup, variants=described, guests=guests, force=options.force)
    apply(planned, cluster, form=options.form, force=options.force, timeout=options.timeout)


def _stop_at(report: Report, options: DeployOptions) -> None:
    """Print a report that does not pass, and end with 1."""
    if not report.passes(strict=options.strict):
        show(report, options.form)
        sys.exit(1)
