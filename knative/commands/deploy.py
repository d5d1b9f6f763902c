"""`scalezero deploy`: publish the models of a function's folder, and apply the folder."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click

from knative.api.client import Cluster
from knative.checks import Report, Sources, examine
from knative.commands import arguments
from knative.commands.apply import apply
from knative.commands.check import show
from knative.commands.plan import planned
from knative.commands.target import connect
from knative.function.configuration import Flags
from knative.function.pins import Find
from knative.function.project import Project, load
from knative.function.publishing import publish_versions
from runtime.registry import find


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
    how = How(form=form, timeout=timeout, publish=not no_publish, strict=strict, force=force)
    deploy(project, cluster, folder, find=find, how=how)


class How(NamedTuple):
    """The options of a deploy."""

    form: str = "table"
    timeout: float = 300.0  # s
    publish: bool = True
    strict: bool = False
    force: bool = False


def deploy(project: Project, cluster: Cluster, folder: Path, *, find: Find, how: How) -> None:
    """Deploy a project that is read, and look each model up once. Ends the process with 1 after a failure.

    Raises `BadManifest`, `BadSetting`, `ClusterError`, and what publishing raises.
    """
    _stop_at(examine(project), how)
    project.require_valid()
    cluster.see_namespace()
    _stop_at(examine(project, sources=Sources(cluster=cluster)), how)
    lookup = cache(find)
    if how.publish:
        published = publish_versions(
            project.resources.model_versions,
            folder,
            only_missing=True,
            say=lambda line: click.echo(line, err=how.form != "table"),
            lookup=lookup,
        )
        if any(each.uploaded for each in published):
            lookup.cache_clear()
    report = examine(project, sources=Sources(find=lookup, cluster=cluster))
    _stop_at(report, how)
    if report.findings and how.form == "table":
        show(report, how.form)
    made = planned(project, cluster, find=lookup, force=how.force)
    apply(made, cluster, form=how.form, force=how.force, timeout=how.timeout)


def _stop_at(report: Report, how: How) -> None:
    """Print a report that does not pass, and end with 1."""
    if not report.passes(strict=how.strict):
        show(report, how.form)
        sys.exit(1)
