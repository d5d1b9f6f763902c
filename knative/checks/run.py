"""The checks of a project: errors in its files, facts from the registry and the cluster, and the rules.

    Project -> Subject -> facts -> findings

An error in a file, which stops other commands, is a finding here. The rules check the other resources.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Final

from knative.checks.facts import ObjectReader, with_artifacts, with_guests, with_objects
from knative.checks.finding import Finding, Severity
from knative.checks.reading import finding_of
from knative.checks.rules import findings
from knative.checks.subject import Subject
from knative.function.guests import FindGuest
from knative.function.pins import Find, ReadVariants
from knative.function.project import Project

_PLACEHOLDER_IMAGE: Final = "dev.local/unnamed:0"  # if no image is configured
_ORDER: Final = tuple(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All findings, the most severe first, and a note for each query that failed."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def passes(self, *, strict: bool = False) -> bool:
        """Return whether there are no errors, and with `strict` no warnings either."""
        bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
        return not any(each.severity in bad for each in self.findings)

    def as_data(self) -> dict[str, object]:
        """Return the report as plain values."""
        return {"findings": [{**asdict(each), "severity": str(each.severity)} for each in self.findings]} | {
            "notes": list(self.notes)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources of facts; None: not queried."""

    find: Find | None = None  # the lookup in the registry
    variants: ReadVariants | None = None  # what the registry has about a model
    guests: FindGuest | None = None  # the lookup of guests in the registry
    cluster: ObjectReader | None = None  # the namespace of the project


def examine(project: Project, *, sources: Sources = Sources()) -> Report:
    """Check a project; `sources` provide the facts that are not in its files."""
    subject = subject_of(project)
    notes: list[str] = []
    if sources.find is not None:
        subject = with_artifacts(subject, sources.find, notes, variants=sources.variants)
    if sources.guests is not None:
        subject = with_guests(subject, sources.guests, notes)
    if sources.cluster is not None:
        subject = with_objects(subject, sources.cluster, notes)
    found = [*map(finding_of, project.faults), *findings(subject)]
    unique = dict.fromkeys(sorted(found, key=_sort_key))
    return Report(findings=tuple(unique), notes=tuple(notes))


def _sort_key(each: Finding) -> tuple[int, str, int, str]:
    """Sort by severity, then by file and line."""
    file, _, line = (each.where or "").rpartition(":")
    if not line.isdecimal():
        file, line = each.where or "", "0"
    return _ORDER.index(each.severity), file, int(line), each.code


def subject_of(project: Project) -> Subject:
    """Convert the project to the input of the rules, without facts."""
    read = {each.name: getattr(project, each.name) for each in fields(Project)}
    if project.options.image is None:
        read["options"] = replace(project.options, image=_PLACEHOLDER_IMAGE)
    return Subject(**read)
