"""Runs are shared only in the states proven and forced."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.batching.independence import (
    Evidence,
    Independence,
    Outcome,
    SharingStatus,
    State,
    Verdict,
    initial_status,
)
from runtime.variants.pinned import PinnedRows

PASSED = Verdict(Outcome.PASSED, "4 rows had the same outputs")
FAILED = Verdict(Outcome.FAILED, "neighbours change a row")
COULD_NOT = Verdict(Outcome.COULD_NOT_RUN, "refused")
ALIKE = Verdict(Outcome.TOO_SIMILAR, "alike")
ROWLESS, DOUBT = Evidence(no_batch_axis="no rows"), Evidence(dependent_rows="an operator")


def unproven() -> Independence:
    return Independence(SharingStatus(State.UNPROVEN, ""))


@pytest.mark.parametrize(
    ("mode", "evidence", "batch_size", "state"),
    [
        ("auto", Evidence(), 32, State.UNPROVEN),
        ("auto", DOUBT, 32, State.REFUTED),
        ("auto", ROWLESS, 32, State.REFUTED),
        ("auto", Evidence(), 1, State.OFF),
        ("always", Evidence(), 1, State.OFF),
        ("always", DOUBT, 32, State.FORCED),
        ("always", ROWLESS, 32, State.REFUTED),
        ("never", Evidence(), 32, State.OFF),
    ],
)
def test_the_status_before_the_first_request(mode: str, evidence: Evidence, batch_size: int, state: State) -> None:
    status = initial_status(mode, evidence, batch_size=batch_size)
    assert status.state is state
    assert status.reason


@pytest.mark.parametrize(
    ("mode", "evidence", "published", "state", "decides"),
    [
        ("auto", Evidence(), "proven", State.PROVEN, True),
        ("auto", Evidence(), "refuted", State.REFUTED, True),
        ("auto", Evidence(), "not_provable", State.UNPROVEN, False),
        ("auto", DOUBT, "proven", State.PROVEN, True),
        ("auto", ROWLESS, "proven", State.REFUTED, False),
        ("always", Evidence(), "refuted", State.FORCED, False),
        ("never", Evidence(), "proven", State.OFF, False),
    ],
)
def test_the_proof_of_the_publisher_decides_unless_a_setting_or_the_signature_does(
    mode: str,
    evidence: Evidence,
    published: Literal["proven", "refuted", "not_provable"],
    state: State,
    decides: bool,  # noqa: FBT001 - a parameter
) -> None:
    status = initial_status(mode, evidence, PinnedRows(published, "8 rows"), batch_size=32)
    assert status.state is state
    assert (status.reason == "when it was published: 8 rows") is decides


def test_a_run_refutes_the_proof_of_the_publisher() -> None:
    model = Independence(initial_status("auto", Evidence(), PinnedRows("proven", "8 rows"), batch_size=32))
    assert model.shares
    model.refute("3 rows for 4")
    assert model.status == SharingStatus(State.REFUTED, "3 rows for 4")
    assert not model.shares


@pytest.mark.parametrize(("verdict", "state"), [(PASSED, State.PROVEN), (FAILED, State.REFUTED)])
def test_a_verdict_is_final(verdict: Verdict, state: State) -> None:
    model = unproven()
    assert model.wants_rows(0.0)
    model.begin()
    assert not model.wants_rows(0.0)
    model.judge(verdict, 0.0)
    assert model.status == SharingStatus(state, verdict.reason)
    assert model.shares is (state is State.PROVEN)
    assert not model.wants_rows(1e9)


def test_a_proof_that_could_not_run_is_retried_a_few_times() -> None:
    model, now = unproven(), 0.0
    for _ in range(3):
        model.judge(COULD_NOT, now)
        assert model.status.state is State.UNPROVEN
        assert not model.wants_rows(now)
        now += 10.0
        assert model.wants_rows(now)
    model.judge(COULD_NOT, now)
    assert model.status == SharingStatus(State.NOT_PROVABLE, "refused (4 attempts)")
    assert not model.shares


def test_a_proof_with_rows_that_do_not_differ_is_retried_without_a_limit() -> None:
    model = unproven()
    for now in range(0, 100, 2):
        assert model.wants_rows(now)
        model.judge(ALIKE, now)
        assert not model.wants_rows(now + 0.5)


@pytest.mark.parametrize("state", [State.PROVEN, State.FORCED])
def test_a_run_with_a_different_number_of_rows_ends_sharing_permanently(state: State) -> None:
    model = Independence(SharingStatus(state, ""))
    assert model.shares
    model.refute("3 rows for 2 rows of input")
    model.judge(PASSED, 0.0)
    assert model.status == SharingStatus(State.REFUTED, "3 rows for 2 rows of input")


@given(
    first=st.sampled_from(State),
    verdicts=st.lists(st.sampled_from([PASSED, FAILED, COULD_NOT, ALIKE]), max_size=8),
)
def test_only_a_proof_or_a_setting_enables_shared_runs(first: State, verdicts: list[Verdict]) -> None:
    model = Independence(SharingStatus(first, ""))
    for now, verdict in enumerate(verdicts):
        model.judge(verdict, now)
    assert model.shares is (model.status.state in {State.PROVEN, State.FORCED})
    if model.status.state is State.PROVEN:
        assert first is State.PROVEN or PASSED in verdicts
    if first is not State.UNPROVEN:
        assert model.status.state is first
