"""Requests per second on one core, one JSON row each, at 1, 8 and 32 connections."""

import tempfile
from collections.abc import Callable
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check, first_right_answer
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.load import wrk
from scripts.benchmarks.servers import Server, running

WARM_SECONDS: Final = 1.0


def measure(connections: int) -> Callable[[Lab], Figure]:
    """The measure of one number of connections. Both servers are up; the one that is not measured stands still."""

    def throughput(lab: Lab) -> Figure:
        with (
            tempfile.TemporaryDirectory() as cache,
            running(
                launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING}), cpu=lab.server_cpu
            ) as ours,
            running(launches.batching(lab.payment), cpu=lab.server_cpu) as floor,
        ):
            both = (ours, floor)
            for server in both:
                prepare(server, lab)
            pairs = in_turns(
                lab.guard,
                lab.rounds,
                ours=lambda: rate(ours, lab, connections),
                floor=lambda: rate(floor, lab, connections),
            )
            for server in both:
                server.resume()
                check(server, lab.payment)
            return figure(f"throughput_c{connections}", pairs)

    return throughput


def prepare(server: Server, lab: Lab) -> None:
    """Wait for the first answer, check all, and make it stand still."""
    first_right_answer(server, lab.payment)
    check(server, lab.payment)
    server.pause()


def rate(server: Server, lab: Lab, connections: int) -> float:
    """Requests per second of a server that stood still, and does so again afterwards."""
    server.resume()
    body = lab.payment.body(0)
    wrk(server, body, connections=connections, seconds=WARM_SECONDS, cpu=lab.load_cpu)
    load = wrk(server, body, connections=connections, seconds=lab.seconds, cpu=lab.load_cpu)
    server.pause()
    return load.rate
