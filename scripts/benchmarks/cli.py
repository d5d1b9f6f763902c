"""scripts/bench: which figures, on which cores, how often."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from scripts.benchmarks import report
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.every import EVERY
from scripts.benchmarks.noise import Guard

PACKAGES = {"taskset": "util-linux", "wrk": "wrk"}


def need_tools(names: Sequence[str]) -> None:
    """Stop with the command that installs what the named figures need and this machine lacks."""
    needed = ["taskset", *(["wrk"] if any(name.startswith("throughput") for name in names) else [])]
    missing = [tool for tool in needed if not shutil.which(tool)]
    if missing:
        packages = " ".join(PACKAGES[tool] for tool in missing)
        raise click.ClickException(f"{' and '.join(missing)} not found; on Debian: apt-get install {packages}")


def need_cpus(*cpus: int) -> None:
    """Stop where a core is not ours to use, or is asked to do both jobs."""
    usable = sorted(os.sched_getaffinity(0))
    if len(set(cpus)) < len(cpus) or not set(cpus) <= set(usable):
        raise click.ClickException(f"cores {cpus}: expected two different ones of {usable}")


def measured(lab: Lab, names: Sequence[str]) -> tuple[list[Figure], list[str]]:
    """The figures, and the names of those that could not be measured."""
    figures, failed = [], []
    for name in names:
        lab.say(f"{name} ...")
        try:
            figures.append(EVERY[name](lab))
        except (CannotMeasure, OSError) as error:
            failed.append(name)
            lab.say(f"{name} cannot be measured: {error}")
        else:
            lab.say(f"{name} {figures[-1].ratio:.3f}")
    return figures, failed


@click.command(epilog=f"NAMES: {', '.join(EVERY)}; all of them where none is given.")
@click.argument("names", nargs=-1, type=click.Choice(list(EVERY)), metavar="[NAMES]...")
@click.option(
    "--json", "file", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write the figures here."
)
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True, help="Pairs per figure.")
@click.option("--seconds", type=click.IntRange(min=1), default=3, show_default=True, help="Length of one load.")
@click.option("--model", type=click.Choice(["v1", "v2"]), default="v1", show_default=True, help="Of the payment model.")
@click.option("--server-cpu", type=int, default=0, show_default=True, help="The core of what is measured.")
@click.option("--load-cpu", type=int, default=1, show_default=True, help="The core of everything else.")
@click.option("--patience", type=float, default=180, show_default=True, help="Seconds to spend on waiting out noise.")
def main(
    names: tuple[str, ...],
    *,
    file: Path | None,
    rounds: int,
    seconds: int,
    model: str,
    server_cpu: int,
    load_cpu: int,
    patience: float,
) -> None:
    """Measure ours beside the floors on one core, and print what share of them it reaches; some six minutes for all.

    A missed target is a result, not a failure: the exit code is 1 only where a figure could not be measured.
    """
    chosen = list(dict.fromkeys(names)) or list(EVERY)
    need_tools(chosen)
    need_cpus(server_cpu, load_cpu)
    with Lab(
        guard=Guard(cpus=(server_cpu, load_cpu), patience=patience),
        say=lambda text: click.echo(text, err=True),
        server_cpu=server_cpu,
        load_cpu=load_cpu,
        rounds=rounds,
        seconds=seconds,
        version=model,
    ) as lab:
        figures, failed = measured(lab, chosen)
    click.echo(f"payment-model {model}; {report.machine()}\n\n{report.table(figures)}")
    if file:
        file.write_text(json.dumps(report.document(figures), indent=2) + "\n")
    if failed:
        raise click.ClickException(f"not measured: {', '.join(failed)}")
