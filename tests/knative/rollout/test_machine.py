"""Properties of a rollout, for any sequence of events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knative.rollout.judgement import NOTHING, Limits, Sample
from knative.rollout.machine import (
    Decision,
    Facts,
    Phase,
    State,
    StepVerdict,
    abort,
    begin,
    decide,
    resume,
    schedule,
    verdict,
)
from knative.rollout.record import parse, render
from knative.rollout.split import Share, Split, is_same, percent_of
from runtime.errors import BadSetting
from tests.knative.rollout.strategies import samples, splits, steps

LIMITS = Limits(interval=60, timeout=300)
STABLE = (Share("m-v1", 100),)
FINE, BROKEN = Sample(100, 0), Sample(100, 50)


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The state of the cluster at one observation, without the split."""

    after: float = 20.0  # s since the observation before
    settled: bool = True
    ready: bool | None = True
    pods: int = 1
    new: Sample = FINE
    old: Sample = FINE


GOOD = Observed()
observations = st.builds(
    Observed,
    after=st.floats(5, 120),
    settled=st.booleans(),
    ready=st.sampled_from([True, True, True, None, False]),
    pods=st.integers(0, 3),
    new=st.sampled_from([FINE, FINE, NOTHING, BROKEN]) | samples(),
    old=st.sampled_from([FINE, NOTHING]) | samples(),
)
sequences = st.lists(observations, max_size=30)
_ACTIVE: list[Phase] = ["warming", "settling", "watching"]


def decisions_of(state: State, observed: Callable[[int], Observed], *, now: float = 0.0) -> Iterator[Decision]:
    """Decide until the rollout ends, as run.py does, without other writers."""
    for turn in range(10_000):
        if state.phase in {"done", "rolled_back", "halted"}:
            return
        seen = observed(turn)
        now += seen.after
        facts = Facts(
            now=now,
            live=state.split,
            settled=seen.settled,
            ready=seen.ready,
            pods=seen.pods,
            new=seen.new,
            old=seen.old,
        )
        decision = decide(state, facts)
        yield decision
        state = decision.state
    pytest.fail("the rollout does not end")


def sequence_of(seen: list[Observed], after: Observed = GOOD) -> Callable[[int], Observed]:
    return lambda turn: seen[turn] if turn < len(seen) else after


def started(
    stable: Split = STABLE, target: str = "m-v2", ascending: tuple[int, ...] = (5, 25, 50, 100), limits: Limits = LIMITS
) -> State:
    return begin(target, stable=stable, steps=ascending, limits=limits, now=0.0)


def written(decisions: list[Decision]) -> list[Split]:
    return [each.state.split for each in decisions if each.verb == "shift"]


@settings(deadline=None)  # hundreds of decisions
@given(
    stable=splits(), ascending=steps, seen=sequences, last=st.sampled_from([GOOD, Observed(new=NOTHING)]) | observations
)
def test_every_rollout_ends(stable: Split, ascending: tuple[int, ...], seen: list[Observed], last: Observed) -> None:
    decisions = list(decisions_of(started(stable, "m-v2", ascending), sequence_of(seen, last)))
    assert not decisions or decisions[-1].verb in {"finish", "roll_back", "halt"}


@given(stable=splits(), ascending=steps, seen=sequences)
def test_each_shift_raises_the_share_and_the_end_is_the_last_step_or_the_split_before(
    stable: Split, ascending: tuple[int, ...], seen: list[Observed]
) -> None:
    state = started(stable, "m-v2", ascending)
    decisions = list(decisions_of(state, sequence_of(seen)))
    shares = [percent_of(each, "m-v2") for each in (stable, *written(decisions))]
    assert shares == sorted(set(shares))
    if decisions and decisions[-1].verb == "finish":
        assert shares[-1] == ascending[-1] or stable == (Share("m-v2", 100),)
    elif decisions:
        assert is_same(decisions[-1].state.split, stable)


@given(seen=sequences)
def test_a_shift_requires_a_ready_target_a_pod_and_an_applied_split(
    seen: list[Observed],
) -> None:
    observed = [*seen, *[GOOD] * 200]
    phase = "warming"
    for observation, decision in zip(observed, decisions_of(started(), sequence_of(seen)), strict=False):
        if decision.verb == "shift":
            assert observation.ready
            assert observation.pods
            assert phase != "settling"
        phase = decision.state.phase


@given(seen=sequences, killed=st.lists(st.integers(0, 40), max_size=5))
def test_a_killed_run_that_is_resumed_writes_the_same_splits(seen: list[Observed], killed: list[int]) -> None:
    """It continues from the last written state: the step is watched again, and no step is skipped or repeated."""
    patient = Limits(interval=60, timeout=1e9, min_requests=10**9)  # so that neither run times out
    quiet = [replace(each, ready=True, new=NOTHING) for each in seen]
    whole = list(decisions_of(started(limits=patient), sequence_of(quiet)))
    state, turn, now, resumed_decisions = started(limits=patient), 0, 0.0, []
    for kill in [*killed, 10_000]:
        kept = state
        for decision in decisions_of(state, sequence_of(quiet[turn:]), now=now):
            turn, now = turn + 1, now + 1
            resumed_decisions.append(decision)
            kept = decision.state if decision.is_written else kept
            if turn % 41 == kill:
                break
        if kept.is_over:
            break
        state = resume(parse(render(kept)), limits=patient, now=now)
    assert written(resumed_decisions) == written(whole)
    assert resumed_decisions[-1].verb == whole[-1].verb == "finish"


@given(seen=sequences)
def test_a_state_read_from_its_record_leads_to_the_same_decision(seen: list[Observed]) -> None:
    for decision in decisions_of(started(), sequence_of(seen)):
        state = decision.state
        if not state.is_over and state.phase != "halted":
            read = replace(parse(render(state)), limits=state.limits)
            facts = Facts(now=state.since + 61, live=state.split, settled=True, ready=True, pods=1, new=FINE, old=FINE)
            assert decide(replace(state, since=read.since), facts) == decide(read, facts)


def test_a_rollout_without_failures_takes_each_step_once_for_one_interval() -> None:
    decisions = list(decisions_of(started(), lambda _: GOOD))
    assert [dict(each) for each in written(decisions)] == [
        {"m-v1": 95, "m-v2": 5},
        {"m-v1": 75, "m-v2": 25},
        {"m-v1": 50, "m-v2": 50},
        {"m-v2": 100},
    ]
    assert decisions[-1].verb == "finish"
    assert decisions[-1].state.since == 20 + 4 * (20 + 60)


def test_a_rollout_without_requests_passes() -> None:
    assert list(decisions_of(started(), lambda _: Observed(new=NOTHING, old=NOTHING)))[-1].verb == "finish"


@pytest.mark.parametrize(("requests", "judged"), [(19, 0), (20, 4)])
def test_each_step_with_enough_requests_counts_as_judged_once(requests: int, judged: int) -> None:
    """Answers before the first shift do not count, and neither does each observation."""
    decisions = list(decisions_of(started(), lambda _: Observed(new=Sample(requests, 0), after=7)))
    assert decisions[-1].verb == "finish"
    assert decisions[-1].state.judged == judged


def test_a_verdict_is_about_the_completed_step() -> None:
    first = replace(started(), step=0, phase="watching")
    assert verdict(first, "shift", Sample(7, 0)) == StepVerdict(5, 7, 20)
    assert verdict(first, "roll_back", Sample(7, 0)) is None  # the reason says why
    assert verdict(started(), "shift", FINE) is None


def test_warming_precedes_the_first_shift_and_is_repeated_without_pods() -> None:
    cold = [Observed(pods=0), Observed(pods=0), GOOD, GOOD, Observed(after=61, pods=0), GOOD]
    verbs = [each.verb for each in decisions_of(started(), sequence_of(cold))]
    assert verbs[:6] == ["warm", "warm", "shift", "wait", "warm", "shift"]


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param([Observed(ready=False)], "m-v2 is not Ready: boom", id="not Ready"),
        pytest.param(
            [Observed(pods=0), Observed(pods=0, after=300)],
            "no pod of m-v2 became Ready within 300 s: boom",
            id="no pod",
        ),
        pytest.param(
            [GOOD, Observed(settled=False, after=300)],
            "the Route did not apply the split within 300 s: boom",
            id="no Route",
        ),
        pytest.param([GOOD, GOOD, Observed(new=BROKEN)], "m-v2: 50 of its 100 requests failed", id="errors"),
        pytest.param(
            [GOOD, GOOD, Observed(new=NOTHING._replace(crashes=2))], "m-v2: its containers restarted", id="crashes"
        ),
        pytest.param(
            [GOOD, GOOD, Observed(after=61, pods=0), Observed(new=BROKEN, pods=0)],
            "m-v2: 50 of",
            id="errors, while warming",
        ),
    ],
)
@pytest.mark.parametrize("halts", [False, True])
def test_a_failure_rolls_back_or_halts_with_its_reason(seen: list[Observed], reason: str, *, halts: bool) -> None:
    state = started(limits=replace(LIMITS, halt=halts))
    for observation in seen:
        now = state.since + observation.after
        facts = Facts(
            now=now,
            live=state.split,
            settled=observation.settled,
            ready=observation.ready,
            reason="boom",
            pods=observation.pods,
            new=observation.new,
        )
        before, decision = state, decide(state, facts)
        state = decision.state
    assert decision.verb == ("halt" if halts else "roll_back")
    assert decision.why.startswith(reason)
    assert state.reason == decision.why
    assert is_same(state.split, before.split if halts else STABLE)
    assert state.is_over != halts  # a halted rollout can continue


def test_an_unknown_condition_gives_no_reason() -> None:
    facts = Facts(now=300, live=STABLE, ready=None)
    assert decide(started(), facts).why == "no pod of m-v2 became Ready within 300 s"
    settling = replace(started(), step=0, phase="settling")
    facts = Facts(now=300, live=settling.split, ready=True)
    assert decide(settling, facts).why == "the Route did not apply the split within 300 s"


@given(live=splits(), step=st.integers(-1, 3), phase=st.sampled_from(_ACTIVE))
def test_the_split_of_another_writer_is_never_overwritten(live: Split, step: int, phase: Phase) -> None:
    state = replace(started(), step=step, phase=phase)
    facts = Facts(now=1e6, live=live, changed_by="kn", settled=True, ready=True, pods=1, new=BROKEN)
    decision = decide(state, facts)
    if not is_same(live, state.split):
        assert decision.verb == "halt"
        assert decision.why.startswith("the split was changed by kn to ")
    anonymous = decide(state, replace(facts, changed_by=""))
    assert "by " not in anonymous.why or is_same(live, state.split)


def test_the_answers_of_the_others_add_up_over_the_steps_but_not_their_crashes() -> None:
    busy = Sample(1000, 20, crashes=3)
    decisions = list(decisions_of(started(), lambda _: Observed(old=busy, new=Sample(100, 2))))
    assert decisions[-1].verb == "finish"
    assert decisions[-1].state.others == Sample(4000, 80)  # at four shifts


def test_steps_that_the_target_has_reached_are_skipped() -> None:
    state = started((Share("m-v1", 70), Share("m-v2", 30)))
    assert (state.skipped, state.steps) == ((5, 25), (50, 100))
    assert started().skipped == ()


def test_a_target_that_has_reached_every_step_is_done() -> None:
    state = started((Share("m-v1", 40), Share("m-v2", 60)), ascending=(5, 50))
    assert state.is_over
    assert dict(state.split) == {"m-v1": 40, "m-v2": 60}


@pytest.mark.parametrize("ascending", [(), (0, 50), (50, 25), (5, 5), (50, 101), (-5,)])
def test_steps_that_do_not_ascend_within_1_to_100_are_refused(ascending: tuple[int, ...]) -> None:
    with pytest.raises(BadSetting, match="ascending percentages from 1 to 100"):
        started(ascending=ascending)


def test_a_resumed_rollout_watches_the_current_step_again() -> None:
    decisions = list(decisions_of(started(), lambda _: GOOD))
    watching = next(each.state for each in decisions if each.state.phase == "watching")
    resumed = resume(replace(watching, phase="halted", reason="slow"), limits=LIMITS, now=1000)
    assert (resumed.phase, resumed.step, resumed.since, resumed.reason) == ("settling", 0, 1000, "")
    assert resume(started(), limits=LIMITS, now=5).phase == "warming"


def test_an_aborted_rollout_restores_the_split_before() -> None:
    state = abort(replace(started(), step=2), now=7)
    assert state.is_over
    assert (state.split, state.since) == (STABLE, 7)


@given(stable=splits(), ascending=steps, step=st.integers(-1, 5))
def test_a_schedule_is_a_rollout_without_failures(stable: Split, ascending: tuple[int, ...], step: int) -> None:
    state = started(stable, "m-v2", ascending)
    if state.is_over:
        assert schedule(state) == ()
        return
    state = replace(state, step=min(step, len(state.steps) - 1), phase="warming" if step < 0 else "settling")
    quick = list(decisions_of(state, lambda _: GOOD))
    ahead = [each.split for each in schedule(state)]
    assert ahead == [*([state.split] if step >= 0 else []), *written(quick)]
    assert [each.after for each in schedule(state)] == [60.0 * index for index in range(len(ahead))]
