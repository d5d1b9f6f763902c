"""`scalezero status`: print the state of the models, and the reasons of failures."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import click

from knative.commands import arguments
from knative.commands.output import answer, table
from knative.commands.target import connect_for
from knative.deploying.report import Model, Revision, models, read_models
from knative.objects import Manifest
from knative.rollout.errors import BadRecord
from knative.rollout.record import find

_COLUMNS = ("REVISION", "VERSION", "TRAFFIC", "TAGS", "STATE", "PODS", "IMAGE", "AGE")
_AGES = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@click.command("status")
@click.argument("model", required=False)
@arguments.cluster
@arguments.output
def command(model: str | None, namespace: str | None, context: str | None, form: str) -> None:
    """Print MODEL, or all models that scalezero deployed. Exit code 1: one of them is not ready.

    A model is Ready if all of its traffic is served and its events are delivered; a revision without traffic may have
    failed.
    """
    cluster = connect_for(model, namespace=namespace, context=context)
    seen = read_models(cluster, model)
    found = models(seen)
    rollouts = {each["metadata"]["name"]: rollout_of(each) for each in seen.services}
    if form != "table":
        click.echo(answer([{**asdict(each), "rollout": rollouts[each.name]} for each in found], form), nl=False)
    elif not found:
        click.echo(
            f"no models in namespace {cluster.namespace} of {cluster.context}; scalezero deploy FOLDER creates one"
        )
    else:
        for each in found:
            show(each, rollouts[each.name], now=datetime.now(UTC))
    sys.exit(0 if all(each.is_ready for each in found) else 1)


def rollout_of(service: Manifest) -> dict[str, object] | None:
    """Return the state of the Service's rollout as JSON values; None: there was no rollout."""
    try:
        state = find(service)
    except BadRecord as error:
        return {"phase": "unknown", "reason": str(error)}
    if state is None:
        return None
    return {
        "to": state.target,
        "phase": state.phase,
        "steps": list(state.steps),
        "step": state.step,
        "since": datetime.fromtimestamp(state.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "reason": state.reason,
    }


def show(model: Model, rollout: Mapping[str, object] | None, *, now: datetime) -> None:
    """Print one model as a table."""
    click.echo(f"{model.name}  {model.state}  {model.url}{f'  {model.reason}' if model.reason else ''}")
    table(_COLUMNS, (_row(each, now) for each in model.revisions))
    for line in _notes(model, rollout):
        click.echo(line)
    click.echo()


def age(created: str, now: datetime) -> str:
    """Format an age in its largest unit."""
    seconds = max(0, int((now - datetime.fromisoformat(created)).total_seconds()))
    size, unit = next((each for each in _AGES if seconds >= each[0]), _AGES[-1])
    return f"{seconds // size}{unit}"


def _row(revision: Revision, now: datetime) -> tuple[str, ...]:
    return (
        revision.name,
        revision.version,
        f"{revision.percent}%",
        ",".join(revision.tags),
        revision.state,
        f"{revision.pods}/{'-' if revision.wanted is None else revision.wanted}",
        revision.image,
        age(revision.created, now),
    )


def _notes(model: Model, rollout: Mapping[str, object] | None) -> Iterator[str]:
    yield from (f"{each.name}: {each.reason}" for each in model.revisions if each.reason)
    for each in model.revisions:
        if each.companions:
            yield f"{each.name}: serves also {', '.join(f'{name} {it}' for name, it in each.companions.items())}"
        yield from _variants(each)
    for split in model.splits:
        shares = ", ".join(f"{name} {percent}%" for name, percent in split.traffic.items())
        yield f"route {split.name}  {split.state}  {split.url}  {shares}{f'  {split.reason}' if split.reason else ''}"
    for it in model.events:
        yield f"{it.kind.lower()} {it.name}  {it.state}  {it.detail}{f'  {it.reason}' if it.reason else ''}"
    yield from (f"tag {tag}  {url}" for tag, url in model.tag_urls.items())
    if rollout:
        shown = {name: value for name, value in rollout.items() if name in {"to", "phase", "reason"} and value}
        yield "rollout  " + "  ".join(f"{name}: {value}" for name, value in shown.items())


def _variants(revision: Revision) -> Iterator[str]:
    """Say which variant a pod tries first, second, and so on, by its CPU class, and which one each pod serves."""
    for cpu_class, ranking in revision.variants.items():
        yield f"{revision.name}: on {cpu_class} {', else '.join(ranking)}"
    for pod, serving in revision.serving.items():
        yield f"{revision.name}: pod {pod} serves {serving}"
