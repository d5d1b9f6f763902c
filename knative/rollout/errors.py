"""Errors of a rollout: it does not start, or does not continue.

ScalezeroError
 |-- UnknownRevision        unknown_revision        --to matches no revision of the Service
 |-- AmbiguousRevision      ambiguous_revision      --to matches several revisions
 |-- RevisionNotReady       revision_not_ready      --to names a revision that cannot take traffic
 |-- RolloutUnderWay        rollout_under_way       another rollout must end first
 |-- NoRollout              no_rollout              there is nothing to abort
 |-- SplitChanged           split_changed           another writer changed the split of an unfinished rollout
 |-- TakenOver              taken_over              another command continues the rollout
 `-- BadRecord              bad_record              the Service's annotation cannot be read
"""

from collections.abc import Sequence
from http import HTTPStatus

from knative.api.errors import ClusterError, ClusterUnreachable
from runtime.errors import ScalezeroError


class UnknownRevision(ScalezeroError):
    """No revision or tag of the Service has that name."""

    code = "unknown_revision"

    def __init__(self, value: str, *, model: str, known: Sequence[str]) -> None:
        available = ", ".join(known) or "none"
        super().__init__(
            f"--to={value!r}: {model} has no such revision; available: {available}", value=value, model=model
        )


class AmbiguousRevision(ScalezeroError):
    """Several revisions match that name."""

    code = "ambiguous_revision"

    def __init__(self, value: str, *, revisions: Sequence[str]) -> None:
        matching = " and ".join(revisions)
        super().__init__(f"--to={value!r}: matches {matching}; use the full name of the revision", value=value)


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

    def __init__(self, model: str, *, unfinished: str, requested: str) -> None:
        super().__init__(
            f"{model} has an unfinished rollout {unfinished}, but the command requests {requested}; continue that "
            "rollout, --abort it, or use --adopt to start from the current split",
            model=model,
            unfinished=unfinished,
        )


class NoRollout(ScalezeroError):
    """There is nothing to abort."""

    code = "no_rollout"

    def __init__(self, model: str, *, last: str) -> None:
        super().__init__(f"no rollout of {model} is under way; {last}", model=model)


class SplitChanged(ScalezeroError):
    """Another writer changed the split that the rollout wrote."""

    code = "split_changed"

    def __init__(self, model: str, *, namespace: str, target: str, live: str, written: str, by: str) -> None:
        super().__init__(
            f"{by} changed the split of {model} to {live}; the rollout had set {written}; to start a rollout from the "
            f"current split: scalezero rollout {model} --to {target} --adopt -n {namespace}; to end the rollout and "
            f"keep the split: scalezero rollout {model} --abort -n {namespace}",
            model=model,
            live=live,
            written=written,
            changed_by=by,
        )


class TakenOver(ScalezeroError):
    """Another command continues the rollout, or has ended it."""

    code = "taken_over"

    def __init__(self, model: str, *, now: str) -> None:
        super().__init__(f"another command has taken over the rollout of {model} ({now}); this one stops", model=model)


class BadRecord(ScalezeroError):
    """The annotation that keeps a rollout's state cannot be read."""

    code = "bad_record"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the annotation scalezero.dev/rollout cannot be read: {why}; use --adopt to start a rollout "
            "from the current split",
            why=why,
        )


def is_temporary(error: ClusterError) -> bool:
    """Whether a retry may succeed soon: the API server does not respond, or responds with a server error."""
    status = error.details.get("status")
    refused = isinstance(status, int) and status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return refused or isinstance(error, ClusterUnreachable)
