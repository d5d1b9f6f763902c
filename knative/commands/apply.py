"""`scalezero apply`: change the cluster to match the files, and wait until everything is Ready."""

from pathlib import Path

import click

from knative.api.client import Cluster
from knative.commands import arguments
from knative.commands.output import answer, exit_on_failure, progress
from knative.commands.plan import Planned, make_plan, open_project
from knative.deploying.apply import carry_out
from knative.deploying.report import urls
from knative.function.configuration import Flags
from runtime.registry import find


@click.command("apply")
@arguments.files
@arguments.deployment
@arguments.cluster
@arguments.output
@arguments.force
@arguments.timeout
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
    project, cluster = open_project(paths, Flags(**chosen), context=context)
    apply(make_plan(project, cluster, find=find, force=force), cluster, form=form, force=force, timeout=timeout)


def apply(planned: Planned, cluster: Cluster, *, form: str, force: bool, timeout: float) -> None:
    """Carry out a plan with a line for each step, and print the URLs. Ends the process with 1 after a failure."""
    with exit_on_failure():
        carry_out(
            planned.plan,
            planned.observed,
            cluster,
            force=force,
            seconds=timeout,
            tell=progress(form),
        )
    found = urls(cluster, planned.plan)
    if form == "table":
        for name, url in found.items():
            click.echo(f"{name}: {url}")
    else:
        click.echo(answer({"urls": found}, form), nl=False)
