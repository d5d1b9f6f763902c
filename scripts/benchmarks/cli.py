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
from scripts.benchmarks.figures import Figure, PeerFigure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures import peers as against
from scripts.benchmarks.measures.every import EVENTS, EVERY, LARGE_MODEL, PROTOCOLS, REGISTRY, WASM
from scripts.benchmarks.noise import Guard
from scripts.benchmarks.rivals import PEERS, Peer

PACKAGES: Final = {
    "taskset": "util-linux",
    "prlimit": "util-linux",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "curl": "curl",
    "clang": "clang lld wasi-libc libclang-rt-dev-wasm32",
}  # on Debian
TOOLS: Final = {
    "raw_": "wrk",
    "throughput_": "wrk",
    "h2_": "h2load",
    "grpc_": "h2load",
    "events": "wrk",
    "idempotency": "wrk",
    "logging": "h2load",
    "live_": "prlimit",
    "upload": "curl",
    "pull": "curl",
    "rss_": "curl",
    "compute_": "clang",
    "request_": "clang",
    "cold_ms": "clang",
}  # by a name's beginning
COMMANDS: Final = tuple(
    f"`{name}`" for name in ("peers", "protocols", "events", "large_model", "registry", "wasm", "variants", "cluster")
)
FAULTS: Final = (CannotMeasure, OSError, HTTPException)
_EXIT_CODE: Final = "the exit code is 1 only if a figure could not be measured."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of every command."""

    file: Path | None
    rounds: int
    seconds: int
    model: str
    server_cpu: int
    load_cpu: int
    patience: float

    def lab(self, *, patience: float) -> Lab:
        """Return the resources of this run. Raises ClickException if a core is not available."""
        require_cpus(self.server_cpu, self.load_cpu)
        return Lab(
            guard=Guard(cpus=(self.server_cpu, self.load_cpu), wait_budget=patience),
            log=_log,
            server_cpu=self.server_cpu,
            load_cpu=self.load_cpu,
            rounds=self.rounds,
            seconds=self.seconds,
            version=self.model,
        )

    def write_result(self, text: str, document: object, failed: Sequence[str]) -> None:
        """Print the result and write it to `file`. Raises ClickException with the figures that are missing, if any."""
        click.echo(f"payment-model {self.model}; {report.machine()}\n\n{text}")
        if self.file:
            self.file.write_text(json.dumps(document, indent=2) + "\n")
        if failed:
            raise click.ClickException(f"not measured: {'; '.join(failed)}")


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `Options` to a command; it receives them as keyword arguments."""
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


def require_tools(names: Sequence[str]) -> None:
    """Check that the programs for the named figures are installed.

    Raises ClickException with the command that installs the missing ones.
    """
    needed = {"taskset", *(tool for start, tool in TOOLS.items() if any(name.startswith(start) for name in names))}
    missing = [tool for tool in PACKAGES if tool in needed and not shutil.which(tool)]
    if missing:
        packages = " ".join(dict.fromkeys(PACKAGES[tool] for tool in missing))
        raise click.ClickException(f"{' and '.join(missing)} not found; on Debian: apt-get install {packages}")


def require_cpus(*cpus: int) -> None:
    """Check that the cores are different and available. Raises ClickException if they are not."""
    usable = sorted(os.sched_getaffinity(0))
    if len(set(cpus)) < len(cpus) or not set(cpus) <= set(usable):
        raise click.ClickException(f"got cores {cpus}; expected two different ones of {usable}")


def measure_all(
    lab: Lab, names: Sequence[str], measures: Mapping[str, Callable[[Lab], Figure]]
) -> tuple[list[Figure], list[str]]:
    """Measure the named figures. Return them, and the names of those that could not be measured."""
    figures, failed = [], []
    for name in names:
        lab.log(f"{name} ...")
        try:
            figures.append(measures[name](lab))
        except FAULTS as error:
            failed.append(name)
            lab.log(f"{name} cannot be measured: {error}")
        else:
            lab.log(f"{name} {figures[-1].ratio:.3f}")
    return figures, failed


def compare_with_peer(lab: Lab, peer: Peer) -> tuple[list[PeerFigure], list[str]]:
    """Measure ours and one peer. Return the figures, and an error message for each that could not be measured."""
    lab.log(f"{peer.label} ...")
    try:
        if peer.embeds_python:
            venvs.need_libpython()
        venvs.make(peer.venv, peer.requirements)
    except FAULTS as error:
        return [], [f"{peer.label} cannot be installed: {error}"]
    figures, failed = [], []
    for name in against.names(peer):
        try:
            pairs = against.AGAINST[name](lab, peer.contender(lab.payment))
            figures.append(PeerFigure(peer=peer.label, figure=figure(name, pairs)))
        except FAULTS as error:
            failed.append(f"{peer.label} {name}: {error}")
            lab.log(failed[-1])
        else:
            lab.log(f"{peer.label} {name} {figures[-1].figure.ratio:.3f}")
    return figures, failed


@click.command(epilog=f"NAMES: {', '.join(WASM)} (default: all).")
@click.argument("names", nargs=-1, type=click.Choice(list(WASM)), metavar="[NAMES]...")
@with_options
def wasm(names: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401 - as above
    """Measure what a WebAssembly guest costs over the predictor, the predict API and a start without a guest.

    It takes about two minutes. The exit code is 1 only if a figure could not be measured.
    """
    measure_and_report(WASM, names, Options(**given))


def measure_and_report(measures: Mapping[str, Callable[[Lab], Figure]], names: Sequence[str], options: Options) -> None:
    """Measure the named figures, or all, and write the result. Raises ClickException with those that are missing."""
    chosen = list(dict.fromkeys(names)) or list(measures)
    require_tools(chosen)
    with options.lab(patience=options.patience) as lab:
        figures, failed = measure_all(lab, chosen, measures)
    options.write_result(report.table(figures), report.document(figures), failed)


def _command(name: str, measures: Mapping[str, Callable[[Lab], Figure]], text: str, epilog: str = "") -> click.Command:
    """Return a command that measures the figures that are named, or all."""

    @click.command(name, help=text, epilog=f"NAMES: {', '.join(measures)} (default: all). {epilog}")
    @click.argument("names", nargs=-1, type=click.Choice(list(measures)), metavar="[NAMES]...")
    @with_options
    def command(names: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401 - each option has its own type
        measure_and_report(measures, names, Options(**given))

    return command


main: Final = _command(
    "main",
    EVERY,
    f"""Measure scalezero and its floors on one core, and print the ratios. All figures take about fifteen minutes.

    A missed target is a result, not a failure: {_EXIT_CODE}
    """,
    f"Other commands: {', '.join(COMMANDS)}.",
)
protocols: Final = _command(
    "protocols",
    PROTOCOLS,
    f"""Measure the cost of the protocols and their floors on one core. All figures take about five minutes.

    {_EXIT_CODE.capitalize()}
    """,
)
events: Final = _command(
    "events",
    EVENTS,
    f"""Measure events against the predict API, and the cost of the window of known events and of the prediction log.

    All figures take about six minutes. {_EXIT_CODE.capitalize()}
    """,
)
large_model: Final = _command(
    "large_model",
    LARGE_MODEL,
    f"""Measure the start of models of 1 GiB in their prepared form. It takes about five minutes and 7 GiB of disk.

    {_EXIT_CODE.capitalize()}
    """,
)
registry: Final = _command(
    "registry",
    REGISTRY,
    f"""Measure the upload and the pull of 1 GiB against curl and sha256sum. It takes about three minutes.

    {_EXIT_CODE.capitalize()}
    """,
)


@click.command()
@click.option(
    "--peer", "names", multiple=True, type=click.Choice(list(PEERS)), help="Measure only this server; can be repeated."
)
@with_options
def peers(names: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401 - as above
    """Measure scalezero and other Python model servers on one core. Each server takes about four minutes.

    Each server is installed from its pins into .local/peers when it is first needed. If a server cannot be measured,
    the others still are. The command then prints its name and the reason, and the exit code is 1.
    """
    options = Options(**given)
    require_tools(list(against.AGAINST))
    results: list[PeerFigure] = []
    failed: list[str] = []
    for name in dict.fromkeys(names) or PEERS:
        with options.lab(patience=options.patience) as lab:  # each peer has its own time limit for noise
            got, missing = compare_with_peer(lab, PEERS[name])
        results += got
        failed += missing
    options.write_result(report.peer_tables(results), report.peer_document(results), failed)


def _log(text: str) -> None:
    click.echo(text, err=True)
