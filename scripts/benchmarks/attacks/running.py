"""One attack against one server, from start to end, with a probe and a look at the server's memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from scripts.benchmarks.attacks.aim import Aim
from scripts.benchmarks.attacks.waits import Waits, summary
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.launches import ROOT
from scripts.benchmarks.servers import Server, neutral, pinned

GIVE_UP_SECONDS: Final = 20.0  # of a probe
OVERTIME_SECONDS: Final = 5.0  # after its own end, before an attack is killed
AFTERWARDS_SECONDS: Final = 0.3  # the probe goes on, so that it sees what the attack leaves behind
LOWEST_PRIORITY: Final = "19"


class Result(NamedTuple):
    """What an attack did to a server."""

    waits: Waits
    peak: float  # bytes of resident memory
    outcome: str  # what became of the attack's requests, as JSON or in words


def attacked(
    server: Server,
    name: str,
    aim: Aim,
    *,
    cpu: int,
    overtime: float = OVERTIME_SECONDS,
    give_up: float = GIVE_UP_SECONDS,
) -> Result:
    """Run from one core, which must not be the server's, and kill an attack that does not end in time.

    A server that has ended is not alive: its wait is `give_up`. Raises CannotMeasure where the attack or the probe does
    not start.
    """
    arguments = [str(aim.port), aim.path, str(aim.width), str(aim.limit), str(aim.seconds)]
    attack = ["nice", "-n", LOWEST_PRIORITY, *_module("program", name, *arguments)]
    with _child(attack, cpu) as attacking, _child(_module("probe", str(aim.port), str(give_up)), cpu) as probing:
        _ready(attacking, name)
        _ready(probing, "the probe")
        outcome = _printed(attacking, "\n", within=aim.seconds + overtime) or "killed"
        time.sleep(AFTERWARDS_SECONDS)
        waits = _printed(probing, "", within=give_up + OVERTIME_SECONDS)
    if server.process.poll() is not None:
        return Result(Waits(give_up, give_up), 0.0, f"the server ended: {server.last_words()}")
    return Result(summary(json.loads(waits or f"[{give_up}]")), server.peak_memory(), outcome.strip())


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"scripts.benchmarks.attacks.{name}", *arguments]


@contextmanager
def _child(command: Sequence[str], cpu: int) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        pinned(cpu, command),
        cwd=ROOT,
        env=neutral(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ready(process: subprocess.Popen[str], name: str) -> None:
    line = process.stdout.readline() if process.stdout else ""
    if line != "ready\n":
        raise CannotMeasure(f"{name} did not start: it exited with {process.wait()}")


def _printed(process: subprocess.Popen[str], text: str, *, within: float) -> str | None:
    """Write to its stdin, close it, and return what it prints; None where it does not end in time."""
    try:
        return process.communicate(text, timeout=within)[0]
    except subprocess.TimeoutExpired:
        return None
