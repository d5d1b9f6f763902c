"""Memory after the first answer, all processes of the server together."""

import tempfile
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import first_right_answer
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import Launch, running

MIB: Final = 2**20
ROUNDS: Final = 3  # it hardly varies


def measure(lab: Lab) -> Figure:
    """Proportional set size in MiB. One server runs at a time: two that map the same library count half of it each."""

    def after_first_answer(launch: Launch) -> float:
        with running(launch, cpu=lab.server_cpu) as server:
            first_right_answer(server, lab.payment)
            return server.memory() / MIB

    def ours() -> float:
        with tempfile.TemporaryDirectory() as cache:
            return after_first_answer(launches.ours(lab.payment, lab.payment_uri, cache, lab.s3))

    def floor() -> float:
        return after_first_answer(launches.bare(lab.payment))

    return figure("memory", in_turns(lab.guard, min(ROUNDS, lab.rounds), ours=ours, floor=floor))
