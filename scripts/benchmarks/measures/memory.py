"""The memory of all processes of a server after its first answer.

A proportional set size counts a page that n processes map as 1/n. Other processes that use the same libraries would
therefore reduce the measured size, so no other process may use them, including the other servers of this run.
"""

import tempfile
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.launches import ROOT, Contender
from scripts.benchmarks.servers import processes_mapping, running

MIB: Final = 2**20
ROUNDS: Final = 3  # few, because the size hardly varies
LARGEST_LIBRARY: Final = "onnxruntime"  # of those that a server maps


def measure(lab: Lab) -> Figure:
    """Measure MiB; the floor is a minimal server."""
    return figure("memory", pairs(lab, Contender(launch=launches.bare(lab.payment), subject=lab.payment)))


def pairs(lab: Lab, other: Contender) -> list[Pair]:
    """Measure the proportional set size in MiB, one server at a time."""

    def after_first_answer(contender: Contender) -> float:
        wait_until_unshared(lab)
        with running(contender.launch, cpu=lab.server_cpu) as server:
            wait_for_first_answer(server, contender.subject)
            return server.memory() / MIB

    def ours() -> float:
        with tempfile.TemporaryDirectory() as cache:
            launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
            return after_first_answer(Contender(launch=launch, subject=lab.payment))

    return measure_pairs(lab.guard, min(ROUNDS, lab.rounds), ours=ours, floor=lambda: after_first_answer(other))


def wait_until_unshared(lab: Lab) -> None:
    """Wait until no other process maps our libraries, or log a warning with the processes that do."""
    if not lab.guard.wait_while(lambda: bool(processes_mapping(LARGEST_LIBRARY, ROOT))):
        others = processes_mapping(LARGEST_LIBRARY, ROOT)
        lab.log(f"memory: the processes {others} share libraries with the server; its measured memory is too small")
