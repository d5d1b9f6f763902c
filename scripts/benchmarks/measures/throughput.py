"""Requests per second on one core, one JSON row each, at 1, 8 and 32 connections."""

import tempfile
from collections.abc import Callable
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check_answers, wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.launches import Contender
from scripts.benchmarks.load import wrk
from scripts.benchmarks.servers import Launch, Server, running
from scripts.benchmarks.subjects import Subject

WARM_SECONDS: Final = 1.0
WARM_CONNECTIONS: Final = 32


def measure(name: str, floor: Callable[[Subject], Launch], *, connections: int) -> Callable[[Lab], Figure]:
    """Return the measurement for one number of connections, compared with one floor."""

    def throughput(lab: Lab) -> Figure:
        other = Contender(launch=floor(lab.payment), subject=lab.payment)
        return figure(name, pairs(lab, other, connections=connections))

    return throughput


def pairs(lab: Lab, other: Contender, *, connections: int) -> list[Pair]:
    """Measure requests per second. Both servers run; the one that is not measured is paused."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
        with running(launch, cpu=lab.server_cpu) as ours, running(other.launch, cpu=lab.server_cpu) as floor:
            both = ((ours, lab.payment), (floor, other.subject))
            for server, subject in both:
                prepare(server, subject)
            warm(floor, other, lab)
            measured = measure_pairs(
                lab.guard,
                lab.rounds,
                ours=lambda: rate(ours, lab.payment, lab, connections=connections),
                floor=lambda: rate(floor, other.subject, lab, connections=connections),
            )
            for server, subject in both:
                server.resume()
                check_answers(server, subject)
            return measured


def prepare(server: Server, subject: Subject) -> None:
    """Wait for the first answer, check all answers, and pause the server."""
    wait_for_first_answer(server, subject)
    check_answers(server, subject)
    server.pause()


def warm(server: Server, contender: Contender, lab: Lab) -> None:
    """Load a paused server for as long as it needs to reach its speed, and pause it again."""
    if contender.warm_seconds:
        server.resume()
        body = contender.subject.body(0)
        wrk(server, body, connections=WARM_CONNECTIONS, seconds=contender.warm_seconds, cpu=lab.load_cpu)
        server.pause()


def rate(server: Server, subject: Subject, lab: Lab, *, connections: int) -> float:
    """Return the requests per second of a server that is paused before and afterwards."""
    server.resume()
    body = subject.body(0)
    wrk(server, body, connections=connections, seconds=WARM_SECONDS, cpu=lab.load_cpu)
    load = wrk(server, body, connections=connections, seconds=lab.seconds, cpu=lab.load_cpu)
    server.pause()
    return load.rate
