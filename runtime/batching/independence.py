"""Whether callers may share a run: a state machine over evidence. Pure; the proof itself is in `proof.py`.

    unproven ──► proven        real rows gave the same alone and together
       │    └──► refuted       they did not; or the graph, a name or a shape rules it out
       └───────► not provable  the proof could not run, several times

    forced, off                what SCALEZERO_BATCHING or a batch size of 1 says instead

Only `proven` and `forced` share runs. A shared run that returns another number of rows refutes both permanently.
"""

from enum import Enum
from typing import Final, NamedTuple

AUTO, ALWAYS, NEVER = "auto", "always", "never"  # values of SCALEZERO_BATCHING

_TRIES: Final = 4  # proofs that could not run, until the model counts as not provable
_PAUSE: Final = 0.25  # seconds until the next try, doubled each time: other rows may do
_PAUSE_ALIKE: Final = 1.0  # seconds until rows that did not differ are looked at again


class State(Enum):
    """What is known of the rows' independence."""

    UNPROVEN = "unproven"
    PROVEN = "proven"
    REFUTED = "refuted"
    NOT_PROVABLE = "not_provable"
    FORCED = "forced"
    OFF = "off"


class Standing(NamedTuple):
    """A state and its reason, in words for an operator."""

    state: State
    reason: str


class Evidence(NamedTuple):
    """What a model file says against shared runs. `rowless` cannot be overruled, `doubt` can; None: nothing."""

    rowless: str | None = None  # the inputs have no first axis of any size
    doubt: str | None = None  # an output or an operator is evidence against it


class Outcome(Enum):
    """How a proof ended."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_RUN = "could not run"
    TOO_ALIKE = "too alike"  # the rows did not differ enough to show anything


class Verdict(NamedTuple):
    """The end of one proof and the reason in words."""

    outcome: Outcome
    reason: str


def first_standing(mode: str, evidence: Evidence, *, batch_size: int) -> Standing:
    """What holds before the first request."""
    if batch_size == 1:
        return Standing(State.OFF, "the batch size is 1")
    if mode == NEVER:
        return Standing(State.OFF, "SCALEZERO_BATCHING is never")
    if evidence.rowless:
        return Standing(State.REFUTED, evidence.rowless)
    if mode == ALWAYS:
        return Standing(State.FORCED, "SCALEZERO_BATCHING is always")
    if evidence.doubt:
        return Standing(State.REFUTED, evidence.doubt)
    return Standing(State.UNPROVEN, "no two requests have waited at the same time yet")


class Independence:
    """The standing of one model, moved by verdicts. `now` is a reading of any steady clock, in seconds."""

    __slots__ = ("_failures", "_next_try", "_proving", "shares", "standing")

    def __init__(self, standing: Standing) -> None:
        self._failures = 0
        self._next_try = 0.0
        self._proving = False
        self._move(standing)

    def wants_rows(self, now: float) -> bool:
        """Whether a proof should begin as soon as there are rows for it."""
        return self.standing.state is State.UNPROVEN and not self._proving and now >= self._next_try

    def begin(self) -> None:
        """A proof begins."""
        self._proving = True

    def judge(self, verdict: Verdict, now: float) -> None:
        """Take in how the proof ended."""
        self._proving = False
        if self.standing.state is not State.UNPROVEN:
            return
        if verdict.outcome is Outcome.PASSED:
            self._move(Standing(State.PROVEN, verdict.reason))
        elif verdict.outcome is Outcome.FAILED:
            self._move(Standing(State.REFUTED, verdict.reason))
        elif verdict.outcome is Outcome.TOO_ALIKE:
            self._next_try = now + _PAUSE_ALIKE
        else:
            self._next_try = now + _PAUSE * 2**self._failures
            self._failures += 1
            if self._failures >= _TRIES:
                self._move(Standing(State.NOT_PROVABLE, f"{verdict.reason} ({_TRIES} attempts)"))

    def refute(self, reason: str) -> None:
        """A run has shown that the rows are not independent: share none from now on."""
        self._move(Standing(State.REFUTED, reason))

    def _move(self, standing: Standing) -> None:
        self.standing = standing
        self.shares = standing.state in {State.PROVEN, State.FORCED}  # read at every turn
