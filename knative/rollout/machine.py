"""The state machine of a rollout: from the state and the facts to the next action. Pure.

    warming -> settling -> watching -> warming -> settling -> ... -> done
       |          |           |
       `----------+-----------+----> rolled back, or halted with `--on-failure halt`
                  --abort ---------> rolled back, or forgotten if another writer has changed the split

Each step has three phases. Warming waits until the target is Ready and has a pod, so that no caller waits for a cold
start. Settling waits until the Route has applied the new split. Watching compares the answers for an interval. Each
phase has a timeout, so every rollout ends. A step without requests passes. If the live split is not the one that the
rollout wrote last, another writer has changed it: the rollout halts and keeps that split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from knative.rollout.judgement import NOTHING, Limits, Sample, find_problem
from knative.rollout.split import WHOLE, Split, format_split, is_same, percent_of, shifted
from runtime.errors import BadSetting

Phase = Literal["warming", "settling", "watching", "done", "rolled_back", "halted", "forgotten"]
Verb = Literal["warm", "wait", "shift", "finish", "roll_back", "halt", "forget"]

ENDS: Final[Mapping[Phase, Verb]] = MappingProxyType(
    {"done": "finish", "rolled_back": "roll_back", "halted": "halt", "forgotten": "forget"}
)
_OVER: Final = frozenset({"done", "rolled_back", "forgotten"})


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The progress of a rollout. All of it except `limits` is stored in the cluster."""

    target: str  # the revision
    stable: Split  # before the rollout; a rollback restores it
    steps: tuple[int, ...]  # percent of the target, ascending
    skipped: tuple[int, ...] = ()  # steps that the target had reached before the rollout
    step: int = -1  # index of the current step; -1: none yet
    phase: Phase = "warming"
    since: float = 0.0  # start of the phase, in s since the epoch
    judged: int = 0  # number of completed steps with enough requests to judge
    others: Sample = NOTHING  # answers of the other revisions in the earlier steps
    reason: str = ""  # of the rollback or halt
    run: str = ""  # id of the command that runs it
    limits: Limits = field(default_factory=Limits)  # of the command; not stored

    @property
    def split(self) -> Split:
        """The split that the rollout wrote last."""
        if self.step < 0 or self.phase == "rolled_back":
            return self.stable
        return shifted(self.stable, self.target, self.steps[self.step])

    @property
    def is_over(self) -> bool:
        """Whether the rollout has ended. A halted rollout has not: it can continue."""
        return self.phase in _OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The observed state of the cluster at one moment."""

    now: float  # s since the epoch
    live: Split
    changed_by: str = ""  # the writer of the live split; empty: unknown
    settled: bool = False  # whether the Route has applied the live split
    ready: bool | None = None  # of the target; None: unknown
    reason: str = ""  # why the target is not Ready, or the Route has not applied the split
    pods: int = 0  # pods of the target that receive requests
    new: Sample = NOTHING  # answers of the target since the step began
    old: Sample = NOTHING  # answers of the other revisions since then


class Decision(NamedTuple):
    """The action to take, and the state after it."""

    verb: Verb
    state: State
    why: str = ""

    @property
    def is_written(self) -> bool:
        """Whether the action writes to the cluster."""
        return self.verb not in {"warm", "wait"}


class StepVerdict(NamedTuple):
    """How many requests a completed step was judged by. Crashes count in addition."""

    percent: int
    requests: int  # of the target
    needed: int

    @property
    def is_judged(self) -> bool:
        """Whether there were enough requests to judge the step."""
        return self.requests >= self.needed


class Stage(NamedTuple):
    """One line of a schedule."""

    after: float  # s from the start, at the earliest
    split: Split


def begin(target: str, *, stable: Split, steps: Sequence[int], limits: Limits, now: float) -> State:
    """Start a rollout. Skips the steps that the target has already reached; if none is left, the rollout is done.

    Raises `BadSetting` unless the steps are ascending percentages from 1 to 100.
    """
    ascending = all(low < high for low, high in pairwise(steps))
    if not steps or not ascending or not 0 < steps[0] <= steps[-1] <= WHOLE:
        value = ",".join(map(str, steps))
        raise BadSetting("--steps", value=value, allowed="ascending percentages from 1 to 100, such as 5,25,50,100")
    ahead = tuple(each for each in steps if each > percent_of(stable, target))
    if not ahead:
        return State(target=target, stable=stable, steps=tuple(steps), phase="done", since=now, limits=limits)
    skipped = tuple(steps[: -len(ahead)])
    return State(target=target, stable=stable, steps=ahead, skipped=skipped, since=now, limits=limits)


def resume(state: State, *, limits: Limits, now: float) -> State:
    """Continue the rollout of an earlier command. It watches the current step again from the start."""
    return replace(state, phase="warming" if state.step < 0 else "settling", since=now, reason="", limits=limits)


def abort(state: State, *, now: float) -> State:
    """Roll back at the request of the user."""
    return replace(state, phase="rolled_back", since=now, reason="aborted")


def forget(state: State, *, live: Split, changed_by: str, now: float) -> State:
    """End the rollout at the request of the user, and keep the split that another writer has set."""
    reason = f"the split set by {changed_by} is kept"
    return replace(state, stable=live, step=-1, phase="forgotten", since=now, reason=reason)


def verdict(state: State, verb: Verb, new: Sample) -> StepVerdict | None:
    """Return the verdict on the current step if `verb` completes it, otherwise None."""
    if state.step < 0 or verb not in {"shift", "finish"}:
        return None
    return StepVerdict(state.steps[state.step], new.requests, state.limits.min_requests)


def schedule(state: State) -> tuple[Stage, ...]:
    """Return the remaining splits, for a rollout without failures and without waits for pods."""
    ahead = () if state.is_over else state.steps[max(0, state.step) :]
    return tuple(
        Stage(index * state.limits.interval, shifted(state.stable, state.target, percent))
        for index, percent in enumerate(ahead)
    )


def decide(state: State, facts: Facts) -> Decision:
    """Decide the next action of an unfinished rollout."""
    if not is_same(facts.live, state.split):
        by = f" by {facts.changed_by}" if facts.changed_by else ""
        return _over("halted", state, facts, f"the split was changed{by} to {format_split(facts.live)}; it is kept")
    if facts.ready is False:
        return _failed(state, facts, f"{state.target} is not Ready: {facts.reason}")
    if state.phase != "settling" and state.step >= 0:
        reason = find_problem(facts.new, state.others.plus(facts.old), state.limits)
        if reason is not None:
            return _failed(state, facts, f"{state.target}: {reason}")
    if state.phase == "settling":
        return _settling(state, facts)
    return _watching(state, facts) if state.phase == "watching" else _warming(state, facts)


def _warming(state: State, facts: Facts) -> Decision:
    if facts.ready and facts.pods:
        return _shift(state, facts)
    if facts.now - state.since >= state.limits.timeout:
        waited = f"no pod of {state.target} became Ready within {state.limits.timeout:g} s"
        return _failed(state, facts, f"{waited}: {facts.reason}" if facts.reason else waited)
    return Decision("warm", state, "waiting for a pod to become Ready")


def _settling(state: State, facts: Facts) -> Decision:
    if facts.settled:
        return Decision(
            "wait",
            replace(state, phase="watching", since=facts.now),
            f"the Route has applied the split; watching it for {state.limits.interval:g} s",
        )
    if facts.now - state.since >= state.limits.timeout:
        waited = f"the Route did not apply the split within {state.limits.timeout:g} s"
        return _failed(state, facts, f"{waited}: {facts.reason}" if facts.reason else waited)
    return Decision("wait", state, "waiting for the Route to apply the split")


def _watching(state: State, facts: Facts) -> Decision:
    if facts.now - state.since < state.limits.interval:
        return Decision("wait", state)
    if state.step == len(state.steps) - 1:
        return _over("done", _counted(state, "finish", facts), facts, "")
    return _warming(replace(state, phase="warming", since=facts.now), facts)


def _shift(state: State, facts: Facts) -> Decision:
    others = state.others.plus(facts.old)._replace(crashes=0)  # crashes count for each step alone
    after = replace(
        _counted(state, "shift", facts), step=state.step + 1, phase="settling", since=facts.now, others=others
    )
    return Decision("shift", after)


def _counted(state: State, verb: Verb, facts: Facts) -> State:
    found = verdict(state, verb, facts.new)
    return replace(state, judged=state.judged + 1) if found and found.is_judged else state


def _failed(state: State, facts: Facts, reason: str) -> Decision:
    return _over("halted" if state.limits.halt else "rolled_back", state, facts, reason)


def _over(phase: Phase, state: State, facts: Facts, reason: str) -> Decision:
    return Decision(ENDS[phase], replace(state, phase=phase, since=facts.now, reason=reason), reason)
