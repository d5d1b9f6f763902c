"""Memory after the first answer, all processes of the server together.

A proportional set size counts a page that n processes map as 1/n: whoever else has the same libraries in use makes a
server look lighter. So nobody else may, this run's other servers included.
"""

import tempfile
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import first_right_answer
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.launches import ROOT, Contender
from scripts.benchmarks.servers import mapped_by, running

MIB: Final = 2**20
ROUNDS: Final = 3  # it hardly varies
HEAVIEST: Final = "onnxruntime"  # of the libraries that a server maps


def measure(lab: Lab) -> Figure:
    """MiB, beside the least that could be done."""
    return figure("memory", pairs(lab, Contender(launch=launches.bare(lab.payment), subject=lab.payment)))


def pairs(lab: Lab, other: Contender) -> list[Pair]:
    """Proportional set size in MiB, one server at a time."""

    def after_first_answer(contender: Contender) -> float:
        alone(lab)
        with running(contender.launch, cpu=lab.server_cpu) as server:
            first_right_answer(server, contender.subject)
            return server.memory() / MIB

    def ours() -> float:
        with tempfile.TemporaryDirectory() as cache:
            launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
            return after_first_answer(Contender(launch=launch, subject=lab.payment))

    return in_turns(lab.guard, min(ROUNDS, lab.rounds), ours=ours, floor=lambda: after_first_answer(other))


def alone(lab: Lab) -> None:
    """Wait until nobody else maps our libraries, or say that somebody does."""
    if not lab.guard.wait_while(lambda: bool(mapped_by(HEAVIEST, ROOT))):
        lab.say(f"memory: process {mapped_by(HEAVIEST, ROOT)} shares libraries with the server, which weighs less")
