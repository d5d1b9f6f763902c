"""scripts/bench cluster: which figures, on which cluster."""

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
from scripts.benchmarks.cluster.place import Place
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.launches import ROOT
from scripts.benchmarks.noise import Guard
from scripts.images.cli import default_tag

FUNCTION: Final = ROOT / "functions" / "payment_model"
CLUSTER: Final = ROOT / "scripts" / "cluster"
# In this order: a rollout ends the split.
MEASURES: Final[Mapping[str, Callable[[Place, Guard, int], Outcome]]] = MappingProxyType(
    {
        "cold_start": cold_start.measure,
        "split": lambda place, _guard, _rounds: split.measure(place),
        "rollout": lambda place, _guard, _rounds: rollout.measure(place),
        "scale_out": lambda place, _guard, _rounds: scale_out.measure(place),
    }
)
FAULTS: Final = (CannotMeasure, HTTPException, OSError, ScalezeroError)


@click.command(epilog=f"NAMES: {', '.join(MEASURES)}; all of them where none is given.")
@click.argument("names", nargs=-1, type=click.Choice(list(MEASURES)), metavar="[NAMES]...")
@click.option("--json", "file", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write them here.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Cold starts of each.")
@click.option("--image", default=default_tag, show_default="what scripts/image builds", help="The functions' image.")
@click.option("--patience", default=60.0, show_default=True, help="Seconds to spend on waiting for quiet.")
def main(*, names: Sequence[str], file: Path | None, rounds: int, image: str, patience: float) -> None:
    """Measure our functions on a real Knative, as callers see them; some five minutes for all.

    The cluster is that of KUBECONFIG, with the registry of AWS_*; without one, that of scripts/cluster, which must be
    up and have the image (scripts/image). All happens in a namespace of the run's own, which is deleted afterwards.

    A missed target is a result, not a failure: the exit code is 1 only where a figure could not be measured.
    """
    enter_cluster(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C: the namespace goes
    guard = Guard(cpus=sorted(os.sched_getaffinity(0)), patience=patience)
    chosen = [name for name in MEASURES if not names or name in names]
    try:
        with Place.made(image, _say) as place:
            place.publish(FUNCTION)
            place.deploy(FUNCTION)
            found, failed = measured({name: partial(MEASURES[name], place, guard, rounds) for name in chosen})
    except FAULTS as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{report.machine()}\n\n{outcomes.table(found)}")
    if file:
        file.write_text(json.dumps(outcomes.document(found), indent=2) + "\n")
    if failed:
        raise click.ClickException(f"not measured: {', '.join(failed)}")


def measured(measures: Mapping[str, Callable[[], Outcome]]) -> tuple[list[Outcome], list[str]]:
    """The outcomes, and the names of those that could not be had."""
    found, failed = [], []
    for name, measure in measures.items():
        _say(f"{name} ...")
        try:
            found.append(measure())
        except FAULTS as error:
            failed.append(name)
            _say(f"{name} cannot be measured: {error}")
    return found, failed


def enter_cluster(arguments: Sequence[str]) -> None:
    """Go on inside the cluster of scripts/cluster, in the place of this process, unless KUBECONFIG names one."""
    if not os.environ.get("KUBECONFIG"):
        program = [sys.executable, "-P", "-m", "scripts.benchmarks", *arguments]
        os.execv(CLUSTER, [str(CLUSTER), "exec", "--", *program])  # noqa: S606 - no shell is wanted


def _say(text: str) -> None:
    click.echo(text, err=True)
