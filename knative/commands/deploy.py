"""`scalezero deploy`: a function's folder, from the registry to the URLs that answer."""

import sys
from pathlib import Path

import click

from knative.checks import Report
from knative.commands import options
from knative.commands.apply import apply
from knative.commands.check import check, show
from knative.commands.intent import intent, wish
from knative.function.options import Flags
from knative.function.publishing import publish_function


@click.command("deploy")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--no-publish", is_flag=True, help="Do not train or publish anything.")
@click.option("--strict", is_flag=True, help="Stop on warnings of the check too.")
@options.deployment
@options.cluster
@options.output
@options.force
@options.timeout
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

    What the files, the flags or the namespace cannot have ends it before anything is trained or published.
    """
    flags = Flags(**chosen)
    _stop_at(check((folder,), flags, context=context, offline=True), form, strict=strict)
    wish((folder,), flags, context=context)
    if not no_publish:
        publish_function(folder, only_missing=True, say=lambda line: click.echo(line, err=form != "table"))
    report = check((folder,), flags, context=context, offline=False)
    _stop_at(report, form, strict=strict)
    if report.findings and form == "table":
        show(report, form)
    apply(intent((folder,), flags, context=context, force=force), form=form, force=force, timeout=timeout)


def _stop_at(report: Report, form: str, *, strict: bool) -> None:
    """Print a report that does not pass, and end with 1."""
    if not report.passes(strict=strict):
        show(report, form)
        sys.exit(1)
