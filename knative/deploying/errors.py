"""Why a deployment is not begun, or does not come up.

ScalezeroError
 |-- ClusterError
 |    |-- NotOurs                     not_ours               an object that scalezero did not make
 |    `-- PlanRefused                 plan_refused           nothing was done
 `-- NotUp                            told to the person as exit code 1
      |-- RevisionFailed              revision_failed
      |-- ObjectFailed                object_failed
      |-- NotReadyInTime              not_ready_in_time
      `-- StillThere                  still_there            what is deleted, and does not go
"""

from collections.abc import Sequence

from knative.api.errors import ClusterError
from runtime.errors import ScalezeroError


class NotOurs(ClusterError):
    """An object of that name is there, and scalezero did not make it."""

    code = "not_ours"

    def __init__(self, what: str, *, manager: str | None) -> None:
        whose = f"app.kubernetes.io/managed-by says {manager}" if manager else "it has no app.kubernetes.io/managed-by"
        super().__init__(f"{what} was not made by scalezero ({whose}), so it stays", what=what, manager=manager)


class PlanRefused(ClusterError):
    """What is wanted cannot be had of this cluster as it stands; nothing was done."""

    code = "plan_refused"

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"nothing was done: {'; '.join(reasons)}", reasons=list(reasons))


class NotUp(ScalezeroError):
    """What was applied does not come up."""


class RevisionFailed(NotUp):
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


class ObjectFailed(NotUp):
    """An object that routes traffic cannot become Ready."""

    code = "object_failed"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} failed: {reason}", what=what, reason=reason)


class NotReadyInTime(NotUp):
    """Something is still on its way when the time is over; `seconds` is how long was waited."""

    code = "not_ready_in_time"

    def __init__(self, what: str, *, seconds: float, waiting_for: str) -> None:
        super().__init__(
            f"{what} is not Ready after {round(seconds, 1):g} s: {waiting_for}; it goes on without us, "
            "and scalezero status shows how it stands (--timeout waits longer)",
            what=what,
            seconds=seconds,
            waiting_for=waiting_for,
        )


class StillThere(NotUp):
    """Something that was deleted is not gone when the time is over; `seconds` is how long was waited."""

    code = "still_there"

    def __init__(self, what: str, *, seconds: float) -> None:
        super().__init__(
            f"{what} is still there {seconds:g} s after it was deleted; it goes without us", what=what, seconds=seconds
        )
