"""Errors of a deployment: it is refused, or an object does not become Ready.

ScalezeroError
 |-- NoService                        no_service             no model of that name is deployed
 |-- ClusterError
 |    |-- NotOurs                     not_ours               an object that scalezero did not create
 |    `-- PlanRefused                 plan_refused           nothing was changed
 `-- DeploymentFailed                exit code 1
      |-- RevisionFailed              revision_failed
      |-- ObjectFailed                object_failed
      |-- NotReadyInTime              not_ready_in_time
      `-- StillThere                  still_there            a deleted object still exists
"""

from collections.abc import Sequence

from knative.api.errors import ClusterError
from knative.manifests.names import MANAGED_BY
from runtime.errors import ScalezeroError


class NoService(ScalezeroError):
    """No Knative Service has the model's name."""

    code = "no_service"

    def __init__(self, model: str, *, namespace: str, context: str, known: Sequence[str]) -> None:
        has = f"it has {', '.join(known)}" if known else "it has none; scalezero deploy FOLDER creates one"
        super().__init__(f"no model {model!r} in namespace {namespace} of {context}: {has}", model=model)


class NotOurs(ClusterError):
    """An object of that name exists, and scalezero did not create it."""

    code = "not_ours"

    def __init__(self, what: str, *, manager: str | None) -> None:
        label = f"{MANAGED_BY} is {manager}" if manager else f"it has no {MANAGED_BY}"
        super().__init__(
            f"{what} was not created by scalezero ({label}), so it is not deleted", what=what, manager=manager
        )


class PlanRefused(ClusterError):
    """The cluster's state does not allow the plan; nothing was changed."""

    code = "plan_refused"

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"nothing was changed: {'; '.join(reasons)}", reasons=list(reasons))


class DeploymentFailed(ScalezeroError):
    """An applied object does not become Ready, or a deleted object still exists."""


class RevisionFailed(DeploymentFailed):
    """A revision cannot become Ready; `logs` are the last lines of its container."""

    code = "revision_failed"

    def __init__(self, revision: str, reason: str, logs: Sequence[str] = ()) -> None:
        self.revision = revision
        tail = "".join(f"\n    {line}" for line in logs)
        super().__init__(
            f"revision {revision} failed: {reason}{tail and f'{chr(10)}  its last log lines:{tail}'}",
            revision=revision,
            reason=reason,
            logs=list(logs),
        )


class ObjectFailed(DeploymentFailed):
    """An object that routes traffic cannot become Ready."""

    code = "object_failed"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} failed: {reason}", what=what, reason=reason)


class NotReadyInTime(DeploymentFailed):
    """An object is not ready at the timeout; `seconds` is how long the command waited."""

    code = "not_ready_in_time"

    def __init__(self, what: str, *, seconds: float, waiting_for: str) -> None:
        super().__init__(
            f"{what} is not Ready after {round(seconds, 1):g} s: {waiting_for}; the cluster continues, "
            "scalezero status shows its state, and --timeout waits longer",
            what=what,
            seconds=seconds,
            waiting_for=waiting_for,
        )


class StillThere(DeploymentFailed):
    """A deleted object still exists at the timeout; `seconds` is how long the command waited."""

    code = "still_there"

    def __init__(self, what: str, *, seconds: float) -> None:
        super().__init__(
            f"{what} still exists {seconds:g} s after its deletion; the cluster continues to delete it",
            what=what,
            seconds=seconds,
        )
