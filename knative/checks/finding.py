"""Rules and their findings."""

from dataclasses import dataclass
from enum import StrEnum

from runtime.errors import ScalezeroError


class Severity(StrEnum):
    """The severity of a finding."""

    ERROR = "error"  # it does not work
    WARNING = "warning"  # it works, but probably not as intended
    ADVICE = "advice"  # it works; the finding is information


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of a rule."""

    code: str  # of the rule
    severity: Severity
    where: str | None  # file:line; None: not in a file
    what: str  # the problem, with the value that was found
    why: str  # the reason for the rule
    fix: str  # the next step


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its stable code, its severity and its reason."""

    code: str
    severity: Severity
    why: str

    def finding(self, what: str, *, fix: str, where: str | None = None) -> Finding:
        """Build a finding of this rule."""
        return Finding(code=self.code, severity=self.severity, where=where, what=what, why=self.why, fix=fix)


def problem(fault: ScalezeroError) -> str:
    """Return the message of an error without its expected value, which becomes the fix of the finding."""
    allowed = fault.details.get("allowed")
    return fault.message.removesuffix(f"expected {allowed}").rstrip(" :;")


def error(code: str, why: str) -> Rule:
    """Create a rule of severity error."""
    return Rule(code, Severity.ERROR, why)


def warning(code: str, why: str) -> Rule:
    """Create a rule of severity warning."""
    return Rule(code, Severity.WARNING, why)


def advice(code: str, why: str) -> Rule:
    """Create a rule of severity advice."""
    return Rule(code, Severity.ADVICE, why)
