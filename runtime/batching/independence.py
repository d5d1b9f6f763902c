"""The state of a model that decides whether callers may share a run. Pure; the proof itself is in `proof.py`.

    unproven ──► proven        real rows had the same outputs alone and together
       │    └──► refuted       their outputs differed; or the graph, a name or a shape rules out shared runs
       └───────► not provable  the proof could not run, several times

    A proof of the publisher, with the same code and real data, replaces that of the pod.

    forced, off                set by SCALEZERO_BATCHING or by a batch size of 1

Only `proven` and `forced` share runs. A shared run that returns a different number of rows refutes both permanently.
"""

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from runtime.variants.pinned import PinnedRows

AUTO, ALWAYS, NEVER = "auto", "always", "never"  # values of SCALEZERO_BATCHING

_MAX_ATTEMPTS: Final = 4  # proofs that could not run, until the model counts as not provable
_PAUSE: Final = 0.25  # seconds until the next attempt, doubled each time: a proof with other rows may succeed
_PAUSE_SIMILAR: Final = 1.0  # seconds until the next attempt after rows that did not differ


class State(Enum):
    """What is known about the independence of the rows."""

    UNPROVEN = "unproven"
    PROVEN = "proven"
    REFUTED = "refuted"
    NOT_PROVABLE = "not_provable"
    FORCED = "forced"
    OFF = "off"


# What the publisher could not prove, the rows of callers may.
_PUBLISHED: Final = {"proven": State.PROVEN, "refuted": State.REFUTED}


class SharingStatus(NamedTuple):
    """A state and its reason, as a text for operators."""

    state: State
    reason: str


class Evidence(NamedTuple):
    """The reasons against shared runs that a model file contains, each as a text; None: no such reason."""

    no_batch_axis: str | None = None  # the inputs have no first axis of variable size; applies even with `always`
    dependent_rows: str | None = None  # an output or an operator indicates dependent rows; `always` overrides it


class Outcome(Enum):
    """The outcome of a proof."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_RUN = "could not run"
    TOO_SIMILAR = "too similar"  # the rows did not differ enough to prove anything


class Verdict(NamedTuple):
    """The outcome of one proof, and the reason as a text."""

    outcome: Outcome
    reason: str


def initial_status(
    mode: str, evidence: Evidence, published: "PinnedRows | None" = None, *, batch_size: int
) -> SharingStatus:
    """Return the status before the first request; `published` is what the publisher's proof showed.

    It comes before the evidence of the file, because the operators of a compiled model cannot be read.
    """
    if batch_size == 1:
        return SharingStatus(State.OFF, "the batch size is 1")
    if mode == NEVER:
        return SharingStatus(State.OFF, "SCALEZERO_BATCHING is never")
    if evidence.no_batch_axis:
        return SharingStatus(State.REFUTED, evidence.no_batch_axis)
    if mode == ALWAYS:
        return SharingStatus(State.FORCED, "SCALEZERO_BATCHING is always")
    return _published_status(published) or _status_by_evidence(evidence)


def _published_status(published: "PinnedRows | None") -> SharingStatus | None:
    if published is None or published.state not in _PUBLISHED:
        return None
    return SharingStatus(_PUBLISHED[published.state], f"when it was published: {published.reason}")


def _status_by_evidence(evidence: Evidence) -> SharingStatus:
    if evidence.dependent_rows:
        return SharingStatus(State.REFUTED, evidence.dependent_rows)
    return SharingStatus(State.UNPROVEN, "no two requests have waited at the same time yet")


class Independence:
    """The status of one model, which verdicts change. `now` is a reading of any monotonic clock, in seconds."""

    __slots__ = ("_failures", "_next_attempt", "_proving", "shares", "status")

    def __init__(self, status: SharingStatus) -> None:
        self._failures = 0
        self._next_attempt = 0.0
        self._proving = False
        self._set(status)

    def wants_rows(self, now: float) -> bool:
        """Return whether a proof should start as soon as rows for it are available."""
        return self.status.state is State.UNPROVEN and not self._proving and now >= self._next_attempt

    def begin(self) -> None:
        """Record that a proof starts."""
        self._proving = True

    def judge(self, verdict: Verdict, now: float) -> None:
        """Record the verdict of the proof."""
        self._proving = False
        if self.status.state is not State.UNPROVEN:
            return
        if verdict.outcome is Outcome.PASSED:
            self._set(SharingStatus(State.PROVEN, verdict.reason))
        elif verdict.outcome is Outcome.FAILED:
            self._set(SharingStatus(State.REFUTED, verdict.reason))
        elif verdict.outcome is Outcome.TOO_SIMILAR:
            self._next_attempt = now + _PAUSE_SIMILAR
        else:
            self._next_attempt = now + _PAUSE * 2**self._failures
            self._failures += 1
            if self._failures >= _MAX_ATTEMPTS:
                self._set(SharingStatus(State.NOT_PROVABLE, f"{verdict.reason} ({_MAX_ATTEMPTS} attempts)"))

    def refute(self, reason: str) -> None:
        """Record that a run showed dependent rows: no run is shared from now on."""
        self._set(SharingStatus(State.REFUTED, reason))

    def _set(self, status: SharingStatus) -> None:
        self.status = status
        self.shares = status.state in {State.PROVEN, State.FORCED}  # an attribute, because every turn reads it
