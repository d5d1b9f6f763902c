"""Runs one attack against one server, with a liveness probe, and reads the server's peak memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from scripts.benchmarks.attacks.aim import AttackTarget
from scripts.benchmarks.attacks.waits import Waits, summary
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.launches import ROOT
from scripts.benchmarks.servers import Server, clean_environment, pinned

PROBE_TIMEOUT_SECONDS: Final = 20.0
EXIT_GRACE_SECONDS: Final = 5.0  # after the end of its duration, before an attack is killed
AFTERWARDS_SECONDS: Final = 0.3  # the probe continues, to measure the aftermath of the attack
LOWEST_PRIORITY: Final = "19"


class Result(NamedTuple):
    """The effect of an attack on a server."""

    waits: Waits
    peak: float  # bytes of resident memory
    outcome: str  # the results of the attack's requests as JSON, or a sentence


def run_attack(
    server: Server,
    name: str,
    target: AttackTarget,
    *,
    cpu: int,
    exit_grace: float = EXIT_GRACE_SECONDS,
    probe_timeout: float = PROBE_TIMEOUT_SECONDS,
) -> Result:
    """Run an attack from one core, which must not be the server's. Kill it if it does not end in time.

    If the server exits, its wait is `probe_timeout`. Raises CannotMeasure if the attack or the probe does not start.
    """
    arguments = [str(target.port), target.path, str(target.width), str(target.limit), str(target.seconds)]
    attack = ["nice", "-n", LOWEST_PRIORITY, *_command("program", name, *arguments)]
    with (
        _child(attack, cpu) as attacking,
        _child(_command("probe", str(target.port), str(probe_timeout)), cpu) as probing,
    ):
        _wait_until_ready(attacking, name)
        _wait_until_ready(probing, "the probe")
        outcome = _communicate(attacking, "\n", within=target.seconds + exit_grace) or "killed"
        time.sleep(AFTERWARDS_SECONDS)
        waits = _communicate(probing, "", within=probe_timeout + EXIT_GRACE_SECONDS)
    if server.process.poll() is not None:
        return Result(Waits(probe_timeout, probe_timeout), 0.0, f"the server exited: {server.log_tail()}")
    return Result(summary(json.loads(waits or f"[{probe_timeout}]")), server.peak_memory(), outcome.strip())


def _command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"scripts.benchmarks.attacks.{name}", *arguments]


@contextmanager
def _child(command: Sequence[str], cpu: int) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        pinned(cpu, command),
        cwd=ROOT,
        env=clean_environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait_until_ready(process: subprocess.Popen[str], name: str) -> None:
    line = process.stdout.readline() if process.stdout else ""
    if line != "ready\n":
        raise CannotMeasure(f"{name} did not start: it exited with {process.wait()}")


def _communicate(process: subprocess.Popen[str], text: str, *, within: float) -> str | None:
    """Write to its stdin, close it, and return its output; None if it does not exit in time."""
    try:
        return process.communicate(text, timeout=within)[0]
    except subprocess.TimeoutExpired:
        return None
