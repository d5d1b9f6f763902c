"""Which rollouts a command may begin, resume or end, and the errors otherwise."""

from dataclasses import replace

import pytest

from knative.rollout.errors import NoRollout, RolloutUnderWay, SplitChanged
from knative.rollout.judgement import Limits
from knative.rollout.machine import Phase, State, begin
from knative.rollout.split import Share, Split
from knative.rollout.starting import STEPS, Found, abort_or_forget, start_or_resume

STABLE = (Share("m-v1", 100),)
LIMITS = Limits(interval=1)


def recorded(step: int = 1, phase: Phase = "watching") -> State:
    state = begin("m-v2", stable=STABLE, steps=(5, 25, 100), limits=Limits(), now=0)
    return replace(state, step=step, phase=phase)


def found(state: State | None, live: Split | None = None) -> Found:
    split = live or (state.split if state else STABLE)
    return Found(model="m", namespace="shop", live=split, changed_by="kn (user ann)", recorded=state)


def start(cluster: Found, target: str = "m-v2", steps: tuple[int, ...] | None = None, *, adopt: bool = False) -> State:
    return start_or_resume(cluster, target, steps=steps, limits=LIMITS, now=9, adopt=adopt)


def test_without_a_record_a_rollout_starts_from_the_current_split() -> None:
    state = start(found(None))
    assert (state.stable, state.steps, state.step, state.phase) == (STABLE, STEPS, -1, "warming")
    assert start(found(None), steps=(50,)).steps == (50,)


@pytest.mark.parametrize("phase", ["done", "rolled_back", "forgotten"])
def test_after_a_finished_rollout_a_new_one_starts(phase: Phase) -> None:
    assert start(found(recorded(phase=phase), STABLE), "m-v3").target == "m-v3"


@pytest.mark.parametrize("phase", ["warming", "settling", "watching", "halted"])
@pytest.mark.parametrize("steps", [None, (5, 25, 100)])
def test_the_same_rollout_resumes_with_the_new_limits(phase: Phase, steps: tuple[int, ...] | None) -> None:
    state = start(found(recorded(phase=phase)), steps=steps)
    assert (state.step, state.phase, state.since, state.limits) == (1, "settling", 9, LIMITS)


def test_a_rollout_without_a_shift_resumes_with_warming() -> None:
    assert start(found(recorded(-1, "warming"))).phase == "warming"


@pytest.mark.parametrize(
    ("target", "steps", "requested"), [("m-v3", None, "a rollout to m-v3"), ("m-v2", (10, 100), "the steps 10,100")]
)
def test_the_error_for_another_rollout_has_the_next_steps(
    target: str, steps: tuple[int, ...] | None, requested: str
) -> None:
    with pytest.raises(RolloutUnderWay) as caught:
        start(found(recorded()), target, steps)
    assert str(caught.value) == (
        "m has an unfinished rollout to m-v2 with the steps 5,25,100, watching at 75 % m-v1, 25 % m-v2, "
        f"but the command requests {requested}; continue that rollout, --abort it, or use --adopt to start from the "
        "current split"
    )


def test_the_error_for_a_changed_split_names_the_writer() -> None:
    live = (Share("m-v1", 10), Share("m-v2", 90))
    for target in ("m-v2", "m-v3"):
        with pytest.raises(SplitChanged) as caught:
            start(found(recorded(phase="halted"), live), target)
        assert str(caught.value) == (
            "kn (user ann) changed the split of m to 10 % m-v1, 90 % m-v2; the rollout had set "
            "75 % m-v1, 25 % m-v2; to start a rollout from the current split: "
            f"scalezero rollout m --to {target} --adopt -n shop; to end the rollout and keep the split: "
            "scalezero rollout m --abort -n shop"
        )


@pytest.mark.parametrize("phase", ["warming", "settling", "watching", "halted"])
def test_abort_after_a_change_by_another_writer_keeps_the_split(phase: Phase) -> None:
    live = (Share("m-v1", 10), Share("m-v2", 90))
    state = abort_or_forget(found(recorded(phase=phase), live), now=9)
    assert (state.phase, state.split, state.since) == ("forgotten", live, 9)
    assert state.reason == "the split set by kn (user ann) is kept"
    assert start(found(state, live), "m-v3").stable == live


def test_adopt_starts_from_the_current_split() -> None:
    live = (Share("m-v1", 90), Share("m-v2", 10))
    state = start(found(recorded(), live), steps=(5, 25), adopt=True)
    assert (state.stable, state.steps, state.step) == (live, (25,), -1)


@pytest.mark.parametrize("phase", ["warming", "settling", "watching", "halted"])
def test_an_unfinished_rollout_can_be_aborted(phase: Phase) -> None:
    state = abort_or_forget(found(recorded(phase=phase)), now=9)
    assert (state.phase, state.split, state.reason) == ("rolled_back", STABLE, "aborted")


@pytest.mark.parametrize(
    ("state", "last"),
    [
        (None, "there was none before"),
        (
            replace(recorded(phase="rolled_back"), reason="it was slow"),
            "the last rollout was to m-v2 with the steps 5,25,100, rolled back at 100 % m-v1: it was slow",
        ),
    ],
)
def test_without_an_unfinished_rollout_abort_is_an_error(state: State | None, last: str) -> None:
    with pytest.raises(NoRollout) as caught:
        abort_or_forget(found(state), now=9)
    assert str(caught.value) == f"no rollout of m is under way; {last}"
