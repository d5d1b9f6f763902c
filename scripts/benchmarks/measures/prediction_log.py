"""The cost of the prediction log: the same server with and without it, at full load.

The log is on for all requests and posts one event per prediction to a sink on the load's core. Extra values:
`lost_at_2000` is the share of predictions that did not reach the sink at 2,000 requests per second;
`sink_down_slowdown` is the rate without the log divided by the rate with a log whose sink refuses connections.
"""

import statistics
import tempfile
import time
from typing import Final

from scripts.benchmarks import launches, metrics
from scripts.benchmarks.client import check_answers, send_request, wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.h2load import Post, Version, h2load
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import Launch, Server, free_port, running

CONNECTIONS: Final = 32
STEADY_RATE: Final = 2000  # requests per second
STEADY_CONNECTIONS: Final = 8
SLOWEST: Final = 0.9  # share of the steady rate that h2load must reach
SETTLE_SECONDS: Final = 1.0  # for the last events to arrive


def measure(lab: Lab) -> Figure:
    """Measure requests per second with and without the log, and the two extra values."""
    with tempfile.TemporaryDirectory() as cache, running(launches.event_sink(), cpu=lab.load_cpu) as sink:
        plain = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
        with running(plain, cpu=lab.server_cpu) as floor:
            _prepare(floor, lab)
            with running(_logging(lab, cache, sink.port), cpu=lab.server_cpu) as ours:
                _prepare(ours, lab)
                pairs = _pairs(lab, ours, floor)
                lost = _lost_at_steady_rate(lab, ours, sink)
            with running(_logging(lab, cache, free_port()), cpu=lab.server_cpu) as down:
                _prepare(down, lab)
                slowdown = 1 / statistics.median(pair.ratio for pair in _pairs(lab, down, floor))
    return figure("logging", pairs, {"lost_at_2000": lost, "sink_down_slowdown": slowdown})


def _logging(lab: Lab, cache: str, port: int) -> Launch:
    settings = {"SCALEZERO_PREDICTION_LOG": "sink", "K_SINK": f"http://127.0.0.1:{port}/"}
    return launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING, **settings})


def _prepare(server: Server, lab: Lab) -> None:
    wait_for_first_answer(server, lab.payment)
    check_answers(server, lab.payment)
    server.pause()


def _pairs(lab: Lab, ours: Server, floor: Server) -> list[Pair]:
    """Measure both alternately; the one that is not measured is paused."""
    return measure_pairs(lab.guard, lab.rounds, ours=lambda: _rate(lab, ours), floor=lambda: _rate(lab, floor))


def _rate(lab: Lab, server: Server) -> float:
    server.resume()
    try:
        load = h2load(
            server,
            Post(path=server.launch.path, body=lab.payment.body(0)),
            version=Version.HTTP1,
            concurrency=CONNECTIONS,
            seconds=lab.seconds,
            cpu=lab.load_cpu,
        )
    finally:
        server.pause()
    return load.checked_rate


def _lost_at_steady_rate(lab: Lab, server: Server, sink: Server) -> float:
    """Return the share of the predictions of a steady load whose events did not reach the sink."""
    server.resume()
    time.sleep(SETTLE_SECONDS)
    before, answered = _events(sink), metrics.answered(server)
    load = h2load(
        server,
        Post(path=server.launch.path, body=lab.payment.body(0)),
        version=Version.HTTP1,
        concurrency=STEADY_CONNECTIONS,
        seconds=lab.seconds,
        cpu=lab.load_cpu,
        rate=STEADY_RATE,
    )
    if load.failures or load.rate < STEADY_RATE * SLOWEST:
        sent = f"{load.rate:.0f} requests per second were answered, failures: {load.failures}"
        raise CannotMeasure(f"h2load: {sent}; expected {STEADY_RATE} and none")
    time.sleep(SETTLE_SECONDS)
    return max(0.0, 1 - (_events(sink) - before) / (metrics.answered(server) - answered))


def _events(sink: Server) -> int:
    return int(send_request(sink, "GET", "/").text)
