"""What the runtime tells of itself is read as it was meant, and added up over pods that come, go and start again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.rollout.judgement import NOTHING, Sample
from knative.rollout.measuring import Scrape, add_scrapes, begin_tally, parse
from runtime.telemetry import prometheus
from runtime.telemetry.measurements import ModelMeasurements


def exposed(*answers: tuple[str, str, float]) -> str:
    measurements = ModelMeasurements("m", "1.0.0")
    for protocol, code, seconds in answers:
        measurements.answered(protocol, code, seconds)
    return prometheus.exposition([measurements], revision="m-v1").decode()


def test_the_runtimes_own_exposition_is_read() -> None:
    sample = parse(exposed(("predict", "ok", 0.002), ("predict", "ok", 0.3), ("function", "ok", 0.002)))
    assert (sample.requests, sample.errors) == (3, 0)
    assert dict(sample.seconds)[0.0025] == 2
    assert dict(sample.seconds)[0.5] == 1
    assert sum(count for _, count in sample.seconds) == 3


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
def test_a_clients_fault_is_no_error_and_no_answer_to_time(code: str, *, is_error: bool) -> None:
    sample = parse(exposed(("predict", code, 0.002)))
    assert (sample.requests, sample.errors) == (1, int(is_error))
    assert sum(count for _, count in sample.seconds) == (code == "ok")


@pytest.mark.parametrize(
    ("status", "is_error"),
    [(200, False), (301, False), (400, False), (404, False), (429, True), (500, True), (504, True)],
)
def test_pods_that_tell_statuses_and_no_fault_are_read_as_well(status: int, *, is_error: bool) -> None:
    labels = f'code="{status}",protocol="predict"'
    name = "scalezero_request_seconds"
    sample = parse(
        f"# TYPE {name} histogram\n"
        f'{name}_bucket{{{labels},le="0.5"}} 1\n{name}_bucket{{{labels},le="+Inf"}} 1\n'
        f"{name}_count{{{labels}}} 1\n{name}_sum{{{labels}}} 0.2\n"
    )
    assert (sample.requests, sample.errors) == (1, int(is_error))
    assert dict(sample.seconds).get(0.5, 0) == (status < 400)


def test_a_pod_that_nobody_has_asked_yet_has_nothing() -> None:
    assert parse(exposed()) == NOTHING


@pytest.mark.parametrize("text", ["<html>", 'scalezero_request_seconds_count{code="x"} 1', 'a{b="c" 1'])
def test_what_are_no_metrics_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def seen(pod: str, requests: int, *, restarts: int = 0, errors: int = 0) -> Scrape:
    return Scrape(pod, restarts, Sample(requests, errors, ((0.1, requests - errors), (float("inf"), 0))))


def deaf(pod: str, *, restarts: int = 0) -> Scrape:
    return Scrape(pod, restarts, None)


@pytest.mark.parametrize(
    ("first", "looks", "total"),
    [
        pytest.param([seen("a", 10)], [[seen("a", 10)]], (0, 0, 0), id="nothing new"),
        pytest.param([seen("a", 10)], [[seen("a", 15)], [seen("a", 18)]], (8, 0, 0), id="what was before is left out"),
        pytest.param([seen("a", 10)], [[seen("a", 10), seen("b", 3)]], (3, 0, 0), id="of a pod that came, all"),
        pytest.param([seen("a", 10)], [[seen("a", 12)], []], (2, 0, 0), id="what a pod that went had answered"),
        pytest.param(
            [seen("a", 10)], [[seen("a", 12)], [], [seen("a", 13)]], (3, 0, 0), id="a pod that was not listed once"
        ),
        pytest.param([seen("a", 10)], [[deaf("a")], [seen("a", 12)]], (2, 0, 0), id="a pod that did not answer once"),
        pytest.param(
            [deaf("a")], [[seen("a", 10)], [seen("a", 12)]], (2, 0, 0), id="what it had at the start is unknown"
        ),
        pytest.param([], [[deaf("a")], [seen("a", 10)]], (10, 0, 0), id="a new pod that did not answer at first"),
        pytest.param([seen("a", 10)], [[seen("a", 4, restarts=1)]], (4, 0, 1), id="a container that started again"),
        pytest.param(
            [seen("a", 10)],
            [[deaf("a", restarts=1)], [seen("a", 4, restarts=1)]],
            (4, 0, 1),
            id="and was down at first",
        ),
        pytest.param([seen("a", 10)], [[seen("a", 30, restarts=2)]], (30, 0, 2), id="twice, and is past the old count"),
        pytest.param([], [[seen("a", 1, restarts=3)]], (1, 0, 3), id="a new pod that keeps falling over"),
        pytest.param([seen("a", 10, restarts=5)], [[seen("a", 11, restarts=5)]], (1, 0, 0), id="crashes of before"),
        pytest.param([seen("a", 10)], [[seen("a", 4)]], (4, 0, 0), id="counts that fell: it started again, unseen"),
        pytest.param(
            [seen("a", 10, errors=5)], [[seen("a", 20, errors=8)]], (10, 3, 0), id="errors, as their increase"
        ),
    ],
)
def test_increases_are_added_up(first: list[Scrape], looks: list[list[Scrape]], total: tuple[int, int, int]) -> None:
    tally = begin_tally(first)
    for look in looks:
        tally = add_scrapes(tally, look)
    assert (tally.total.requests, tally.total.errors, tally.total.crashes) == total
    assert sum(count for _, count in tally.total.seconds) == total[0] - total[1]


@given(counts=st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=8))
def test_looking_more_often_changes_nothing(counts: list[list[int]]) -> None:
    """For pods that stay, the tally is what they have answered between the first look and the last."""
    running = [[sum(row[pod] for row in counts[: index + 1]) for pod in range(3)] for index in range(len(counts))]
    tally = begin_tally(seen(str(pod), 0) for pod in range(3))
    for row in running:
        tally = add_scrapes(tally, [seen(str(pod), requests) for pod, requests in enumerate(row)])
    assert tally.total.requests == sum(running[-1])
