"""From the start of the process to the first right answer: ours with the model in S3, the floor with it on disk."""

import tempfile

from scripts.benchmarks import launches
from scripts.benchmarks.client import first_right_answer
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.launches import Contender
from scripts.benchmarks.servers import running


def measure(lab: Lab) -> Figure:
    """Milliseconds, beside the least that could be done."""
    return figure("cold_start", pairs(lab, Contender(launch=launches.bare(lab.payment), subject=lab.payment)))


def pairs(lab: Lab, other: Contender) -> list[Pair]:
    """Milliseconds. Each start of ours finds an empty cache; compiled bytecode and the page cache are warm for both."""

    def start(contender: Contender) -> float:
        with running(contender.launch, cpu=lab.server_cpu) as server:
            return first_right_answer(server, contender.subject) * 1e3

    def ours() -> float:
        with tempfile.TemporaryDirectory() as cache:
            launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
            return start(Contender(launch=launch, subject=lab.payment))

    def floor() -> float:
        return start(other)

    ours(), floor()  # not counted: the first start compiles the bytecode
    return in_turns(lab.guard, lab.rounds, ours=ours, floor=floor)
