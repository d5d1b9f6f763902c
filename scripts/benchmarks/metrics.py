"""Reads the request counters of our server from /metrics."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from scripts.benchmarks.client import send_request
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.servers import Server

COUNTED: Final = "scalezero_request_seconds_count"
OK: Final = "ok"


def failures(server: Server) -> Mapping[str, float]:
    """Return the number of failed requests, by protocol and code. Raises CannotMeasure if no request was counted."""
    reply = send_request(server, "GET", "/metrics")
    found = parse(reply.text.decode())
    if reply.status != HTTPStatus.OK or not found:
        raise CannotMeasure(f"/metrics answered {reply.status} without {COUNTED}; expected this counter and status 200")
    return {f"{protocol} {code}": count for (protocol, code), count in found.items() if code != OK}


def answered(server: Server) -> float:
    """Return the number of answered requests."""
    reply = send_request(server, "GET", "/metrics")
    return sum(count for (_, code), count in parse(reply.text.decode()).items() if code == OK)


def parse(text: str) -> dict[tuple[str, str], float]:
    """Parse the number of requests, by protocol and code."""
    from prometheus_client.parser import text_string_to_metric_families

    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(each.labels["protocol"], each.labels["code"]): each.value for each in samples if each.name == COUNTED}
