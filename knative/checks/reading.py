"""What could not be read or deployed, as findings: what came as the reading tells it, and what is right as the fix."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, Rule, came, error
from knative.checks.subject import Subject
from knative.checks.syntax import Told, explained
from knative.manifests import desired
from knative.resources import BadManifest
from runtime.errors import BadSetting, ScalezeroError

BAD_MANIFEST: Final = error("bad-manifest", "What cannot be read cannot be deployed.")
DECLARED_TWICE: Final = error(
    "declared-twice", "Two resources that claim the same revision, version or model contradict each other."
)
DUPLICATE_VARIABLE: Final = error("duplicate-variable", "One of the two values of a variable would be lost.")
NOT_DEPLOYABLE: Final = error("not-deployable", "The cluster would refuse it, or a pod could not start with it.")
SCALE_BOUNDS: Final = error("scale-bounds", "The minimum number of pods cannot be above the maximum.")
SPLIT_NOT_WHOLE: Final = error("split-not-whole", "Knative accepts a split only where its percents sum to 100.")
WAIT_NOT_BELOW_TIMEOUT: Final = error(
    "wait-not-below-timeout", "A request would expire while its batch still waits for more requests."
)

RULES: Final = (
    BAD_MANIFEST,
    DECLARED_TWICE,
    DUPLICATE_VARIABLE,
    NOT_DEPLOYABLE,
    SCALE_BOUNDS,
    SPLIT_NOT_WHOLE,
    WAIT_NOT_BELOW_TIMEOUT,
)


def refused(fault: ScalezeroError) -> Finding:
    """Turn a fault of the reading into a finding."""
    if isinstance(fault, BadManifest):
        facts = fault.details
        line = facts.get("line")
        where = f"{facts['file']}:{line}" if line else str(facts["file"])
        if facts["allowed"] == "YAML":
            told = _explained(fault)
            return BAD_MANIFEST.found(told.what, fix=told.fix, where=where)
        what = came(fault).removeprefix(f"{where}: ")
        return _rule(fault).found(what, fix=f"write {facts['allowed']}", where=where)
    rule = SCALE_BOUNDS if fault.details.get("name") == "scale" else NOT_DEPLOYABLE
    return rule.found(came(fault), fix=f"use {fault.details.get('allowed', 'another value')}")


def _explained(fault: BadManifest) -> Told:
    """Put into words what the parser said, with the line where that began, which its exception knows."""
    problem = str(fault.details["value"]).removeprefix("no YAML (").removesuffix(")")
    began = getattr(fault.__cause__, "context_mark", None)
    return explained(problem, None if began is None else began.line + 1)


def _rule(fault: BadManifest) -> Rule:
    field, value, allowed = (str(fault.details[name]) for name in ("field", "value", "allowed"))
    if field == "spec.traffic" and value.startswith("percents"):
        return SPLIT_NOT_WHOLE
    if field == "spec.timeout" and "maxWaitTime" in allowed:
        return WAIT_NOT_BELOW_TIMEOUT
    if "; the first is at" in allowed:
        return DECLARED_TWICE
    if "Envs[" in field or "envs[" in field:
        return DUPLICATE_VARIABLE if value.endswith(" again") else BAD_MANIFEST
    return SCALE_BOUNDS if field in {"deploy.options.scale.max", "deploy.options.scale"} else BAD_MANIFEST


def check(subject: Subject) -> Iterator[Finding]:
    """Try to render it all; what another rule tells with its place is told here as well, and left out later."""
    try:
        desired(subject.resources, subject.options)
    except BadSetting as fault:
        yield refused(fault)
