"""Measurements: phases add up to their time span, and histograms count what was recorded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.telemetry.histogram import Histogram
from runtime.telemetry.measurements import ColdStart, ModelMeasurements, RunStats

steps = st.floats(0, 5)


@st.composite
def cold_starts(draw: st.DrawFn) -> ColdStart:
    """A cold start whose load began with the process (prefetch), or some time after the imports (lazy)."""
    started = draw(st.floats(0, 1000))
    imported = started + draw(steps)
    lazy = draw(st.booleans())
    begun = imported + draw(steps) if lazy else started
    pulled = begun + draw(steps)
    verified = pulled + draw(steps)
    opened = max(imported, verified) + draw(steps)
    return ColdStart(
        process_started=started,
        imported=imported,
        begun=begun,
        pulled=pulled,
        verified=verified,
        opened=opened,
        ready=opened + draw(steps),
        pull_seconds=pulled - begun,
    )


@given(start=cold_starts())
def test_phases_add_up_to_the_time_until_ready(start: ColdStart) -> None:
    phases = start.phases(0.0)
    assert list(phases) == ["import", "idle", "pull", "verify", "session", "warmup"]
    assert min(phases.values()) >= 0
    assert sum(phases.values()) == pytest.approx(start.ready - start.process_started, abs=1e-6)


@given(start=cold_starts(), later=st.floats(0, 20))
def test_phases_since_a_time_add_up_to_the_rest_until_ready(start: ColdStart, later: float) -> None:
    since = start.process_started + later
    assert sum(start.phases(since).values()) == pytest.approx(max(0.0, start.ready - since), abs=1e-6)


def can_accept(start: ColdStart) -> float:
    """Return when the process could accept a request: with prefetch, only when its model was ready."""
    return max(start.imported, start.ready) if start.begun < start.imported else start.imported


@given(start=cold_starts(), later=st.floats(0, 0.09))
def test_a_request_queued_until_the_process_could_accept_it_waited_since_the_process_started(
    start: ColdStart, later: float
) -> None:
    arrived = can_accept(start) + later
    waited = max(arrived, start.ready) - start.process_started
    assert sum(start.request_phases(arrived).values()) == pytest.approx(waited, abs=1e-6)


@given(start=cold_starts(), later=st.floats(0.11, 20))
def test_a_later_request_waited_since_its_arrival(start: ColdStart, later: float) -> None:
    arrived = can_accept(start) + later
    assert sum(start.request_phases(arrived).values()) == pytest.approx(max(0.0, start.ready - arrived), abs=1e-6)


def test_a_request_to_a_lazy_model_waits_only_for_the_load() -> None:
    start = ColdStart(
        process_started=0.0,
        imported=0.5,
        begun=10.0,
        pulled=10.2,
        verified=10.3,
        opened=10.4,
        ready=10.5,
        pull_seconds=0.2,
    )
    assert sum(start.request_phases(10.0).values()) == pytest.approx(0.5)
    assert start.request_phases(10.0)["pull"] == pytest.approx(0.2)


def counts(histogram: Histogram) -> int:
    return histogram.cumulative()[-1][1]


@given(answers=st.lists(st.tuples(st.sampled_from(["ok", "invalid_input"]), st.floats(0, 50)), max_size=40))
def test_every_answer_is_counted_once_by_its_code(answers: list[tuple[str, float]]) -> None:
    measured = ModelMeasurements("m", "1")
    for code, seconds in answers:
        measured.record_request("predict", code, seconds)
    measured.count()
    measured.count()
    for code in ("ok", "invalid_input"):
        expected = [seconds for each, seconds in answers if each == code]
        histogram = measured.requests.get(("predict", code))
        assert (counts(histogram) if histogram else 0) == len(expected)
        assert math.isclose(histogram.total if histogram else 0.0, sum(expected), abs_tol=1e-9)


def test_runs_are_counted_by_request_and_by_run() -> None:
    measured = ModelMeasurements("m", "1")
    measured.record_run(RunStats(rows=5, queued=[0.1, 0.2, 0.3], batched=0.01, ran=0.5))
    measured.record_run(RunStats(rows=1, queued=[0.0], batched=0.0, ran=0.25))
    measured.count()
    assert (counts(measured.queue), counts(measured.batch), counts(measured.run)) == (4, 2, 2)
    assert measured.queue.total == pytest.approx(0.6)
    assert measured.run.total == pytest.approx(0.75)
    assert measured.batch_rows.total == 6


def test_the_number_of_uncounted_requests_and_runs_is_bounded() -> None:
    measured = ModelMeasurements("m", "1")
    for _ in range(5000):
        measured.record_request("predict", "ok", 0.001)
        measured.record_run(RunStats(rows=1, queued=[0.0], batched=0.0, ran=0.001))
    assert len(measured._answers) < 1000
    assert len(measured._runs) < 1000
    assert counts(measured.run) > 4000
