"""A rollout's state to and from the annotation that stores it. Anyone can edit it, so each field is validated."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final, get_args

from knative.rollout.errors import BadRecord
from knative.rollout.judgement import Sample
from knative.rollout.machine import Phase, State
from knative.rollout.split import WHOLE, Share, Split

ANNOTATION: Final = "scalezero.dev/rollout"
_FORMAT: Final = 1  # increased when older commands would misread the record


def render(state: State) -> str:
    """Return a state as the value of the annotation."""
    return json.dumps(
        {
            "format": _FORMAT,
            "to": state.target,
            "from": dict(state.stable),
            "steps": state.steps,
            "behind": state.skipped,
            "step": state.step,
            "judged": state.judged,
            "phase": state.phase,
            "since": round(state.since, 3),
            "reason": state.reason,
            "run": state.run,
            "others": _rendered(state.others),
        },
        separators=(",", ":"),
        allow_nan=False,
    )


def parse(text: str) -> State:
    """Parse a state, with the default limits. Raises `BadRecord` with the reason."""
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise BadRecord("it is not a JSON object")
        if fields.get("format") != _FORMAT:
            raise BadRecord(f"its format is {fields.get('format')!r}; this version of scalezero reads {_FORMAT}")
        return _checked(_state(fields))
    except json.JSONDecodeError as error:
        raise BadRecord(f"it is not JSON: {error}") from error
    except KeyError as error:
        raise BadRecord(f"the field {error.args[0]!r} is missing") from error
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise BadRecord(f"a field has an invalid value: {error}") from error


def find(service: Mapping[str, Any]) -> State | None:
    """Read the state from a Service's manifest; None if there was no rollout. Raises `BadRecord`."""
    text = (service["metadata"].get("annotations") or {}).get(ANNOTATION)
    return None if text is None else parse(text)


def _state(fields: Mapping[str, Any]) -> State:
    return State(
        target=str(fields["to"]),
        stable=_split(fields["from"]),
        steps=tuple(int(each) for each in fields["steps"]),
        skipped=tuple(int(each) for each in fields.get("behind", ())),  # older records do not have it
        step=int(fields["step"]),
        judged=int(fields.get("judged", 0)),
        phase=fields["phase"],
        since=float(fields["since"]),
        reason=str(fields["reason"]),
        run=str(fields["run"]),
        others=_sample(fields["others"]),
    )


def _checked(state: State) -> State:
    if state.phase not in get_args(Phase):
        raise BadRecord(f"its phase is {state.phase!r}")
    if sum(percent for _, percent in state.stable) != WHOLE:
        raise BadRecord(f"the split before the rollout does not sum to {WHOLE}")
    if not state.steps or list(state.steps) != sorted({each for each in state.steps if 0 < each <= WHOLE}):
        raise BadRecord(f"its steps are {list(state.steps)}")
    if not -1 <= state.step < len(state.steps):
        raise BadRecord(f"its step is {state.step} of {len(state.steps)}")
    return state


def _split(shares: Mapping[str, Any]) -> Split:
    split = tuple(Share(str(revision), int(percent)) for revision, percent in shares.items())
    if any(percent <= 0 for _, percent in split):
        raise BadRecord("the split before the rollout has a share that is not positive")
    return split


def _rendered(sample: Sample) -> dict[str, object]:
    """Return a sample as JSON values. JSON has no infinity, so the last bound is `+Inf`, as in Prometheus."""
    ends = ["+Inf" if math.isinf(end) else end for end, _ in sample.seconds]
    return {
        "requests": sample.requests,
        "errors": sample.errors,
        "le": ends,
        "counts": [count for _, count in sample.seconds],
    }


def _sample(fields: Mapping[str, Any]) -> Sample:
    seconds = zip((float(end) for end in fields["le"]), (int(count) for count in fields["counts"]), strict=True)
    return Sample(int(fields["requests"]), int(fields["errors"]), tuple(seconds))
