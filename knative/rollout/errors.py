"""Why a rollout is not begun, or not gone on with.

ScalezeroError
 |-- NoService              no_service              no model of that name is deployed
 |-- UnknownRevision        unknown_revision        --to names none of the Service's
 |-- AmbiguousRevision      ambiguous_revision      --to names several
 |-- RevisionNotReady       revision_not_ready      --to names one that cannot take traffic
 |-- RolloutUnderWay        rollout_under_way       another one has to end first
 |-- NoRollout              no_rollout              there is nothing to abort
 |-- SplitChanged           split_changed           somebody else has changed the split of an unfinished rollout
 |-- TakenOver              taken_over              another command carries it on
 `-- BadRecord              bad_record              the Service's annotation cannot be read
"""

from collections.abc import Sequence
from http import HTTPStatus

from knative.api.errors import ClusterError, ClusterUnreachable
from runtime.errors import ScalezeroError


class NoService(ScalezeroError):
    """No Knative Service has the model's name."""

    code = "no_service"

    def __init__(self, model: str, *, namespace: str, known: Sequence[str]) -> None:
        there = ", ".join(known) or "none"
        super().__init__(f"no Service {model} in namespace {namespace}; there are: {there}", model=model)


class UnknownRevision(ScalezeroError):
    """Nothing of the Service is called that."""

    code = "unknown_revision"

    def __init__(self, asked: str, *, model: str, known: Sequence[str]) -> None:
        there = ", ".join(known) or "none"
        super().__init__(f"--to={asked!r}: {model} has no such revision; there are: {there}", asked=asked, model=model)


class AmbiguousRevision(ScalezeroError):
    """Several revisions are called that."""

    code = "ambiguous_revision"

    def __init__(self, asked: str, *, revisions: Sequence[str]) -> None:
        some = " and ".join(revisions)
        super().__init__(f"--to={asked!r}: that is {some}; give the revision's name", asked=asked)


class RevisionNotReady(ScalezeroError):
    """The revision cannot take traffic."""

    code = "revision_not_ready"

    def __init__(self, revision: str, *, reason: str) -> None:
        super().__init__(
            f"{revision} is not Ready, so it gets no traffic: {reason}; scalezero status shows more",
            revision=revision,
            reason=reason,
        )


class RolloutUnderWay(ScalezeroError):
    """The Service is in the middle of another rollout."""

    code = "rollout_under_way"

    def __init__(self, model: str, *, underway: str, asked: str) -> None:
        super().__init__(
            f"{model} is in the middle of a rollout {underway}, and {asked} was asked for; go on with that one, "
            "--abort it, or --adopt the split as it stands and begin anew",
            model=model,
            underway=underway,
        )


class NoRollout(ScalezeroError):
    """There is nothing to abort."""

    code = "no_rollout"

    def __init__(self, model: str, *, last: str) -> None:
        super().__init__(f"no rollout of {model} is under way; {last}", model=model)


class SplitChanged(ScalezeroError):
    """Somebody else has changed the split that a rollout had written."""

    code = "split_changed"

    def __init__(self, model: str, *, namespace: str, target: str, live: str, written: str, by: str) -> None:
        super().__init__(
            f"{by} has changed the split of {model} to {live}, where the rollout left {written}; to begin one from the "
            f"split as it stands: scalezero rollout {model} --to {target} --adopt -n {namespace}; to forget that one "
            f"and leave the split: scalezero rollout {model} --abort -n {namespace}",
            model=model,
            live=live,
            written=written,
            changed_by=by,
        )


class TakenOver(ScalezeroError):
    """Another command carries the rollout on, or has ended it."""

    code = "taken_over"

    def __init__(self, model: str, *, now: str) -> None:
        super().__init__(f"another command has taken over the rollout of {model} ({now}); this one stops", model=model)


class BadRecord(ScalezeroError):
    """The annotation that keeps a rollout's state cannot be read."""

    code = "bad_record"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the annotation scalezero.dev/rollout cannot be read: {why}; --adopt begins a rollout anew "
            "from the split as it stands",
            why=why,
        )


def is_away(error: ClusterError) -> bool:
    """Whether the same may go well soon: nobody answers, or the API server cannot do now what it is asked for."""
    status = error.details.get("status")
    refused = isinstance(status, int) and status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return refused or isinstance(error, ClusterUnreachable)
