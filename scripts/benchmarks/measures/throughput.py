"""Requests per second on one core, one JSON row each, at 1, 8 and 32 connections."""

import tempfile
from collections.abc import Callable
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check, first_right_answer
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.launches import Contender
from scripts.benchmarks.load import wrk
from scripts.benchmarks.servers import Launch, Server, running
from scripts.benchmarks.subjects import Subject

WARM_SECONDS: Final = 1.0


def measure(name: str, floor: Callable[[Subject], Launch], *, connections: int) -> Callable[[Lab], Figure]:
    """The measure of one number of connections, beside one floor."""

    def throughput(lab: Lab) -> Figure:
        other = Contender(launch=floor(lab.payment), subject=lab.payment)
        return figure(name, pairs(lab, other, connections=connections))

    return throughput


def pairs(lab: Lab, other: Contender, *, connections: int) -> list[Pair]:
    """Requests per second. Both servers are up; the one that is not measured stands still."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
        with running(launch, cpu=lab.server_cpu) as ours, running(other.launch, cpu=lab.server_cpu) as floor:
            both = ((ours, lab.payment), (floor, other.subject))
            for server, subject in both:
                prepare(server, subject)
            measured = in_turns(
                lab.guard,
                lab.rounds,
                ours=lambda: rate(ours, lab.payment, lab, connections=connections),
                floor=lambda: rate(floor, other.subject, lab, connections=connections),
            )
            for server, subject in both:
                server.resume()
                check(server, subject)
            return measured


def prepare(server: Server, subject: Subject) -> None:
    """Wait for the first answer, check all, and make it stand still."""
    first_right_answer(server, subject)
    check(server, subject)
    server.pause()


def rate(server: Server, subject: Subject, lab: Lab, *, connections: int) -> float:
    """Requests per second of a server that stood still, and does so again afterwards."""
    server.resume()
    body = subject.body(0)
    wrk(server, body, connections=connections, seconds=WARM_SECONDS, cpu=lab.load_cpu)
    load = wrk(server, body, connections=connections, seconds=lab.seconds, cpu=lab.load_cpu)
    server.pause()
    return load.rate
