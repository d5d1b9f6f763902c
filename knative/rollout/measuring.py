"""Sums of the answers of pods, from their metrics. The only importer of prometheus_client in knative/.

The counters of a pod start at zero, autoscaling adds and removes pods, and a restarted container counts from zero.
So a tally adds up the increase of each pod since the tally began, and all answers of a pod that was created later. Two
kinds of answers are not counted: those between the last scrape of a pod and its end, and those of queue-proxy and the
activator on its behalf. Such errors (502 and 503 while a container is down) appear as crashes only.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from knative.rollout.judgement import Sample

_FAMILY: Final = "scalezero_request_seconds"
_MANAGEMENT: Final = (
    "torchserve_management"  # a protocol; a registration takes seconds and says nothing about a version
)
_NONE, _CLIENT = "none", "client"  # values of the label `fault`, as in runtime/status.py; all others are errors


class Scrape(NamedTuple):
    """The metrics of one pod at one moment."""

    pod: str
    restarts: int  # of its containers, without queue-proxy
    sample: Sample | None  # since its container started; None: it did not answer


class Tally(NamedTuple):
    """The answers of pods since the tally began."""

    last: Mapping[str, Scrape]  # the last scrape of each pod
    total: Sample = Sample()


def parse(text: str) -> Sample:
    """Parse the inferences from a pod's /metrics, summed over all protocols. Raises `ValueError` for other text."""
    from prometheus_client.parser import text_string_to_metric_families

    counts: dict[str, int] = {}
    cumulative: dict[float, int] = {}
    samples = (each for family in text_string_to_metric_families(text) for each in family.samples)
    for sample in samples:
        if sample.labels.get("protocol") == _MANAGEMENT:
            continue
        if sample.name == f"{_FAMILY}_count":
            fault = _fault(sample.labels)
            counts[fault] = counts.get(fault, 0) + int(sample.value)
        elif sample.name == f"{_FAMILY}_bucket" and _fault(sample.labels) == _NONE:
            end = float(sample.labels["le"])
            cumulative[end] = cumulative.get(end, 0) + int(sample.value)
    errors = sum(count for fault, count in counts.items() if fault not in {_NONE, _CLIENT})
    return Sample(sum(counts.values()), errors, _buckets(cumulative))


def _fault(labels: Mapping[str, str]) -> str:
    """Return the label `fault`. Pods of version 0.1 have the HTTP status as `code` instead."""
    fault = labels.get("fault")
    if fault is not None:
        return fault
    status = int(labels["code"])
    if status < HTTPStatus.BAD_REQUEST:
        return _NONE
    is_clients = status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS
    return _CLIENT if is_clients else "server"


def begin_tally(scrapes: Iterable[Scrape]) -> Tally:
    """Start a tally. Earlier answers do not count."""
    return Tally({each.pod: each for each in scrapes})


def add_scrapes(tally: Tally, scrapes: Iterable[Scrape]) -> Tally:
    """Add another scrape of the pods."""
    last, total = dict(tally.last), tally.total
    for scrape in scrapes:
        before = last.get(scrape.pod)
        total = total.plus(_increase(before, scrape))
        last[scrape.pod] = scrape._replace(sample=_next(before, scrape))
    return Tally(last, total)


def _next(before: Scrape | None, scrape: Scrape) -> Sample | None:
    """Return the sample to compare the next scrape of the pod with."""
    if scrape.sample is not None:
        return scrape.sample
    if before is None or scrape.restarts > before.restarts:
        return Sample()  # the next scrape counts in full
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
    if now.requests < before.requests:  # it restarted between two scrapes of its restart count
        return now
    was = dict(before.seconds)
    seconds = tuple((end, max(0, count - was.get(end, 0))) for end, count in now.seconds)
    return Sample(now.requests - before.requests, max(0, now.errors - before.errors), seconds)


def _buckets(cumulative: Mapping[float, int]) -> tuple[tuple[float, int], ...]:
    """Convert cumulative counts to the count of each bucket."""
    ends = sorted(cumulative)
    below = [0, *(cumulative[end] for end in ends)]
    return tuple((end, cumulative[end] - less) for end, less in zip(ends, below, strict=False))
