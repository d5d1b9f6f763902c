"""scripts/bench: which figures, on which cores, how often."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import click

from scripts.benchmarks import report, venvs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, Versus, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures import peers as against
from scripts.benchmarks.measures.every import EVERY, PROTOCOLS
from scripts.benchmarks.noise import Guard
from scripts.benchmarks.rivals import PEERS, Peer

PACKAGES: Final = {
    "taskset": "util-linux",
    "prlimit": "util-linux",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
}  # on Debian
TOOLS: Final = {
    "raw_": "wrk",
    "throughput_": "wrk",
    "h2_": "h2load",
    "grpc_": "h2load",
    "live_": "prlimit",
}  # by a name's beginning
FAULTS: Final = (CannotMeasure, OSError, HTTPException)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every command takes."""

    file: Path | None
    rounds: int
    seconds: int
    model: str
    server_cpu: int
    load_cpu: int
    patience: float

    def lab(self, *, patience: float) -> Lab:
        """The place of this run. Raises ClickException where its cores are not ours to use."""
        need_cpus(self.server_cpu, self.load_cpu)
        return Lab(
            guard=Guard(cpus=(self.server_cpu, self.load_cpu), patience=patience),
            say=_say,
            server_cpu=self.server_cpu,
            load_cpu=self.load_cpu,
            rounds=self.rounds,
            seconds=self.seconds,
            version=self.model,
        )

    def hand_over(self, text: str, document: object, failed: Sequence[str]) -> None:
        """Print and write the result. Raises ClickException that names what is missing from it."""
        click.echo(f"payment-model {self.model}; {report.machine()}\n\n{text}")
        if self.file:
            self.file.write_text(json.dumps(document, indent=2) + "\n")
        if failed:
            raise click.ClickException(f"not measured: {'; '.join(failed)}")


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Declare `Options` on a command, which gets them as keywords."""
    number = click.IntRange(min=1)
    path = click.Path(dir_okay=False, writable=True, path_type=Path)
    options = (
        click.option("--json", "file", type=path, help="Write the figures to this file."),
        click.option("--rounds", type=number, default=7, show_default=True, help="Pairs per figure."),
        click.option("--seconds", type=number, default=3, show_default=True, help="Length of one load."),
        click.option(
            "--model",
            type=click.Choice(["v1", "v2"]),
            default="v1",
            show_default=True,
            help="Version of the payment model.",
        ),
        click.option("--server-cpu", default=0, show_default=True, help="CPU core of the measured server."),
        click.option("--load-cpu", default=1, show_default=True, help="CPU core of the load generator."),
        click.option(
            "--patience",
            default=180.0,
            show_default=True,
            help="Longest time in seconds to wait for a quiet machine; with `peers`, for each peer.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def need_tools(names: Sequence[str]) -> None:
    """Stop with the command that installs what the named figures need and this machine lacks."""
    needed = {"taskset", *(tool for start, tool in TOOLS.items() if any(name.startswith(start) for name in names))}
    missing = [tool for tool in PACKAGES if tool in needed and not shutil.which(tool)]
    if missing:
        packages = " ".join(dict.fromkeys(PACKAGES[tool] for tool in missing))
        raise click.ClickException(f"{' and '.join(missing)} not found; on Debian: apt-get install {packages}")


def need_cpus(*cpus: int) -> None:
    """Stop where a core is not ours to use, or is asked to do both jobs."""
    usable = sorted(os.sched_getaffinity(0))
    if len(set(cpus)) < len(cpus) or not set(cpus) <= set(usable):
        raise click.ClickException(f"cores {cpus}: expected two different ones of {usable}")


def measured(
    lab: Lab, names: Sequence[str], measures: Mapping[str, Callable[[Lab], Figure]]
) -> tuple[list[Figure], list[str]]:
    """The figures, and the names of those that could not be measured."""
    figures, failed = [], []
    for name in names:
        lab.say(f"{name} ...")
        try:
            figures.append(measures[name](lab))
        except FAULTS as error:
            failed.append(name)
            lab.say(f"{name} cannot be measured: {error}")
        else:
            lab.say(f"{name} {figures[-1].ratio:.3f}")
    return figures, failed


def compared(lab: Lab, peer: Peer) -> tuple[list[Versus], list[str]]:
    """Ours beside one peer, and what could not be measured, with the reason."""
    lab.say(f"{peer.label} ...")
    try:
        venvs.make(peer.venv, peer.requirements)
    except FAULTS as error:
        return [], [f"{peer.label} cannot be installed: {error}"]
    figures, failed = [], []
    for name in against.names(peer):
        try:
            pairs = against.AGAINST[name](lab, peer.contender(lab.payment))
            figures.append(Versus(peer=peer.label, figure=figure(name, pairs)))
        except FAULTS as error:
            failed.append(f"{peer.label} {name}: {error}")
            lab.say(failed[-1])
        else:
            lab.say(f"{peer.label} {name} {figures[-1].figure.ratio:.3f}")
    return figures, failed


@click.command(
    epilog=f"NAMES: {', '.join(EVERY)}; all where none is given. Further commands: `peers`, `protocols`, `cluster`."
)
@click.argument("names", nargs=-1, type=click.Choice(list(EVERY)), metavar="[NAMES]...")
@with_options
def main(names: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401 - each option has its own type
    """Measure scalezero and its floors on one core, and print the ratios. All figures take about fifteen minutes.

    A missed target is a result, not a failure: the exit code is 1 only where a figure could not be measured.
    """
    report_on(EVERY, names, Options(**given))


@click.command(epilog=f"NAMES: {', '.join(PROTOCOLS)}; all where none is given.")
@click.argument("names", nargs=-1, type=click.Choice(list(PROTOCOLS)), metavar="[NAMES]...")
@with_options
def protocols(names: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401 - as above
    """Measure the cost of the protocols and their floors on one core. All figures take about five minutes.

    The exit code is as that of the other figures.
    """
    report_on(PROTOCOLS, names, Options(**given))


def report_on(measures: Mapping[str, Callable[[Lab], Figure]], names: Sequence[str], options: Options) -> None:
    """Measure the figures of those names, or all. Raises ClickException that names those that are missing."""
    chosen = list(dict.fromkeys(names)) or list(measures)
    need_tools(chosen)
    with options.lab(patience=options.patience) as lab:
        figures, failed = measured(lab, chosen, measures)
    options.hand_over(report.table(figures), report.document(figures), failed)


@click.command()
@click.option(
    "--peer", "names", multiple=True, type=click.Choice(list(PEERS)), help="Measure only this server; can be repeated."
)
@with_options
def peers(names: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401 - as above
    """Measure scalezero and other Python model servers on one core. Each server takes about four minutes.

    Each is installed from its pins when first asked for, into .local/peers. The exit code is 1 where one could not be
    measured; the others are, and it is named with the reason.
    """
    options = Options(**given)
    need_tools(list(against.AGAINST))
    results: list[Versus] = []
    failed: list[str] = []
    for name in dict.fromkeys(names) or PEERS:
        with options.lab(patience=options.patience) as lab:  # one for each: no peer pays for the noise of another
            got, missing = compared(lab, PEERS[name])
        results += got
        failed += missing
    options.hand_over(report.versus_tables(results), report.versus_document(results), failed)


def _say(text: str) -> None:
    click.echo(text, err=True)
