"""The state of a model's version in TensorFlow Serving's terms. Pure."""

from typing import Final, NamedTuple

from runtime.errors import ScalezeroError
from runtime.status import TABLE, code_of

_STATES: Final = {"loading": ("LOADING", 20), "failed": ("END", 50)}
_AVAILABLE: Final = ("AVAILABLE", 30)


class VersionStatus(NamedTuple):
    """The fields of a ModelVersionStatus, with the names and numbers of its enum values."""

    state: str
    state_number: int
    code: str
    code_number: int
    message: str


def version_status(state: str, error: ScalezeroError | None) -> VersionStatus:
    """Return the status of a version from its state and the error of its load.

    `state` is "not_loaded", "loading", "ready" or "failed".
    A version that its first request loads is available, because clients wait for this state before they send a request.
    """
    name, number = _STATES.get(state, _AVAILABLE)
    if name != "END" or error is None:
        return VersionStatus(name, number, "OK", 0, "")
    code = TABLE[code_of(error)].grpc  # TensorFlow has the same codes as gRPC
    return VersionStatus(name, number, code.name, code.value, error.message)
