"""The metrics of the runtime are parsed, and their increases are added over pods that start, end and restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.rollout.judgement import NOTHING, Sample
from knative.rollout.measuring import Scrape, add_scrapes, begin_tally, parse
from runtime.telemetry import prometheus
from runtime.telemetry.measurements import ModelMeasurements


def exposition(*answers: tuple[str, str, float]) -> str:
    measurements = ModelMeasurements("m", "1.0.0")
    for protocol, code, seconds in answers:
        measurements.record_request(protocol, code, seconds)
    return prometheus.exposition([measurements], revision="m-v1").decode()


def test_the_metrics_of_the_runtime_are_parsed() -> None:
    sample = parse(exposition(("predict", "ok", 0.002), ("predict", "ok", 0.3), ("function", "ok", 0.002)))
    assert (sample.requests, sample.errors) == (3, 0)
    assert dict(sample.seconds)[0.0025] == 2
    assert dict(sample.seconds)[0.5] == 1
    assert sum(count for _, count in sample.seconds) == 3


def test_requests_that_manage_models_are_not_judged() -> None:
    management = [("torchserve_management", "ok", 20.0), ("torchserve_management", "internal", 20.0)]
    assert parse(exposition(("predict", "ok", 0.002), *management)) == parse(exposition(("predict", "ok", 0.002)))


@pytest.mark.parametrize(
    ("code", "is_error"),
    [
        ("ok", False),
        ("invalid_input", False),
        ("client_left", False),
        ("http_404", False),
        ("queue_full", True),
        ("internal", True),
        ("deadline_exceeded", True),
        ("http_503", True),
    ],
)
def test_a_client_error_is_neither_an_error_nor_a_latency(code: str, *, is_error: bool) -> None:
    sample = parse(exposition(("predict", code, 0.002)))
    assert (sample.requests, sample.errors) == (1, int(is_error))
    assert sum(count for _, count in sample.seconds) == (code == "ok")


@pytest.mark.parametrize(
    ("status", "is_error"),
    [(200, False), (301, False), (400, False), (404, False), (429, True), (500, True), (504, True)],
)
def test_metrics_with_statuses_instead_of_error_codes_are_parsed(status: int, *, is_error: bool) -> None:
    labels = f'code="{status}",protocol="predict"'
    name = "scalezero_request_seconds"
    sample = parse(
        f"# TYPE {name} histogram\n"
        f'{name}_bucket{{{labels},le="0.5"}} 1\n{name}_bucket{{{labels},le="+Inf"}} 1\n'
        f"{name}_count{{{labels}}} 1\n{name}_sum{{{labels}}} 0.2\n"
    )
    assert (sample.requests, sample.errors) == (1, int(is_error))
    assert dict(sample.seconds).get(0.5, 0) == (status < 400)


def test_metrics_of_a_pod_without_requests_are_an_empty_sample() -> None:
    assert parse(exposition()) == NOTHING


@pytest.mark.parametrize("text", ["<html>", 'scalezero_request_seconds_count{code="x"} 1', 'a{b="c" 1'])
def test_invalid_metrics_are_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def scraped(pod: str, requests: int, *, restarts: int = 0, errors: int = 0) -> Scrape:
    return Scrape(pod, restarts, Sample(requests, errors, ((0.1, requests - errors), (float("inf"), 0))))


def unreachable(pod: str, *, restarts: int = 0) -> Scrape:
    return Scrape(pod, restarts, None)


@pytest.mark.parametrize(
    ("first", "scrapes", "total"),
    [
        pytest.param([scraped("a", 10)], [[scraped("a", 10)]], (0, 0, 0), id="no new requests"),
        pytest.param(
            [scraped("a", 10)],
            [[scraped("a", 15)], [scraped("a", 18)]],
            (8, 0, 0),
            id="requests before the first scrape do not count",
        ),
        pytest.param(
            [scraped("a", 10)], [[scraped("a", 10), scraped("b", 3)]], (3, 0, 0), id="all requests of a new pod count"
        ),
        pytest.param([scraped("a", 10)], [[scraped("a", 12)], []], (2, 0, 0), id="requests of a deleted pod count"),
        pytest.param(
            [scraped("a", 10)],
            [[scraped("a", 12)], [], [scraped("a", 13)]],
            (3, 0, 0),
            id="a pod is missing from one list",
        ),
        pytest.param(
            [scraped("a", 10)],
            [[unreachable("a")], [scraped("a", 12)]],
            (2, 0, 0),
            id="a pod does not answer one scrape",
        ),
        pytest.param(
            [unreachable("a")],
            [[scraped("a", 10)], [scraped("a", 12)]],
            (2, 0, 0),
            id="the count at the start is unknown",
        ),
        pytest.param(
            [], [[unreachable("a")], [scraped("a", 10)]], (10, 0, 0), id="a new pod does not answer its first scrape"
        ),
        pytest.param([scraped("a", 10)], [[scraped("a", 4, restarts=1)]], (4, 0, 1), id="a container restarted"),
        pytest.param(
            [scraped("a", 10)],
            [[unreachable("a", restarts=1)], [scraped("a", 4, restarts=1)]],
            (4, 0, 1),
            id="a container restarted and did not answer at first",
        ),
        pytest.param(
            [scraped("a", 10)],
            [[scraped("a", 30, restarts=2)]],
            (30, 0, 2),
            id="a container restarted twice and has a higher count",
        ),
        pytest.param([], [[scraped("a", 1, restarts=3)]], (1, 0, 3), id="a new pod that keeps crashing"),
        pytest.param(
            [scraped("a", 10, restarts=5)],
            [[scraped("a", 11, restarts=5)]],
            (1, 0, 0),
            id="crashes before the first scrape do not count",
        ),
        pytest.param([scraped("a", 10)], [[scraped("a", 4)]], (4, 0, 0), id="a lower count means an unnoticed restart"),
        pytest.param(
            [scraped("a", 10, errors=5)],
            [[scraped("a", 20, errors=8)]],
            (10, 3, 0),
            id="the increase of the errors counts",
        ),
    ],
)
def test_increases_are_added(first: list[Scrape], scrapes: list[list[Scrape]], total: tuple[int, int, int]) -> None:
    tally = begin_tally(first)
    for each in scrapes:
        tally = add_scrapes(tally, each)
    assert (tally.total.requests, tally.total.errors, tally.total.crashes) == total
    assert sum(count for _, count in tally.total.seconds) == total[0] - total[1]


@given(counts=st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_number_of_scrapes_does_not_change_the_total(counts: list[list[int]]) -> None:
    """For pods that keep running, the total is the number of requests between the first and the last scrape."""
    totals = [[sum(row[pod] for row in counts[: index + 1]) for pod in range(3)] for index in range(len(counts))]
    tally = begin_tally(scraped(str(pod), 0) for pod in range(3))
    for row in totals:
        tally = add_scrapes(tally, [scraped(str(pod), requests) for pod, requests in enumerate(row)])
    assert tally.total.requests == sum(totals[-1])
