"""The command scripts/bench cluster."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Final

import click

from runtime.errors import ScalezeroError
from scripts.benchmarks import report
from scripts.benchmarks.cluster import cold_start, outcomes, rollout, scale_out, split
from scripts.benchmarks.cluster.outcomes import Outcome
from scripts.benchmarks.cluster.place import BenchNamespace
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.launches import ROOT
from scripts.benchmarks.noise import Guard
from scripts.images.cli import default_tag

FUNCTION: Final = ROOT / "functions" / "payment_model"
CLUSTER: Final = ROOT / "scripts" / "cluster"
# The order matters: a rollout removes the split.
MEASURES: Final[Mapping[str, Callable[[BenchNamespace, Guard, int], Outcome]]] = MappingProxyType(
    {
        "cold_start": cold_start.measure,
        "split": lambda namespace, _guard, _rounds: split.measure(namespace),
        "rollout": lambda namespace, _guard, _rounds: rollout.measure(namespace),
        "scale_out": lambda namespace, _guard, _rounds: scale_out.measure(namespace),
    }
)
FAULTS: Final = (CannotMeasure, HTTPException, OSError, ScalezeroError)


@click.command(epilog=f"NAMES: {', '.join(MEASURES)} (default: all).")
@click.argument("names", nargs=-1, type=click.Choice(list(MEASURES)), metavar="[NAMES]...")
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the figures to this file.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Cold starts of each function."
)
@click.option("--image", default=default_tag, show_default="what scripts/image builds", help="The functions' image.")
@click.option(
    "--patience", default=60.0, show_default=True, help="Longest time in seconds to wait for a quiet machine."
)
def main(*, names: Sequence[str], file: Path | None, rounds: int, image: str, patience: float) -> None:
    """Measure functions on a real Knative from a caller's side. All figures take about five minutes.

    The cluster is that of KUBECONFIG, with the registry of AWS_*. Without KUBECONFIG it is that of scripts/cluster,
    which must be running and have the image (scripts/image). Each run creates its own namespace and deletes it
    afterwards.

    A missed target is a result, not a failure: the exit code is 1 only if a figure could not be measured.
    """
    enter_cluster(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as for Ctrl-C, so that the namespace is deleted
    guard = Guard(cpus=sorted(os.sched_getaffinity(0)), wait_budget=patience)
    chosen = [name for name in MEASURES if not names or name in names]
    try:
        with BenchNamespace.create(image, _log) as namespace:
            namespace.publish(FUNCTION)
            namespace.deploy(FUNCTION)
            found, failed = measure_all({name: partial(MEASURES[name], namespace, guard, rounds) for name in chosen})
    except FAULTS as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{report.machine()}\n\n{outcomes.table(found)}")
    if file:
        file.write_text(json.dumps(outcomes.document(found), indent=2) + "\n")
    if failed:
        raise click.ClickException(f"not measured: {', '.join(failed)}")


def measure_all(measures: Mapping[str, Callable[[], Outcome]]) -> tuple[list[Outcome], list[str]]:
    """Run the measurements. Return the outcomes, and the names of those that could not be measured."""
    found, failed = [], []
    for name, measure in measures.items():
        _log(f"{name} ...")
        try:
            found.append(measure())
        except FAULTS as error:
            failed.append(name)
            _log(f"{name} cannot be measured: {error}")
    return found, failed


def enter_cluster(arguments: Sequence[str]) -> None:
    """Replace this process with the same command inside the cluster of scripts/cluster, unless KUBECONFIG is set."""
    if not os.environ.get("KUBECONFIG"):
        program = [sys.executable, "-P", "-m", "scripts.benchmarks", *arguments]
        os.execv(CLUSTER, [str(CLUSTER), "exec", "--", *program])  # noqa: S606 - needs no shell


def _log(text: str) -> None:
    click.echo(text, err=True)
