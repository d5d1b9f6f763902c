"""What our server has counted itself, from /metrics."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from scripts.benchmarks.client import ask
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.servers import Server

COUNTED: Final = "scalezero_request_seconds_count"
OK: Final = "ok"


def failures(server: Server) -> Mapping[str, float]:
    """How many requests have failed so far, by protocol and code. Raises CannotMeasure where none was counted."""
    reply = ask(server, "GET", "/metrics")
    found = parse(reply.text.decode())
    if reply.status != HTTPStatus.OK or not found:
        raise CannotMeasure(f"/metrics answered {reply.status} without {COUNTED}; expected the requests so far")
    return {f"{protocol} {code}": count for (protocol, code), count in found.items() if code != OK}


def parse(text: str) -> dict[tuple[str, str], float]:
    """The number of requests by protocol and code."""
    from prometheus_client.parser import text_string_to_metric_families

    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(each.labels["protocol"], each.labels["code"]): each.value for each in samples if each.name == COUNTED}
