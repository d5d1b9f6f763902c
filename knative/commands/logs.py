"""`scalezero logs`: print the logs of a model's pods."""

import time
from collections.abc import Mapping
from threading import Lock, Thread
from typing import Final, NamedTuple

import click

from knative.api.client import Cluster
from knative.api.errors import ClusterError
from knative.commands import arguments
from knative.commands.target import connect_for
from knative.deploying.deployed import service_of
from knative.deploying.explain import container_of
from knative.objects import REVISION_LABEL, SERVICE_LABEL, Manifest
from runtime.errors import BadSetting

_POLL: Final = 2.0  # seconds between two lists of the pods, with --follow
_NO_PODS: Final = (
    "{name} has no pod in namespace {namespace}: it is scaled to zero, or has not started. A request starts a pod. "
    "Kubernetes deletes the logs of a pod with the pod; a log collector, such as Fluent Bit or that of your cloud, "
    "keeps them under the label {label}."
)
_NO_LINES: Final = "{pod}: no log lines yet"
_NO_RESTART: Final = "{pod}: no previous run; its container has not restarted"


@click.command("logs")
@click.argument("model")
@click.option("--revision", help="Only the pods of this revision: its name, with or without MODEL-.")
@click.option("--follow", is_flag=True, help="Print new lines until Ctrl-C, including those of new pods.")
@click.option("--previous", is_flag=True, help="Print the logs from before the last restart of each container.")
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
    """Print the logs of MODEL's pods. With several pods or --follow, each line begins with the name of its pod.

    Each line is a JSON object of the runtime or the function.
    """
    if follow and previous:
        raise click.UsageError("--previous reads a run that has ended; use it without --follow.")
    cluster = connect_for(model, namespace=namespace, context=context)
    service_of(cluster, model)
    labels = {SERVICE_LABEL: model} | ({REVISION_LABEL: _revision(cluster, model, revision)} if revision else {})
    if follow:
        _follow(cluster, labels, lines=lines)
    else:
        _print(cluster, labels, lines=lines, previous=previous)


def _print(cluster: Cluster, labels: Mapping[str, str], *, lines: int, previous: bool) -> None:
    """Print the last lines of each pod; report a pod without lines on standard error."""
    pods = cluster.list("Pod", labels=labels)
    if not pods:
        click.echo(_no_pods(cluster, labels), err=True)
    for pod in pods:
        name = pod["metadata"]["name"]
        text = cluster.logs(name, container=container_of(pod), lines=lines, previous=previous)
        if not text:
            click.echo((_NO_RESTART if previous else _NO_LINES).format(pod=name), err=True)
        for line in text.splitlines():
            _show(pod, line, named=len(pods) > 1)


def _revision(cluster: Cluster, model: str, revision: str) -> str:
    """Return the full name. Raises `BadSetting` if the model has no such revision."""
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
    """Print the lines of each container from its own thread; list the pods repeatedly to find new containers."""
    following: set[str] = set()  # IDs of containers
    followed: set[str] = set()
    printing = Lock()

    def follow(pod: Manifest, container: Container, last: int) -> None:
        name = pod["metadata"]["name"]
        try:
            for line in cluster.follow_logs(name, container=container_of(pod), lines=last):
                with printing:
                    _show(pod, line, named=True)
        except ClusterError as error:
            with printing:
                click.echo(f"{name}: {error}", err=True)
        followed.add(container.id)
        following.discard(container.id)

    reported = False
    try:
        while True:
            pods = cluster.list("Pod", labels=labels)
            if not pods and not reported:
                reported = True
                click.echo(f"{_no_pods(cluster, labels)} Waiting for one.", err=True)
            for pod in pods:
                container = _container(pod)
                # A container that has ended is printed once. The API server may close the log of one that runs.
                if container and container.id not in following and (container.runs or container.id not in followed):
                    following.add(container.id)
                    last = 0 if container.id in followed else lines
                    Thread(target=follow, args=(pod, container, last), daemon=True).start()
            time.sleep(_POLL)
    except KeyboardInterrupt:
        return


class Container(NamedTuple):
    """One run of a pod's model container; a restart has another ID."""

    id: str
    runs: bool


def _container(pod: Manifest) -> Container | None:
    """Return the latest run of the pod's model container; None before the first."""
    for status in pod["status"].get("containerStatuses", ()):
        if status["name"] == container_of(pod) and status.get("containerID"):
            return Container(status["containerID"], "running" in status["state"])
    return None
