"""The conversion of errors in the files, or of rendering, to findings. The code of the error selects the rule."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, error, problem
from knative.checks.subject import Subject
from knative.checks.syntax import Explanation, explain
from knative.manifests import desired
from knative.resources import BadManifest
from knative.resources.errors import Violation
from runtime.errors import BadSetting, ScalezeroError

BAD_MANIFEST: Final = error(Violation.FIELD, "An invalid file cannot be deployed.")
NOT_DEPLOYABLE: Final = error("not-deployable", "The cluster would refuse it, or a pod could not start with it.")
SCALE_BOUNDS: Final = error(Violation.SCALE_BOUNDS, "The minimum number of pods cannot be above the maximum.")
WAIT_NOT_BELOW_TIMEOUT: Final = error(
    Violation.WAIT_NOT_BELOW_TIMEOUT, "A request would expire while its batch still waits for more requests."
)
_OF_FILES: Final = {
    rule.code: rule
    for rule in (
        BAD_MANIFEST,
        SCALE_BOUNDS,
        WAIT_NOT_BELOW_TIMEOUT,
        error(
            Violation.DECLARED_TWICE,
            "Two resources that claim the same revision, version or model contradict each other.",
        ),
        error(Violation.DUPLICATE_VARIABLE, "One of the two values of a variable would be lost."),
        error(Violation.SPLIT_NOT_WHOLE, "Knative accepts a split only if its percents sum to 100."),
        error(Violation.UNKNOWN_MODEL, "The resource would have no effect on any model."),
    )
}

RULES: Final = (*_OF_FILES.values(), NOT_DEPLOYABLE)


def finding_of(fault: ScalezeroError) -> Finding:
    """Convert an error in the files or in the options to a finding."""
    if not isinstance(fault, BadManifest):
        rule = SCALE_BOUNDS if fault.details.get("name") == "scale" else NOT_DEPLOYABLE
        return rule.finding(problem(fault), fix=f"use {fault.details.get('allowed', 'another value')}")
    facts = fault.details
    line = facts.get("line")
    where = f"{facts['file']}:{line}" if line else str(facts["file"])
    if fault.violation is Violation.SYNTAX:
        syntax = _explain(fault)
        return BAD_MANIFEST.finding(syntax.what, fix=syntax.fix, where=where)
    what = problem(fault).removeprefix(f"{where}: ")
    return _OF_FILES[fault.violation].finding(what, fix=f"write {facts['allowed']}", where=where)


def _explain(fault: BadManifest) -> Explanation:
    """Explain the parser's message. The parser's exception has the line where the incomplete value starts."""
    message = str(fault.details["value"]).removeprefix("invalid YAML (").removesuffix(")")
    start = getattr(fault.__cause__, "context_mark", None)
    return explain(message, None if start is None else start.line + 1)


def check(subject: Subject) -> Iterator[Finding]:
    """Render all objects; an error of rendering is a finding."""
    try:
        desired(subject.resources, subject.options)
    except BadSetting as fault:
        yield finding_of(fault)
