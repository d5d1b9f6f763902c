"""A rule and what it finds."""

from dataclasses import dataclass
from enum import StrEnum

from runtime.errors import ScalezeroError


class Severity(StrEnum):
    """How much it matters."""

    ERROR = "error"  # it will not work
    WARNING = "warning"  # it works, and most likely not as meant
    ADVICE = "advice"  # it works; there is something worth knowing


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule found: where, what is there, why it matters and what would mend it."""

    code: str
    severity: Severity
    where: str | None  # file:line; none: in no file
    what: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule under its stable code, and the reason for it."""

    code: str
    severity: Severity
    why: str

    def found(self, what: str, *, fix: str, where: str | None = None) -> Finding:
        """Say what the rule found."""
        return Finding(code=self.code, severity=self.severity, where=where, what=what, why=self.why, fix=fix)


def came(fault: ScalezeroError) -> str:
    """Say what a fault says, without what would be right: that is the fix, and is told there."""
    allowed = fault.details.get("allowed")
    return fault.message.removesuffix(f"expected {allowed}").rstrip(" :;")


def error(code: str, why: str) -> Rule:
    """Make a rule whose findings do not work."""
    return Rule(code, Severity.ERROR, why)


def warning(code: str, why: str) -> Rule:
    """Make a rule whose findings most likely are not as meant."""
    return Rule(code, Severity.WARNING, why)


def advice(code: str, why: str) -> Rule:
    """Make a rule whose findings are worth knowing."""
    return Rule(code, Severity.ADVICE, why)
