"""The state of a model's version, as TensorFlow Serving tells it. Pure."""

from typing import Final, NamedTuple

from runtime.errors import ScalezeroError
from runtime.status import TABLE, code_of

_STATES: Final = {"loading": ("LOADING", 20), "failed": ("END", 50)}
_AVAILABLE: Final = ("AVAILABLE", 30)


class VersionStatus(NamedTuple):
    """The fields of a ModelVersionStatus: names and numbers of its enums."""

    state: str
    state_number: int
    code: str
    code_number: int
    message: str


def version_status(state: str, error: ScalezeroError | None) -> VersionStatus:
    """The status of a version in `state` ("not_loaded", "loading", "ready", "failed"), with the error of its load.

    One that is loaded by its first request is available: clients wait for that before they send one.
    """
    name, number = _STATES.get(state, _AVAILABLE)
    if name != "END" or error is None:
        return VersionStatus(name, number, "OK", 0, "")
    code = TABLE[code_of(error)].grpc  # TensorFlow's codes are those of gRPC
    return VersionStatus(name, number, code.name, code.value, error.message)
