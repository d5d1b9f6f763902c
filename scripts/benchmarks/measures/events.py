"""Events in binary mode, each with an id of its own, that the model answers: the cost of an event, and of the window.

`events` compares them with the predict API of the same server, `idempotency` with a server that keeps no window. Both
measure requests per second over HTTP/1.1, at 1 and 8 connections; the ratio is the lower one of the two.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check_answers, send_request, wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.load import wrk_events, wrk_like_events
from scripts.benchmarks.servers import Server, running

CONNECTIONS: Final = (1, 8)
WARM_SECONDS: Final = 1.0
NO_WINDOW: Final = {"SCALEZERO_EVENT_WINDOW": "0s"}
Rate = Callable[[int], float]  # requests per second, with so many connections


def events(lab: Lab) -> Figure:
    """Measure events against requests of the predict API, with the same row."""
    with started(lab, {}) as server:
        return _lowest("events", lab, ours=lambda count: event_rate(server, lab, count), floor=_predict(server, lab))


def idempotency(lab: Lab) -> Figure:
    """Measure events with the window against events without it. The server that is not measured is paused."""
    with started(lab, {}) as ours, started(lab, NO_WINDOW) as floor:
        ours.pause()
        floor.pause()

        def rate(server: Server, count: int) -> float:
            server.resume()
            measured = event_rate(server, lab, count)
            server.pause()
            return measured

        return _lowest("idempotency", lab, ours=lambda count: rate(ours, count), floor=lambda count: rate(floor, count))


def _lowest(name: str, lab: Lab, *, ours: Rate, floor: Rate) -> Figure:
    """Return the figure of the number of connections with the lowest ratio; `extra` has the ratio of each."""
    figures = {
        count: figure(
            name, measure_pairs(lab.guard, lab.rounds, ours=partial(ours, count), floor=partial(floor, count))
        )
        for count in CONNECTIONS
    }
    lowest = min(figures.values(), key=lambda each: each.ratio)
    ratios = {f"ratio_c{count}": each.ratio for count, each in figures.items()}
    return replace(lowest, extra=ratios)


@contextmanager
def started(lab: Lab, environment: dict[str, str]) -> Iterator[Server]:
    """Start our server; yield it after a correct reply to an event."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, str(lab.payment.path), cache, {**launches.BATCHING, **environment})
        with running(launch, cpu=lab.server_cpu) as server:
            wait_for_first_answer(server, lab.payment)
            check_answers(server, lab.payment)
            check_event(server, lab)
            yield server


def check_event(server: Server, lab: Lab) -> None:
    """Send one event. Raises CannotMeasure if its reply has other outputs than the predict API."""
    body, names = lab.payment.body(0), ("specversion", "id", "source", "type")
    head = {f"ce-{name}": value for name, value in zip(names, ("1.0", "check", "/benchmark", "check"), strict=True)}
    replies = [
        send_request(server, "POST", path, body, headers={"content-type": "application/json", **more})
        for path, more in (("/", head), (server.launch.path, {}))
    ]
    if any(each.status != HTTPStatus.OK for each in replies) or "ce-id" not in replies[0].headers:
        raise CannotMeasure(f"an event was answered with {replies[0].status} {replies[0].text[:200]!r}")
    event, predicted = (json.loads(each.text)["outputs"] for each in replies)
    if event != predicted:
        raise CannotMeasure(f"an event was answered with {event}; the predict API answered {predicted}")


def event_rate(server: Server, lab: Lab, connections: int) -> float:
    """Return the events per second of a server."""
    data = lab.payment.body(0)
    wrk_events(server, data, connections=connections, seconds=WARM_SECONDS, cpu=lab.load_cpu)
    return wrk_events(server, data, connections=connections, seconds=lab.seconds, cpu=lab.load_cpu).rate


def _predict(server: Server, lab: Lab) -> Rate:
    def rate(connections: int) -> float:
        body = lab.payment.body(0)
        wrk_like_events(server, body, connections=connections, seconds=WARM_SECONDS, cpu=lab.load_cpu)
        return wrk_like_events(server, body, connections=connections, seconds=lab.seconds, cpu=lab.load_cpu).rate

    return rate
