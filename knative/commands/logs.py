"""`scalezero logs`: what the containers of a model's pods log."""

import time
from collections.abc import Mapping
from threading import Lock, Thread
from typing import Final

import click

from knative.api.client import Cluster
from knative.api.errors import ClusterError
from knative.commands import arguments
from knative.commands.target import namespace_here
from knative.deploying.explain import container_of
from knative.objects import REVISION_LABEL, SERVICE_LABEL, Manifest, Ref
from runtime.errors import BadSetting

_LOOK: Final = 2.0  # s between two looks for new pods, while following
_NO_PODS: Final = (
    "{name} has no pod in namespace {namespace}: it is scaled to zero, or has not started. A cluster keeps the logs of "
    "ended pods only where a log collector runs (Fluent Bit, Loki, or that of your cloud); search there for the label "
    "{label}. A request starts a pod."
)


@click.command("logs")
@click.argument("model")
@click.option("--revision", help="Only the pods of this revision, by its name or what follows MODEL- in it.")
@click.option("--follow", is_flag=True, help="Print new lines until Ctrl-C, also those of pods that start later.")
@click.option("--previous", is_flag=True, help="The run of each container before its last restart.")
@click.option("--lines", type=click.IntRange(min=1), default=100, show_default=True, help="Last lines of each pod.")
@arguments.cluster
def command(
    model: str,
    namespace: str | None,
    context: str | None,
    revision: str | None,
    lines: int,
    *,
    follow: bool,
    previous: bool,
) -> None:
    """Print the logs of MODEL's pods; each line begins with its pod where there are several.

    The lines are JSON, one object each, as the runtime and the function log them.
    """
    if follow and previous:
        raise click.UsageError("--previous reads a run that has ended; it does not go with --follow.")
    cluster = Cluster(context=context, namespace=namespace or namespace_here(model))
    cluster.see_namespace()
    labels = {SERVICE_LABEL: model} | ({REVISION_LABEL: _revision(cluster, model, revision)} if revision else {})
    if cluster.get(Ref("Service", model)) is None:
        names = ", ".join(each["metadata"]["name"] for each in cluster.list("Service"))
        raise BadSetting("MODEL", value=model, allowed=f"one of namespace {cluster.namespace}: {names or 'none yet'}")
    if follow:
        _follow(cluster, labels, lines=lines)
        return
    pods = cluster.list("Pod", labels=labels)
    if not pods:
        click.echo(_no_pods(cluster, labels), err=True)
    for pod in pods:
        text = cluster.logs(pod["metadata"]["name"], container=container_of(pod), lines=lines, previous=previous)
        for line in text.splitlines():
            _show(pod, line, named=len(pods) > 1)


def _revision(cluster: Cluster, model: str, revision: str) -> str:
    """The full name. Raises `BadSetting` where the model has no such revision."""
    names: list[str] = [each["metadata"]["name"] for each in cluster.list("Revision", labels={SERVICE_LABEL: model})]
    for name in names:
        if name in {revision, f"{model}-{revision}"}:
            return name
    raise BadSetting(
        "--revision", value=revision, allowed=f"a revision of {model}: {', '.join(names) or 'it has none'}"
    )


def _no_pods(cluster: Cluster, labels: Mapping[str, str]) -> str:
    label = max(labels, key=lambda each: each == REVISION_LABEL)
    return _NO_PODS.format(name=labels[label], namespace=cluster.namespace, label=f"{label}={labels[label]}")


def _show(pod: Manifest, line: str, *, named: bool) -> None:
    click.echo(f"{pod['metadata']['name']} {line}" if named else line)


def _follow(cluster: Cluster, labels: Mapping[str, str], *, lines: int) -> None:
    """Print the lines of each pod from a thread of its own; look for pods that start meanwhile."""
    following: set[str] = set()
    lock = Lock()

    def copy(pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        try:
            for line in cluster.follow_logs(name, container=container_of(pod), lines=lines):
                with lock:
                    _show(pod, line, named=True)
        except ClusterError as error:
            with lock:
                click.echo(f"{name}: {error}", err=True)
        following.discard(pod["metadata"]["uid"])  # its container has ended: perhaps it starts again

    told = False
    try:
        while True:
            pods = [each for each in cluster.list("Pod", labels=labels) if each["status"].get("phase") == "Running"]
            if not pods and not told:
                told = True
                click.echo(f"{_no_pods(cluster, labels)} Waiting for one.", err=True)
            for pod in pods:
                if pod["metadata"]["uid"] not in following:
                    following.add(pod["metadata"]["uid"])
                    Thread(target=copy, args=(pod,), daemon=True).start()
            time.sleep(_LOOK)
    except KeyboardInterrupt:
        return
