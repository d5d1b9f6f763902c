"""`scalezero deploy`: publish the models of a function's folder, and apply the folder."""

import os
import sys
from functools import cache
from pathlib import Path

import click

from knative.checks import Report, Sources, examine
from knative.commands import arguments
from knative.commands.apply import apply
from knative.commands.check import show
from knative.commands.plan import planned
from knative.commands.target import connect
from knative.function.configuration import Flags
from knative.function.project import load
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

    An error in the files, the flags or the namespace ends it before anything is trained or published.
    """
    project, cluster = connect(load((folder,), Flags(**chosen), environ=os.environ), context=context)
    _stop_at(examine(project), form, strict=strict)
    project.require_valid()
    cluster.see_namespace()
    lookup = cache(find)  # each model is looked up once
    if not no_publish:
        models = project.resources.model_versions
        done = publish_versions(
            models, folder, only_missing=True, say=lambda line: click.echo(line, err=form != "table")
        )
        known = {each.uri: each for each in done if not each.uploaded}
        lookup = cache(lambda uri: known.get(uri) or find(uri))
    report = examine(project, sources=Sources(find=lookup, cluster=cluster))
    _stop_at(report, form, strict=strict)
    if report.findings and form == "table":
        show(report, form)
    made = planned(project, cluster, find=lookup, force=force)
    apply(made, cluster, form=form, force=force, timeout=timeout)


def _stop_at(report: Report, form: str, *, strict: bool) -> None:
    """Print a report that does not pass, and end with 1."""
    if not report.passes(strict=strict):
        show(report, form)
        sys.exit(1)
