"""The start of a command: it starts, resumes or ends a rollout, or raises an error with the next step."""

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
    """The rollout and the split of a Service, as observed."""

    model: str
    namespace: str
    live: Split
    changed_by: str  # the writer of the live split
    recorded: State | None  # the last rollout; None: there was none


def start_or_resume(
    found: Found, target: str, *, steps: Sequence[int] | None, limits: Limits, now: float, adopt: bool
) -> State:
    """Start a rollout, or resume the unfinished one. With `adopt`, always start from the current split.

    Without `steps`, those of the unfinished rollout apply, otherwise `STEPS`. Raises `RolloutUnderWay`, `SplitChanged`,
    `BadSetting`.
    """
    recorded = found.recorded
    if recorded is None or recorded.is_over or adopt:
        return begin(target, stable=found.live, steps=steps or STEPS, limits=limits, now=now)
    check_split(found, recorded, target=target)  # first, because a rollout with a changed split cannot be resumed
    if recorded.target != target:
        raise RolloutUnderWay(found.model, unfinished=describe(recorded), requested=f"a rollout to {target}")
    if steps is not None and _ahead(steps, recorded) != recorded.steps:
        requested = f"the steps {','.join(map(str, steps))}"
        raise RolloutUnderWay(found.model, unfinished=describe(recorded), requested=requested)
    return resume(recorded, limits=limits, now=now)


def abort_or_forget(found: Found, *, now: float) -> State:
    """End the unfinished rollout: roll back, or keep the split if another writer has changed it. Raises `NoRollout`."""
    recorded = found.recorded
    if recorded is None or recorded.is_over:
        last = f"the last rollout was {describe(recorded)}" if recorded else "there was none before"
        raise NoRollout(found.model, last=last)
    if not is_same(found.live, recorded.split):
        return forget(recorded, live=found.live, changed_by=found.changed_by, now=now)
    return abort(recorded, now=now)


def check_split(found: Found, state: State, *, target: str) -> None:
    """Raise `SplitChanged`, with the next commands for `target`, if the live split is not that of `state`."""
    if not is_same(found.live, state.split):
        raise SplitChanged(
            found.model,
            namespace=found.namespace,
            target=target,
            live=format_split(found.live),
            written=format_split(state.split),
            by=found.changed_by,
        )


def describe(state: State) -> str:
    """Describe the target, steps, phase and split of a rollout in one line."""
    steps = ",".join(map(str, state.steps))
    why = f": {state.reason}" if state.reason else ""
    return (
        f"to {state.target} with the steps {steps}, {state.phase.replace('_', ' ')} at {format_split(state.split)}{why}"
    )


def _ahead(steps: Sequence[int], recorded: State) -> tuple[int, ...]:
    return tuple(each for each in steps if each > percent_of(recorded.stable, recorded.target))
