"""`scalezero rollout`: move traffic to another revision in steps, and roll back after a failure."""

import sys
from typing import Any

import click

from knative.commands import arguments
from knative.commands.arguments import F
from knative.commands.target import connect_for
from knative.resources import durations
from knative.rollout import formatting, starting
from knative.rollout.errors import TakenOver
from knative.rollout.judgement import Limits
from knative.rollout.machine import State
from knative.rollout.run import Progress, Rollout
from knative.rollout.split import format_split, percent_of
from runtime.errors import BadSetting

_DEFAULTS = Limits()
_ABORT = (
    "Restore the split from before the rollout. If another writer has set the split since, keep it and end the rollout."
)


def _steps(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Parse percents, separated by commas. The state machine checks that they ascend."""
    try:
        return None if text is None else tuple(int(each) for each in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: expected ascending percentages such as 5,25,50,100") from error


def _limits(command: F) -> F:
    """Add the options for the duration of a step, its limits, and the action when it exceeds them."""
    text, default = "How long to watch each step.", durations.format_duration(_DEFAULTS.interval)
    command = click.option("--interval", type=arguments.duration, default=default, show_default=True, help=text)(
        command
    )
    share = click.FloatRange(0, 1)
    text = "Allowed share of failed requests above that of the other revisions."
    command = click.option(
        "--max-error-rate", type=share, default=_DEFAULTS.max_error_rate, show_default=True, help=text
    )(command)
    text, ratio = "Allowed latency, as a multiple of that of the other revisions.", click.FloatRange(min=1)
    command = click.option("--max-latency", type=ratio, default=_DEFAULTS.max_latency, show_default=True, help=text)(
        command
    )
    text, count = "Fewest requests for which a step is judged.", click.IntRange(min=1)
    command = click.option("--min-requests", type=count, default=_DEFAULTS.min_requests, show_default=True, help=text)(
        command
    )
    text, choice = "Restore the earlier split, or keep the current one.", click.Choice(["rollback", "halt"])
    return click.option("--on-failure", type=choice, default="rollback", show_default=True, help=text)(command)


@click.command("rollout")
@click.argument("model")
@click.option("--to", metavar="REVISION", help="The revision: its name, its tag or its model version.")
@click.option("--steps", metavar="PERCENTS", callback=_steps, help="Percent per step.  [default: 5,25,50,100]")
@_limits
@click.option("--abort", is_flag=True, help=_ABORT)
@click.option("--adopt", is_flag=True, help="End an unfinished rollout, and start from the current split.")
@click.option("--dry-run", is_flag=True, help="Print the schedule without changing anything.")
@arguments.timeout
@arguments.cluster
@arguments.output
def command(  # noqa: PLR0913 - one parameter for each flag
    model: str,
    to: str | None,
    steps: tuple[int, ...] | None,
    context: str | None,
    namespace: str | None,
    form: str,
    *,
    abort: bool,
    adopt: bool,
    dry_run: bool,
    **limits: Any,  # noqa: ANN401 - the flags of _limits
) -> None:
    """Move traffic of MODEL to a revision in steps; roll back if it fails or gets slow.

    Ctrl-C keeps the current split (exit code 130); the same command continues from there. Exit code 1: the rollout was
    rolled back or halted, or another command has taken it over.
    """
    if (to is None) != abort:
        raise BadSetting("--to", value=to, allowed="a revision, or --abort, and not both")
    cluster = connect_for(model, namespace=namespace, context=context)
    rollout = Rollout(cluster, model, say=lambda event: _say(event, form))
    within = _limits_of(**limits)
    if to is None:
        rollout.abort(within)
        return
    state = rollout.plan(to, steps=steps, limits=within, adopt=adopt)
    if skipped := formatting.skipped_steps(state):
        click.echo(skipped, err=True)
    if dry_run:
        _print_schedule(state, form)
        return
    _notice(rollout, state)
    sys.exit(0 if _run(rollout, state) else 1)


def _limits_of(*, timeout: float, on_failure: str, **limits: Any) -> Limits:  # noqa: ANN401 - the flags of _limits
    return Limits(timeout=timeout, halt=on_failure == "halt", **limits)


def _run(rollout: Rollout, state: State) -> bool:
    """Carry out the rollout, and return whether the revision got its traffic."""
    try:
        return state.is_over or rollout.run(state).phase == "done"
    except TakenOver as error:
        click.echo(f"scalezero: {error}", err=True)
    except KeyboardInterrupt:
        split = format_split((rollout.state or state).split)
        click.echo(f"\nstopped; the split stays at {split}: the same command continues, --abort rolls back", err=True)
        sys.exit(130)
    return False


def _notice(rollout: Rollout, state: State) -> None:
    """Print notices about unexpected facts, in addition to the progress."""
    if state.is_over:
        percent = percent_of(state.stable, state.target)
        click.echo(f"{state.target} already has {percent} % of the traffic; nothing to do", err=True)
    if state.step >= 0:
        click.echo(f"continuing the rollout {starting.describe(state)}", err=True)
    for notice in rollout.notices(state):
        click.echo(notice, err=True)


def _say(event: Progress, form: str) -> None:
    click.echo(formatting.line(event) if form == "table" else formatting.written(formatting.values(event), form))


def _print_schedule(state: State, form: str) -> None:
    if form == "table":
        click.echo("\n".join(formatting.schedule_lines(state)))
        return
    for stage in formatting.schedule_values(state):
        click.echo(formatting.written(stage, form))
