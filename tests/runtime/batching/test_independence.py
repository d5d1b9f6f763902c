"""Runs are shared where that is proven or forced, and in no other state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.batching.independence import (
    Evidence,
    Independence,
    Outcome,
    Standing,
    State,
    Verdict,
    first_standing,
)

PASSED = Verdict(Outcome.PASSED, "4 rows gave the same")
FAILED = Verdict(Outcome.FAILED, "neighbours change a row")
COULD_NOT = Verdict(Outcome.COULD_NOT_RUN, "refused")
ALIKE = Verdict(Outcome.TOO_ALIKE, "alike")
ROWLESS, DOUBT = Evidence(rowless="no rows"), Evidence(doubt="an operator")


def unproven() -> Independence:
    return Independence(Standing(State.UNPROVEN, ""))


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
def test_what_holds_before_the_first_request(mode: str, evidence: Evidence, batch_size: int, state: State) -> None:
    standing = first_standing(mode, evidence, batch_size=batch_size)
    assert standing.state is state
    assert standing.reason


@pytest.mark.parametrize(("verdict", "state"), [(PASSED, State.PROVEN), (FAILED, State.REFUTED)])
def test_a_verdict_decides_once_and_for_all(verdict: Verdict, state: State) -> None:
    model = unproven()
    assert model.wants_rows(0.0)
    model.begin()
    assert not model.wants_rows(0.0)
    model.judge(verdict, 0.0)
    assert model.standing == Standing(state, verdict.reason)
    assert model.shares is (state is State.PROVEN)
    assert not model.wants_rows(1e9)


def test_a_proof_that_could_not_run_proves_nothing_and_is_tried_again_a_few_times() -> None:
    model, now = unproven(), 0.0
    for _ in range(3):
        model.judge(COULD_NOT, now)
        assert model.standing.state is State.UNPROVEN
        assert not model.wants_rows(now)
        now += 10.0
        assert model.wants_rows(now)
    model.judge(COULD_NOT, now)
    assert model.standing == Standing(State.NOT_PROVABLE, "refused (4 attempts)")
    assert not model.shares


def test_rows_that_do_not_differ_are_looked_at_again_later_however_often() -> None:
    model = unproven()
    for now in range(0, 100, 2):
        assert model.wants_rows(now)
        model.judge(ALIKE, now)
        assert not model.wants_rows(now + 0.5)


@pytest.mark.parametrize("state", [State.PROVEN, State.FORCED])
def test_a_run_with_another_number_of_rows_ends_sharing_for_good(state: State) -> None:
    model = Independence(Standing(state, ""))
    assert model.shares
    model.refute("2 rows went in, 3 came back")
    model.judge(PASSED, 0.0)
    assert model.standing == Standing(State.REFUTED, "2 rows went in, 3 came back")


@given(
    first=st.sampled_from(State),
    verdicts=st.lists(st.sampled_from([PASSED, FAILED, COULD_NOT, ALIKE]), max_size=8),
)
def test_only_a_proof_or_the_user_makes_runs_shared(first: State, verdicts: list[Verdict]) -> None:
    model = Independence(Standing(first, ""))
    for now, verdict in enumerate(verdicts):
        model.judge(verdict, now)
    assert model.shares is (model.standing.state in {State.PROVEN, State.FORCED})
    if model.standing.state is State.PROVEN:
        assert first is State.PROVEN or PASSED in verdicts
    if first is not State.UNPROVEN:
        assert model.standing.state is first
