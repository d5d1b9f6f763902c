"""`scalezero apply`: bring the cluster to what the files say, and wait until it is up."""

from pathlib import Path

import click

from knative.commands import options
from knative.commands.intent import Intent, intent
from knative.commands.outcome import exit_on_failure
from knative.commands.output import answer
from knative.deploying.apply import carry_out
from knative.deploying.report import urls
from knative.function.options import Flags


@click.command("apply")
@options.files
@options.deployment
@options.cluster
@options.output
@options.force
@options.timeout
def command(
    paths: tuple[Path, ...],
    context: str | None,
    form: str,
    timeout: float,
    *,
    force: bool,
    **chosen: str | None,
) -> None:
    """Apply the files to the cluster, wait until everything is ready, and print the URLs."""
    apply(intent(paths, Flags(**chosen), context=context, force=force), form=form, force=force, timeout=timeout)


def apply(meant: Intent, *, form: str, force: bool, timeout: float) -> None:
    """Carry out a plan with a line for each step; ends the process with 1 where something does not come up."""
    with exit_on_failure():
        carry_out(
            meant.plan,
            meant.observed,
            meant.cluster,
            force=force,
            seconds=timeout,
            tell=lambda line: click.echo(line, err=form != "table"),
        )
    found = urls(meant.cluster, meant.plan)
    if form == "table":
        for name, url in found.items():
            click.echo(f"{name}: {url}")
    else:
        click.echo(answer({"urls": found}, form), nl=False)
