"""From the start of the process to the first right answer: ours with the model in S3, the floor with it on disk."""

import tempfile

from scripts.benchmarks import launches
from scripts.benchmarks.client import first_right_answer
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import Launch, running


def measure(lab: Lab) -> Figure:
    """Milliseconds. Each start of ours finds an empty cache; compiled bytecode and the page cache are warm for both."""

    def start(launch: Launch) -> float:
        with running(launch, cpu=lab.server_cpu) as server:
            return first_right_answer(server, lab.payment) * 1e3

    def ours() -> float:
        with tempfile.TemporaryDirectory() as cache:
            return start(launches.ours(lab.payment, lab.payment_uri, cache, lab.s3))

    def floor() -> float:
        return start(launches.bare(lab.payment))

    ours(), floor()  # not counted: the first start compiles the bytecode
    return figure("cold_start", in_turns(lab.guard, lab.rounds, ours=ours, floor=floor))
