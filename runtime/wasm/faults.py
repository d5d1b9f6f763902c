"""Converts the exceptions of a call to errors, by their texts: a component's trap has no other form. Pure."""

import re
from typing import Final

import wasmtime

from runtime.errors import FunctionTimedOut, GuestCrashed, ScalezeroError
from runtime.wasm.limits import Limits

_TRAP: Final = re.compile(r"wasm trap: (.+)")
_INTERRUPT: Final = "interrupt"
_SHOWN: Final = 200  # characters of wasmtime's text
_PAGE: Final = 2**16  # bytes
_MIB: Final = 2**20


def exit_status(error: Exception) -> int | None:
    """Return the status with which the guest exited; None: it did not exit by itself."""
    return error.code if isinstance(error, wasmtime.ExitTrap) else None


def summary(error: Exception) -> str:
    """Return the innermost cause of an error of wasmtime, in one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line for line in lines if line and not line.startswith(("|", "-->", "^"))]
    cause = re.sub(r"^\d+: ", "", causes[-1]) if causes else type(error).__name__
    return cause if len(cause) <= _SHOWN else f"{cause[:_SHOWN]}..."


def fault_of(error: Exception, *, limits: Limits, memory: int | None) -> ScalezeroError:
    """Return the error of a call that ended with this exception; `memory`: bytes that the guest had, None: unknown."""
    if isinstance(error, FunctionTimedOut):
        return error
    status = exit_status(error)
    if status is not None:
        return exited(status)
    trap = _TRAP.search(str(error))
    if trap and trap[1] == _INTERRUPT:
        return FunctionTimedOut("this call of the guest", limit=limits.seconds)
    reason = trap[1] if trap else summary(error)
    return GuestCrashed(f"{reason}{_at_limit(memory, limits)}")


def exited(status: int) -> GuestCrashed:
    """Return the error for an exit status other than 0."""
    return GuestCrashed(f"exit status {status}; expected 0")


def _at_limit(memory: int | None, limits: Limits) -> str:
    """Return a note if the guest's memory could not be doubled, as allocators do."""
    if memory is None or 2 * memory + _PAGE <= limits.memory:
        return ""
    used, allowed = (f"{size / _MIB:.4g} MiB" for size in (memory, limits.memory))
    return f"; it had {used} of memory of at most {allowed}, the limit that SCALEZERO_GUEST_MEMORY sets"
