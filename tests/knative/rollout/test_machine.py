"""The laws of a rollout, over any course that events may take."""

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

LIMITS = Limits(interval=60, patience=300)
STABLE = (Share("m-v1", 100),)
FINE, BROKEN = Sample(100, 0), Sample(100, 50)


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What the cluster shows at one look, beside the split."""

    after: float = 20.0  # s since the look before
    settled: bool = True
    ready: bool | None = True
    pods: int = 1
    new: Sample = FINE
    old: Sample = FINE


GOOD = Weather()
weathers = st.builds(
    Weather,
    after=st.floats(5, 120),
    settled=st.booleans(),
    ready=st.sampled_from([True, True, True, None, False]),
    pods=st.integers(0, 3),
    new=st.sampled_from([FINE, FINE, NOTHING, BROKEN]) | samples(),
    old=st.sampled_from([FINE, NOTHING]) | samples(),
)
sky = st.lists(weathers, max_size=30)
_UNDER_WAY: list[Phase] = ["warming", "settling", "watching"]


def course(state: State, weather: Callable[[int], Weather], *, now: float = 0.0) -> Iterator[Decision]:
    """Decide until it is over, as run.py does, with no one else there."""
    for turn in range(10_000):
        if state.phase in {"done", "rolled_back", "halted"}:
            return
        seen = weather(turn)
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
    pytest.fail("it never ends")


def changing(seen: list[Weather], after: Weather = GOOD) -> Callable[[int], Weather]:
    return lambda turn: seen[turn] if turn < len(seen) else after


def started(
    stable: Split = STABLE, target: str = "m-v2", rising: tuple[int, ...] = (5, 25, 50, 100), limits: Limits = LIMITS
) -> State:
    return begin(target, stable=stable, steps=rising, limits=limits, now=0.0)


def written(decisions: list[Decision]) -> list[Split]:
    return [each.state.split for each in decisions if each.verb == "shift"]


@settings(deadline=None)  # hundreds of decisions
@given(stable=splits(), rising=steps, seen=sky, last=st.sampled_from([GOOD, Weather(new=NOTHING)]) | weathers)
def test_it_always_ends_whatever_happens(
    stable: Split, rising: tuple[int, ...], seen: list[Weather], last: Weather
) -> None:
    decisions = list(course(started(stable, "m-v2", rising), changing(seen, last)))
    assert not decisions or decisions[-1].verb in {"finish", "roll_back", "halt"}


@given(stable=splits(), rising=steps, seen=sky)
def test_the_target_gets_more_with_each_shift_and_ends_with_the_last_step_or_where_it_came_from(
    stable: Split, rising: tuple[int, ...], seen: list[Weather]
) -> None:
    state = started(stable, "m-v2", rising)
    decisions = list(course(state, changing(seen)))
    shares = [percent_of(each, "m-v2") for each in (stable, *written(decisions))]
    assert shares == sorted(set(shares))
    if decisions and decisions[-1].verb == "finish":
        assert shares[-1] == rising[-1] or stable == (Share("m-v2", 100),)
    elif decisions:
        assert is_same(decisions[-1].state.split, stable)


@given(seen=sky)
def test_it_never_shifts_to_what_is_not_ready_or_has_no_pod_or_while_the_route_is_behind(seen: list[Weather]) -> None:
    looks = [*seen, *[GOOD] * 200]
    phase = "warming"
    for look, decision in zip(looks, course(started(), changing(seen)), strict=False):
        if decision.verb == "shift":
            assert look.ready
            assert look.pods
            assert phase != "settling"
        phase = decision.state.phase


@given(seen=sky, killed=st.lists(st.integers(0, 40), max_size=5))
def test_a_killed_run_that_is_resumed_writes_the_same_splits(seen: list[Weather], killed: list[int]) -> None:
    """What is kept is what was written last; the clock of a step begins anew, and nothing is skipped or repeated."""
    patient = Limits(interval=60, patience=1e9, min_requests=10**9)  # so that neither run gives up
    calm = [replace(each, ready=True, new=NOTHING) for each in seen]
    whole = list(course(started(limits=patient), changing(calm)))
    state, turn, now, broken = started(limits=patient), 0, 0.0, []
    for kill in [*killed, 10_000]:
        kept = state
        for decision in course(state, changing(calm[turn:]), now=now):
            turn, now = turn + 1, now + 1
            broken.append(decision)
            kept = decision.state if decision.is_written else kept
            if turn % 41 == kill:
                break
        if kept.is_over:
            break
        state = resume(parse(render(kept)), limits=patient, now=now)
    assert written(broken) == written(whole)
    assert broken[-1].verb == whole[-1].verb == "finish"


@given(seen=sky)
def test_the_same_state_and_facts_make_the_same_decision_after_a_record(seen: list[Weather]) -> None:
    for decision in course(started(), changing(seen)):
        state = decision.state
        if not state.is_over and state.phase != "halted":
            read = replace(parse(render(state)), limits=state.limits)
            facts = Facts(now=state.since + 61, live=state.split, settled=True, ready=True, pods=1, new=FINE, old=FINE)
            assert decide(replace(state, since=read.since), facts) == decide(read, facts)


def test_a_rollout_with_good_weather_takes_each_step_once_and_an_interval_each() -> None:
    decisions = list(course(started(), lambda _: GOOD))
    assert [dict(each) for each in written(decisions)] == [
        {"m-v1": 95, "m-v2": 5},
        {"m-v1": 75, "m-v2": 25},
        {"m-v1": 50, "m-v2": 50},
        {"m-v2": 100},
    ]
    assert decisions[-1].verb == "finish"
    assert decisions[-1].state.since == 20 + 4 * (20 + 60)


def test_no_requests_are_no_evidence_and_the_time_passes() -> None:
    assert list(course(started(), lambda _: Weather(new=NOTHING, old=NOTHING)))[-1].verb == "finish"


@pytest.mark.parametrize(("requests", "judged"), [(19, 0), (20, 4)])
def test_each_step_with_requests_enough_counts_as_judged_once(requests: int, judged: int) -> None:
    """Not what the target answered before the first shift, nor at each look."""
    decisions = list(course(started(), lambda _: Weather(new=Sample(requests, 0), after=7)))
    assert decisions[-1].verb == "finish"
    assert decisions[-1].state.judged == judged


def test_a_verdict_is_of_the_step_that_is_gone_past() -> None:
    first = replace(started(), step=0, phase="watching")
    assert verdict(first, "shift", Sample(7, 0)) == StepVerdict(5, 7, 20)
    assert verdict(first, "roll_back", Sample(7, 0)) is None  # its reason says it all
    assert verdict(started(), "shift", FINE) is None


def test_it_warms_before_the_first_shift_and_again_where_the_pods_have_gone() -> None:
    cold = [Weather(pods=0), Weather(pods=0), GOOD, GOOD, Weather(after=61, pods=0), GOOD]
    verbs = [each.verb for each in course(started(), changing(cold))]
    assert verbs[:6] == ["warm", "warm", "shift", "wait", "warm", "shift"]


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param([Weather(ready=False)], "m-v2 is not Ready: boom", id="not Ready"),
        pytest.param(
            [Weather(pods=0), Weather(pods=0, after=300)], "no pod of m-v2 came up within 300 s: boom", id="no pod"
        ),
        pytest.param(
            [GOOD, Weather(settled=False, after=300)],
            "the Route did not take the split within 300 s: boom",
            id="no Route",
        ),
        pytest.param([GOOD, GOOD, Weather(new=BROKEN)], "m-v2: 50 of its 100 requests failed", id="errors"),
        pytest.param(
            [GOOD, GOOD, Weather(new=NOTHING._replace(crashes=2))], "m-v2: its containers were started", id="crashes"
        ),
        pytest.param(
            [GOOD, GOOD, Weather(after=61, pods=0), Weather(new=BROKEN, pods=0)],
            "m-v2: 50 of",
            id="errors, while warming",
        ),
    ],
)
@pytest.mark.parametrize("halts", [False, True])
def test_a_failure_goes_back_or_stops_and_says_why(seen: list[Weather], reason: str, *, halts: bool) -> None:
    state = started(limits=replace(LIMITS, halts=halts))
    for look in seen:
        now = state.since + look.after
        facts = Facts(
            now=now,
            live=state.split,
            settled=look.settled,
            ready=look.ready,
            reason="boom",
            pods=look.pods,
            new=look.new,
        )
        before, decision = state, decide(state, facts)
        state = decision.state
    assert decision.verb == ("halt" if halts else "roll_back")
    assert decision.why.startswith(reason)
    assert state.reason == decision.why
    assert is_same(state.split, before.split if halts else STABLE)
    assert state.is_over != halts  # a halted one may go on


def test_what_nothing_is_known_of_is_told_without_a_reason() -> None:
    facts = Facts(now=300, live=STABLE, ready=None)
    assert decide(started(), facts).why == "no pod of m-v2 came up within 300 s"
    settling = replace(started(), step=0, phase="settling")
    facts = Facts(now=300, live=settling.split, ready=True)
    assert decide(settling, facts).why == "the Route did not take the split within 300 s"


@given(live=splits(), step=st.integers(-1, 3), phase=st.sampled_from(_UNDER_WAY))
def test_a_split_that_somebody_else_wrote_is_never_written_over(live: Split, step: int, phase: Phase) -> None:
    state = replace(started(), step=step, phase=phase)
    facts = Facts(now=1e6, live=live, changed_by="kn", settled=True, ready=True, pods=1, new=BROKEN)
    decision = decide(state, facts)
    if not is_same(live, state.split):
        assert decision.verb == "halt"
        assert decision.why.startswith("the split was changed by kn to ")
    anonymous = decide(state, replace(facts, changed_by=""))
    assert "by " not in anonymous.why or is_same(live, state.split)


def test_the_others_are_remembered_from_step_to_step_and_their_crashes_are_not() -> None:
    busy = Sample(1000, 20, crashes=3)
    decisions = list(course(started(), lambda _: Weather(old=busy, new=Sample(100, 2))))
    assert decisions[-1].verb == "finish"
    assert decisions[-1].state.others == Sample(4000, 80)  # at four shifts


def test_steps_behind_the_target_are_left_out() -> None:
    state = started((Share("m-v1", 70), Share("m-v2", 30)))
    assert (state.behind, state.steps) == ((5, 25), (50, 100))
    assert started().behind == ()


def test_a_target_that_is_past_every_step_is_done() -> None:
    state = started((Share("m-v1", 40), Share("m-v2", 60)), rising=(5, 50))
    assert state.is_over
    assert dict(state.split) == {"m-v1": 40, "m-v2": 60}


@pytest.mark.parametrize("rising", [(), (0, 50), (50, 25), (5, 5), (50, 101), (-5,)])
def test_steps_that_do_not_rise_within_1_to_100_are_refused(rising: tuple[int, ...]) -> None:
    with pytest.raises(BadSetting, match="rising percents from 1 to 100"):
        started(rising=rising)


def test_a_resumed_run_watches_the_step_that_stands_anew() -> None:
    decisions = list(course(started(), lambda _: GOOD))
    watching = next(each.state for each in decisions if each.state.phase == "watching")
    again = resume(replace(watching, phase="halted", reason="slow"), limits=LIMITS, now=1000)
    assert (again.phase, again.step, again.since, again.reason) == ("settling", 0, 1000, "")
    assert resume(started(), limits=LIMITS, now=5).phase == "warming"


def test_an_aborted_one_is_where_it_came_from() -> None:
    state = abort(replace(started(), step=2), now=7)
    assert state.is_over
    assert (state.split, state.since) == (STABLE, 7)


@given(stable=splits(), rising=steps, step=st.integers(-1, 5))
def test_a_schedule_is_what_good_weather_brings(stable: Split, rising: tuple[int, ...], step: int) -> None:
    state = started(stable, "m-v2", rising)
    if state.is_over:
        assert schedule(state) == ()
        return
    state = replace(state, step=min(step, len(state.steps) - 1), phase="warming" if step < 0 else "settling")
    quick = list(course(state, lambda _: GOOD))
    ahead = [each.split for each in schedule(state)]
    assert ahead == [*([state.split] if step >= 0 else []), *written(quick)]
    assert [each.after for each in schedule(state)] == [60.0 * index for index in range(len(ahead))]
