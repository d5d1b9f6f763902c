"""What a rollout does next, decided from what is known: pure, and the same for a run that goes on after another one.

    warming -> settling -> watching -> warming -> settling -> ... -> done
       |          |           |
       `----------+-----------+----> rolled back, or halted where a person shall look first
                  at a person's word: back, or forgotten where the split is somebody else's

A step is warmed (the target is Ready and has a pod, so that no caller waits for one), written, and watched as soon as
the Route has taken it. Each wait has its bound, so that a rollout ends. Time passing without requests is no evidence:
the next step comes. A split that is not the one that was written last is somebody else's: it is left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from knative.rollout.judgement import NOTHING, Limits, Sample, against
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
    """How far a rollout is. All of it is kept in the cluster."""

    target: str  # the revision
    stable: Split  # what it came from, and goes back to
    steps: tuple[int, ...]  # percent of the target, rising
    behind: tuple[int, ...] = ()  # steps that it was past when it began, and does not take
    step: int = -1  # the one that stands, as an index; -1: none yet
    phase: Phase = "warming"
    since: float = 0.0  # when the phase began, in seconds of the epoch
    judged: int = 0  # how many of the steps that are behind had requests enough to be judged by
    others: Sample = NOTHING  # what the other revisions answered in the steps before this one
    reason: str = ""  # why it was rolled back or halted
    run: str = ""  # which command carries it out
    limits: Limits = field(default_factory=Limits)  # of the command: nothing that is kept

    @property
    def split(self) -> Split:
        """What the traffic is, unless somebody else has changed it."""
        if self.step < 0 or self.phase == "rolled_back":
            return self.stable
        return shifted(self.stable, self.target, self.steps[self.step])

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do; a halted one may go on."""
        return self.phase in _OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found at one moment."""

    now: float  # s of the epoch
    live: Split
    changed_by: str = ""  # who wrote the live split
    settled: bool = False  # the Route has taken the live split
    ready: bool | None = None  # of the target; None: not known yet
    reason: str = ""  # why the target is not Ready, or the Route has not settled
    pods: int = 0  # of the target, that take requests
    new: Sample = NOTHING  # what the target answered since the step was taken
    old: Sample = NOTHING  # and the other revisions


class Decision(NamedTuple):
    """What to do, and the state that holds when it is done."""

    verb: Verb
    state: State
    why: str = ""

    @property
    def is_written(self) -> bool:
        """Whether it changes what the cluster holds."""
        return self.verb not in {"warm", "wait"}


class StepVerdict(NamedTuple):
    """What a step that went its way had to be judged by, beside its pods' crashes."""

    percent: int
    requests: int  # of the target
    needed: int

    @property
    def is_judged(self) -> bool:
        """Whether that were enough."""
        return self.requests >= self.needed


class Stage(NamedTuple):
    """One line of a schedule."""

    after: float  # s at the earliest
    split: Split


def begin(target: str, *, stable: Split, steps: Sequence[int], limits: Limits, now: float) -> State:
    """Start a rollout. Steps that the target is past already are left out; with none left it is done.

    Raises `BadSetting` for steps that are none.
    """
    rising = all(low < high for low, high in pairwise(steps))
    if not steps or not rising or not 0 < steps[0] <= steps[-1] <= WHOLE:
        value = ",".join(map(str, steps))
        raise BadSetting("--steps", value=value, allowed="rising percents from 1 to 100, such as 5,25,50,100")
    ahead = tuple(each for each in steps if each > percent_of(stable, target))
    if not ahead:
        return State(target=target, stable=stable, steps=tuple(steps), phase="done", since=now, limits=limits)
    behind = tuple(steps[: -len(ahead)])
    return State(target=target, stable=stable, steps=ahead, behind=behind, since=now, limits=limits)


def resume(state: State, *, limits: Limits, now: float) -> State:
    """Go on where another command left off: what stands is watched anew, as nobody has watched it in between."""
    return replace(state, phase="warming" if state.step < 0 else "settling", since=now, reason="", limits=limits)


def abort(state: State, *, now: float) -> State:
    """Go back at a person's word."""
    return replace(state, phase="rolled_back", since=now, reason="aborted")


def forget(state: State, *, live: Split, changed_by: str, now: float) -> State:
    """End it at a person's word, and leave the split that somebody else has set: that one is what it ends at."""
    reason = f"the split stays as {changed_by} has set it"
    return replace(state, stable=live, step=-1, phase="forgotten", since=now, reason=reason)


def verdict(state: State, verb: Verb, new: Sample) -> StepVerdict | None:
    """Say what the step that stands had to be judged by, where `verb` leads past it; else None."""
    if state.step < 0 or verb not in {"shift", "finish"}:
        return None
    return StepVerdict(state.steps[state.step], new.requests, state.limits.min_requests)


def schedule(state: State) -> tuple[Stage, ...]:
    """Tell all that is ahead, if nothing speaks against it and pods come up at once."""
    ahead = () if state.is_over else state.steps[max(0, state.step) :]
    return tuple(
        Stage(index * state.limits.interval, shifted(state.stable, state.target, percent))
        for index, percent in enumerate(ahead)
    )


def decide(state: State, facts: Facts) -> Decision:
    """Decide what a rollout that is under way does now."""
    if not is_same(facts.live, state.split):
        by = f" by {facts.changed_by}" if facts.changed_by else ""
        return _over(
            "halted", state, facts, f"the split was changed{by} to {format_split(facts.live)}; it is left as it is"
        )
    if facts.ready is False:
        return _failed(state, facts, f"{state.target} is not Ready: {facts.reason}")
    if state.phase != "settling" and state.step >= 0:
        reason = against(facts.new, state.others.plus(facts.old), state.limits)
        if reason is not None:
            return _failed(state, facts, f"{state.target}: {reason}")
    if state.phase == "settling":
        return _settling(state, facts)
    return _watching(state, facts) if state.phase == "watching" else _warming(state, facts)


def _warming(state: State, facts: Facts) -> Decision:
    if facts.ready and facts.pods:
        return _shift(state, facts)
    if facts.now - state.since >= state.limits.patience:
        waited = f"no pod of {state.target} came up within {state.limits.patience:g} s"
        return _failed(state, facts, f"{waited}: {facts.reason}" if facts.reason else waited)
    return Decision("warm", state, "it has no pod that takes requests yet")


def _settling(state: State, facts: Facts) -> Decision:
    if facts.settled:
        return Decision(
            "wait",
            replace(state, phase="watching", since=facts.now),
            f"the Route has taken it; it is watched for {state.limits.interval:g} s",
        )
    if facts.now - state.since >= state.limits.patience:
        waited = f"the Route did not take the split within {state.limits.patience:g} s"
        return _failed(state, facts, f"{waited}: {facts.reason}" if facts.reason else waited)
    return Decision("wait", state, "the Route has not taken it yet")


def _watching(state: State, facts: Facts) -> Decision:
    if facts.now - state.since < state.limits.interval:
        return Decision("wait", state)
    if state.step == len(state.steps) - 1:
        return _over("done", _counted(state, "finish", facts), facts, "")
    return _warming(replace(state, phase="warming", since=facts.now), facts)


def _shift(state: State, facts: Facts) -> Decision:
    others = state.others.plus(facts.old)._replace(crashes=0)  # crashes are counted by the step
    ahead = replace(
        _counted(state, "shift", facts), step=state.step + 1, phase="settling", since=facts.now, others=others
    )
    return Decision("shift", ahead)


def _counted(state: State, verb: Verb, facts: Facts) -> State:
    found = verdict(state, verb, facts.new)
    return replace(state, judged=state.judged + 1) if found and found.is_judged else state


def _failed(state: State, facts: Facts, reason: str) -> Decision:
    return _over("halted" if state.limits.halts else "rolled_back", state, facts, reason)


def _over(phase: Phase, state: State, facts: Facts, reason: str) -> Decision:
    return Decision(ENDS[phase], replace(state, phase=phase, since=facts.now, reason=reason), reason)
