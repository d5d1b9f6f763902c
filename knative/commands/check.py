"""`scalezero check`: whether what the files say can work, before anything is deployed."""

import os
import sys
from collections import Counter
from pathlib import Path

import click

from knative.checks import Report, Sources, examine
from knative.commands import options, output
from knative.function.options import Flags
from runtime.errors import ScalezeroError


@click.command("check")
@options.files
@options.deployment
@options.cluster
@options.output
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
    report = check(paths, Flags(**chosen), context=context, offline=offline)
    show(report, form)
    sys.exit(0 if report.passes(strict=strict) else 1)


def check(paths: tuple[Path, ...], flags: Flags, *, context: str | None, offline: bool) -> Report:
    """Examine the files, with the registry and the cluster unless `offline`. Raises `BadSetting` for bad flags."""
    if offline:
        return examine(paths, flags=flags, environ=os.environ)
    from knative.api.client import Cluster
    from runtime.registry import find

    try:
        here = Cluster(context=context, namespace=flags.namespace)
    except ScalezeroError as error:
        if context is not None:
            raise  # it was asked for by name
        report = examine(paths, flags=flags, environ=os.environ, sources=Sources(find=find))
        return Report(findings=report.findings, notes=(*report.notes, f"the cluster could not be asked: {error}"))
    sources = Sources(find=find, cluster=here.within)
    return examine(paths, flags=flags, environ=os.environ, namespace=here.namespace, sources=sources)


def show(report: Report, form: str) -> None:
    """Print the findings, and the notes on standard error where people read."""
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
    said = [f"{counts[word]} {plural[word] if counts[word] > 1 else word}" for word in plural if counts[word]]
    return ", ".join(said) or "nothing found"
