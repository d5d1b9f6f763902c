"""All rules. Pure."""

from collections.abc import Callable, Iterator
from typing import Final

from knative.checks import (
    agreement,
    api_definitions,
    artifacts,
    batching,
    compute,
    events,
    guests,
    image,
    lifetimes,
    optimizations,
    presence,
    reading,
    traffic,
)
from knative.checks.finding import Finding, Rule, Severity
from knative.checks.subject import Subject

_FAMILIES: Final[tuple[Callable[[Subject], Iterator[Finding]], ...]] = (
    batching.check,
    lifetimes.check,
    compute.check,
    traffic.check,
    image.check,
    guests.check,
    artifacts.check,
    optimizations.check,
    agreement.check,
    presence.check,
    events.check,
    api_definitions.check,
)

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            *reading.RULES,
            *batching.RULES,
            *lifetimes.RULES,
            *compute.RULES,
            *traffic.RULES,
            *image.RULES,
            *guests.RULES,
            *artifacts.RULES,
            *optimizations.RULES,
            *agreement.RULES,
            *presence.RULES,
            *events.RULES,
            *api_definitions.RULES,
        ),
        key=lambda rule: rule.code,
    )
)


def findings(subject: Subject) -> list[Finding]:
    """Apply all rules. An error of rendering is reported only if no rule explains it."""
    found = [finding for family in _FAMILIES for finding in family(subject)]
    if any(each.severity is Severity.ERROR for each in found):
        return found
    return [*found, *reading.check(subject)]
