"""The time from the start of the process to the first correct answer.

Ours pulls the model from S3; the floor reads it from disk.
"""

import tempfile

from scripts.benchmarks import launches
from scripts.benchmarks.client import wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.launches import Contender
from scripts.benchmarks.servers import running


def measure(lab: Lab) -> Figure:
    """Measure milliseconds; the floor is a minimal server."""
    return figure("cold_start", pairs(lab, Contender(launch=launches.bare(lab.payment), subject=lab.payment)))


def pairs(lab: Lab, other: Contender) -> list[Pair]:
    """Measure milliseconds. Each start of ours has an empty model cache. Bytecode and page cache are warm for both."""

    def start(contender: Contender) -> float:
        with running(contender.launch, cpu=lab.server_cpu) as server:
            return wait_for_first_answer(server, contender.subject) * 1e3

    def ours() -> float:
        with tempfile.TemporaryDirectory() as cache:
            launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
            return start(Contender(launch=launch, subject=lab.payment))

    def floor() -> float:
        return start(other)

    ours(), floor()  # not counted: the first start compiles the bytecode
    return measure_pairs(lab.guard, lab.rounds, ours=ours, floor=floor)
