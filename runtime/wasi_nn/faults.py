"""The errors of WASI-NN, neutral to the ABI. Each ABI has a table from these codes to its numbers or names.

    NnError(code, message)    raised by the session; an ABI turns it into its own error, and no other exception passes
    fault_of(error)           an error of the runtime, such as `QueueFull`, as an NnError

The message of an error reaches the guest only in an ABI that has texts; the log has it in every case.
"""

import logging
from enum import Enum
from typing import Final

from runtime.errors import ScalezeroError

_log = logging.getLogger("scalezero.wasi_nn")


class Code(Enum):
    """The reasons of all ABIs together."""

    INVALID_ARGUMENT = "invalid-argument"
    INVALID_ENCODING = "invalid-encoding"
    MISSING_MEMORY = "missing-memory"  # the guest exports no memory
    BUSY = "busy"
    TIMEOUT = "timeout"
    RUNTIME_ERROR = "runtime-error"
    UNSUPPORTED_OPERATION = "unsupported-operation"
    TOO_LARGE = "too-large"
    NOT_FOUND = "not-found"
    SECURITY = "security"


class NnError(Exception):
    """A call of the guest fails, and the guest continues."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_CODES: Final = {
    "invalid_input": Code.INVALID_ARGUMENT,
    "rejected_by_model": Code.INVALID_ARGUMENT,
    "model_not_found": Code.NOT_FOUND,
    "model_version_not_found": Code.NOT_FOUND,
    "artifact_missing": Code.NOT_FOUND,
    "invalid_model": Code.INVALID_ENCODING,
    "payload_too_large": Code.TOO_LARGE,
    "artifact_too_large": Code.TOO_LARGE,
    "queue_full": Code.BUSY,
    "overloaded": Code.BUSY,
    "shutting_down": Code.BUSY,
    "deadline_exceeded": Code.TIMEOUT,
    "run_timeout": Code.TIMEOUT,
    "access_denied": Code.SECURITY,
    "credentials_missing": Code.SECURITY,
}


def fault_of(error: Exception) -> NnError:
    """Return the error for the guest, a new one. An unexpected exception is logged: its text may have secrets.

    It has no traceback and no cause: those refer to the frames of all callers, and so to an instance and its memory.
    """
    if isinstance(error, NnError):
        return NnError(error.code, error.message)
    if isinstance(error, ScalezeroError):
        return NnError(_CODES.get(error.code, Code.RUNTIME_ERROR), error.message)
    _log.error("a call of a WebAssembly guest failed unexpectedly", exc_info=error)
    return NnError(Code.RUNTIME_ERROR, "internal error; the server's log has the details")
