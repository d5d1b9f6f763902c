"""What pods have answered, from their own metrics: the only importer of prometheus_client on this side.

A pod counts from its start, pods come and go by autoscaling, and a container that starts again counts from nothing. So
what is added up is each pod's increase since the tally began; of a pod that came since, all of it. What a pod answered
between the last look and its end is lost, and so is what queue-proxy and the activator answered in its place: these
refusals (502, 503 while a container is down) show as crashes only.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from knative.rollout.judgement import Sample

_FAMILY: Final = "scalezero_request_seconds"
_NONE, _CLIENT = "none", "client"  # faults, as runtime/status.py has them; all others count against a revision


class Scrape(NamedTuple):
    """One look at one pod."""

    pod: str
    restarts: int  # of its containers, queue-proxy aside
    sample: Sample | None  # since its container started; none: it did not answer


class Tally(NamedTuple):
    """What pods have answered since the tally began."""

    known: Mapping[str, Scrape]
    total: Sample = Sample()


def parse(text: str) -> Sample:
    """Add up what a pod's /metrics say of its requests, over all protocols. Raises `ValueError` for other text."""
    from prometheus_client.parser import text_string_to_metric_families

    counts: dict[str, int] = {}
    cumulative: dict[float, int] = {}
    samples = (each for family in text_string_to_metric_families(text) for each in family.samples)
    for sample in samples:
        if sample.name == f"{_FAMILY}_count":
            fault = _fault(sample.labels)
            counts[fault] = counts.get(fault, 0) + int(sample.value)
        elif sample.name == f"{_FAMILY}_bucket" and _fault(sample.labels) == _NONE:
            end = float(sample.labels["le"])
            cumulative[end] = cumulative.get(end, 0) + int(sample.value)
    errors = sum(count for fault, count in counts.items() if fault not in {_NONE, _CLIENT})
    return Sample(sum(counts.values()), errors, _buckets(cumulative))


def _fault(labels: Mapping[str, str]) -> str:
    """Read whose fault the requests were; pods of 0.1 tell the HTTP status as `code` and no fault."""
    fault = labels.get("fault")
    if fault is not None:
        return fault
    status = int(labels["code"])
    if status < HTTPStatus.BAD_REQUEST:
        return _NONE
    is_clients = status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS
    return _CLIENT if is_clients else "server"


def started(scrapes: Iterable[Scrape]) -> Tally:
    """Begin a tally: nothing that was before counts."""
    return Tally({each.pod: each for each in scrapes})


def advanced(tally: Tally, scrapes: Iterable[Scrape]) -> Tally:
    """Take in another look at the pods."""
    known, total = dict(tally.known), tally.total
    for scrape in scrapes:
        before = known.get(scrape.pod)
        total = total.plus(_increase(before, scrape))
        known[scrape.pod] = scrape._replace(sample=_next(before, scrape))
    return Tally(known, total)


def _next(before: Scrape | None, scrape: Scrape) -> Sample | None:
    """Say what the next look at the pod is to be compared with."""
    if scrape.sample is not None:
        return scrape.sample
    if before is None or scrape.restarts > before.restarts:
        return Sample()  # all that it will have answered has come since
    return before.sample


def _increase(before: Scrape | None, scrape: Scrape) -> Sample:
    now = scrape.sample or Sample()
    if before is None:
        return now._replace(crashes=scrape.restarts)
    if scrape.restarts > before.restarts:
        return now._replace(crashes=scrape.restarts - before.restarts)
    if scrape.sample is None or before.sample is None:
        return Sample()
    return _difference(now, before.sample)


def _difference(now: Sample, before: Sample) -> Sample:
    if now.requests < before.requests:  # started again, unseen
        return now
    was = dict(before.seconds)
    seconds = tuple((end, max(0, count - was.get(end, 0))) for end, count in now.seconds)
    return Sample(now.requests - before.requests, max(0, now.errors - before.errors), seconds)


def _buckets(cumulative: Mapping[float, int]) -> tuple[tuple[float, int], ...]:
    """Take each bucket's own count out of the counts up to its end."""
    ends = sorted(cumulative)
    below = [0, *(cumulative[end] for end in ends)]
    return tuple((end, cumulative[end] - less) for end, less in zip(ends, below, strict=False))
