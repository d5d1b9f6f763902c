"""How a command begins: a rollout anew, one that goes on, or a refusal that says what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from knative.rollout.errors import NoRollout, RolloutUnderWay, SplitChanged
from knative.rollout.judgement import Limits
from knative.rollout.machine import State, abort, begin, forget, resume
from knative.rollout.split import Split, format_split, is_same, percent_of

STEPS: Final = (5, 25, 50, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the Service says of rollouts."""

    model: str
    namespace: str
    live: Split
    changed_by: str  # who wrote the live split
    recorded: State | None  # the last rollout, if there was one


def opening(
    found: Found, target: str, *, steps: Sequence[int] | None, limits: Limits, now: float, adopt: bool
) -> State:
    """Begin a rollout, or go on with the one under way. `adopt` forgets that one, and takes the split as it stands.

    None for steps are those under way, or the usual ones. Raises `RolloutUnderWay`, `SplitChanged`, `BadSetting`.
    """
    recorded = found.recorded
    if recorded is None or recorded.is_over or adopt:
        return begin(target, stable=found.live, steps=steps or STEPS, limits=limits, now=now)
    refuse_changed(found, recorded, target=target)  # first: with the split changed, that one cannot be gone on with
    if recorded.target != target:
        raise RolloutUnderWay(found.model, underway=progress(recorded), asked=f"a rollout to {target}")
    if steps is not None and _ahead(steps, recorded) != recorded.steps:
        asked = f"the steps {','.join(map(str, steps))}"
        raise RolloutUnderWay(found.model, underway=progress(recorded), asked=asked)
    return resume(recorded, limits=limits, now=now)


def closing(found: Found, *, now: float) -> State:
    """Give up the rollout under way: go back, or forget it where the split is somebody else's. Raises `NoRollout`."""
    recorded = found.recorded
    if recorded is None or recorded.is_over:
        last = f"the last one was {progress(recorded)}" if recorded else "there never was one"
        raise NoRollout(found.model, last=last)
    if not is_same(found.live, recorded.split):
        return forget(recorded, live=found.live, changed_by=found.changed_by, now=now)
    return abort(recorded, now=now)


def refuse_changed(found: Found, state: State, *, target: str) -> None:
    """Raise `SplitChanged` where the split is not the state's; it tells the commands for `target` that work."""
    if not is_same(found.live, state.split):
        raise SplitChanged(
            found.model,
            namespace=found.namespace,
            target=target,
            live=format_split(found.live),
            written=format_split(state.split),
            by=found.changed_by,
        )


def progress(state: State) -> str:
    """Say how far a rollout is."""
    steps = ",".join(map(str, state.steps))
    why = f": {state.reason}" if state.reason else ""
    return (
        f"to {state.target} with the steps {steps}, {state.phase.replace('_', ' ')} at {format_split(state.split)}{why}"
    )


def _ahead(steps: Sequence[int], recorded: State) -> tuple[int, ...]:
    return tuple(each for each in steps if each > percent_of(recorded.stable, recorded.target))
