"""`scalezero check`: find problems of the files, the registry and the cluster before a deployment."""

import os
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from knative.api.errors import ClusterUnreachable
from knative.checks import Report, Sources, examine
from knative.commands import arguments, output
from knative.commands.target import connect
from knative.function.configuration import Flags
from knative.function.project import Project, load
from runtime.errors import ScalezeroError


@click.command("check")
@arguments.files
@arguments.deployment
@arguments.cluster
@arguments.output
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@click.option("--offline", is_flag=True, help="Do not query the registry or the cluster.")
def command(
    paths: tuple[Path, ...],
    context: str | None,
    form: str,
    *,
    strict: bool,
    offline: bool,
    **chosen: str | None,
) -> None:
    """Report what will not work, or not as intended: in the files, the registry and the cluster."""
    report = check(load(paths, Flags(**chosen), environ=os.environ), context=context, offline=offline)
    show(report, form)
    sys.exit(0 if report.passes(strict=strict) else 1)


def check(project: Project, *, context: str | None, offline: bool) -> Report:
    """Examine the project, with the registry and the cluster unless `offline`.

    Raises `NotInCluster` for a namespace that does not exist, as deploy does.
    """
    if offline:
        return examine(project)
    from runtime.registry import find, find_guest, published_variants

    registry = Sources(find=find, variants=published_variants, guests=find_guest)

    try:
        project, cluster = connect(project, context=context)
    except ScalezeroError as error:
        if context is not None:
            raise  # the user named the cluster
        report = examine(project, sources=registry)
        return Report(findings=report.findings, notes=(*report.notes, f"cannot query the cluster: {error}"))
    with suppress(ClusterUnreachable):  # examine adds a note
        cluster.require_namespace()
    return examine(project, sources=replace(registry, cluster=cluster))


def show(report: Report, form: str) -> None:
    """Print the findings; with `table`, the notes go to standard error."""
    if form != "table":
        click.echo(output.answer(report.as_data(), form), nl=False)
        return
    for each in report.findings:
        where = f"{each.where}: " if each.where else ""
        click.echo(f"{where}{each.severity} {each.code}: {each.what}\n    {each.why}\n    fix: {each.fix}")
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(_counted(report))


def _counted(report: Report) -> str:
    counts = Counter(str(each.severity) for each in report.findings)
    plural = {"error": "errors", "warning": "warnings", "advice": "advice"}
    parts = [f"{counts[word]} {plural[word] if counts[word] > 1 else word}" for word in plural if counts[word]]
    return ", ".join(parts) or "nothing found"
