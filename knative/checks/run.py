"""From a project to findings: its faults, what can be looked up, and the rules.

    Project -> Subject -> facts -> findings

A fault that stops other commands is a finding here, and the rules see the rest.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Final

from knative.checks.facts import Objects, with_artifacts, with_objects
from knative.checks.finding import Finding, Severity
from knative.checks.reading import refused
from knative.checks.rules import findings
from knative.checks.subject import Subject
from knative.function.pins import Find
from knative.function.project import Project

_UNNAMED: Final = "dev.local/unnamed:0"  # stands for an image that nobody names
_ORDER: Final = tuple(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, the worst first, and what could not be looked up."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def passes(self, *, strict: bool = False) -> bool:
        """Tell whether there is no error, and with `strict` no warning either."""
        bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
        return not any(each.severity in bad for each in self.findings)

    def as_data(self) -> dict[str, object]:
        """Give it as plain values."""
        return {"findings": [{**asdict(each), "severity": str(each.severity)} for each in self.findings]} | {
            "notes": list(self.notes)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where facts come from; None: nobody is asked."""

    find: Find | None = None  # of the registry
    cluster: Objects | None = None  # the namespace of the project


def examine(project: Project, *, sources: Sources = Sources()) -> Report:
    """Check a project as it was read; `sources` are asked for the rest."""
    subject = subject_of(project)
    notes: list[str] = []
    if sources.find is not None:
        subject = with_artifacts(subject, sources.find, notes)
    if sources.cluster is not None:
        subject = with_objects(subject, sources.cluster, notes)
    found = [*map(refused, project.faults), *findings(subject)]
    unique = dict.fromkeys(sorted(found, key=_order))
    return Report(findings=tuple(unique), notes=tuple(notes))


def _order(each: Finding) -> tuple[int, str, int, str]:
    """Put the worst first, and of those the first in a file."""
    file, _, line = (each.where or "").rpartition(":")
    if not line.isdecimal():
        file, line = each.where or "", "0"
    return _ORDER.index(each.severity), file, int(line), each.code


def subject_of(project: Project) -> Subject:
    """Take the project as what the rules look at, before any lookup."""
    read = {each.name: getattr(project, each.name) for each in fields(Project)}
    if project.options.image is None:
        read["options"] = replace(project.options, image=_UNNAMED)
    return Subject(**read)
